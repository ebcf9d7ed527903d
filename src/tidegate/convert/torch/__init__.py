"""Weights and modules of PyTorch, in and out."""
