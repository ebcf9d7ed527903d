"""What is trained on: examples and their labels, in memory or on a disk, and in which order they are read."""
