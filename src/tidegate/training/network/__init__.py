"""The network on PyTorch, and the loop that trains it."""
