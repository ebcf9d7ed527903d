"""What a source of rows is: packing, first bytes, names and encodings, and text as lines."""
