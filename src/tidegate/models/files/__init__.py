"""The model file: the layout of its bytes, its digest, and what of its metadata is believed."""
