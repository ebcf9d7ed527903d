"""The page: what it asks and is answered, the numbers of its pictures, and what it says of a cell."""
