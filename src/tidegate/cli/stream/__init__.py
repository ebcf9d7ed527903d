"""Answers to what comes in by standard input, line by line."""
