"""More rows than fit into memory made ready for training: read once, part by part, and written to a disk as numbers.

What stays in memory is bounded: the counts of words, what is held out, a sample, and one pool of rows after the other.
"""
