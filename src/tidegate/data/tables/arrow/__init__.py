"""Tables of Arrow's types: Parquet files, what their pages and schemas say, and values as plain ones of Python."""
