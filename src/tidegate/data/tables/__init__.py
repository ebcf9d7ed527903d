"""Tables of texts and labels in many formats: `read`, `stream`, `write` and `writer`.

`folders` reads one file or several, `table` texts and labels, with `columns` to find them, and `writer` writes; `rows`
puts together how bytes become rows. The folder `sources` finds out what a source is, and has its text as lines;
`delimited` and `swallowed`, `fasttext`, `markdown`, and the folders `json` and `arrow` read a format each; `survey`
looks for columns and types that come late; `values` turns what a cell holds into text.
"""

from tidegate.data.tables.folders import read, stream
from tidegate.data.tables.table import Names, Table, class_names, label_sets
from tidegate.data.tables.writer import Write, write, writer

__all__ = ["Names", "Table", "Write", "class_names", "label_sets", "read", "stream", "write", "writer"]
