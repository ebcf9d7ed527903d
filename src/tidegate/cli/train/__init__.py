"""Training from the command line: what is asked for, what is read, what is said meanwhile, and what is saved."""
