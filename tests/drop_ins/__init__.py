"""Tests of the PyTorch layers; a package because some of its files share a model."""
