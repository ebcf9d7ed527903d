"""Files and data sets: tables of texts and labels as CSV, JSON Lines or Parquet, and two sets of film reviews.

Whole tables are in `tables`, their columns and rows in `columns` and `rows`; the data sets are in `datasets`, which
fetches them with `download`; `files` replaces a file at once or not at all. This page imports none of them, since a
trained model needs `files` alone.
"""
