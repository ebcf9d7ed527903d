"""Sequences of numbers in tables: long tables with a step a row, and tables with a sequence a row.

`table` reads them, `roles` says which column is what and guesses it, `long` puts the steps of a long table in order,
`listed` makes arrays of lists, `cells` and `arrow_cells` make numbers of what a cell holds.
"""

from tidegate.data.series.roles import Asked, Roles
from tidegate.data.series.table import Series, holds_series, read, stream

__all__ = ["Asked", "Roles", "Series", "holds_series", "read", "stream"]
