"""Tables of texts and labels in many formats: `read`, `stream`, `write` and `writer`.

`folders` reads one file or several, `table` texts and labels, with `columns` to find them, and `writer` writes; `rows`
puts together how bytes become rows. `sources` finds out what a source is, with `containers`, `signatures` and `kinds`
for packing, first bytes and names; `lines` has the text; `delimited` and `swallowed`, `json_values` and `json_shapes`,
`fasttext`, `arrow` and `parquet` read a format each; `survey` looks for columns and types that come late, in
`json_types`; `values` and `arrow_values` turn what a cell holds into text.
"""

from tidegate.data.tables.folders import read, stream
from tidegate.data.tables.table import Names, Table, class_names, label_sets
from tidegate.data.tables.writer import Write, write, writer

__all__ = ["Names", "Table", "Write", "class_names", "label_sets", "read", "stream", "write", "writer"]
