"""Tables written as JSON: where a value ends, the shapes that rows come in, and Arrow's types for them."""
