"""Files and data sets: tables of texts and labels in many formats, and two sets of film reviews.

Whole tables are in `tables`, their columns and rows in `columns` and `rows`. How bytes become rows: `sources` finds out
what a source is, with `containers`, `signatures` and `kinds` for packing, first bytes and names; `lines` has the
text; `delimited` and `swallowed`, `json_values` and `json_shapes`, `fasttext` and `arrow` read a format each. The data
sets are in `datasets`, which fetches them with `download`; `files` replaces a file at once or not at all. This page
imports none of them, since a trained model needs `files` alone.
"""
