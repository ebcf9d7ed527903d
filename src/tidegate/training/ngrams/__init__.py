"""N-grams by the solvers of scikit-learn, and how they are weighed beside a network."""
