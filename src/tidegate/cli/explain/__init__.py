"""How an answer is explained: on the terminal, as a page or as a picture."""
