"""Sequences of numbers in tables: long tables with a step a row, and tables with a sequence a row.

`reading` reads them, `table` says what comes of it, `roles` says which column is what and guesses it, `long` puts the
steps of a long table in order, `listed` makes arrays of lists, `cells` and `arrow_cells` make numbers of what a cell
holds. `archives` with `ts` and `ragged` reads files of the UEA archive and arrays of numpy, `sound` reads samples and
files of sound, `frames` takes data frames.
"""

from tidegate.data.series.frames import from_frame
from tidegate.data.series.reading import ROWS, holds_series, read, stream
from tidegate.data.series.roles import Asked, Roles
from tidegate.data.series.sound import sound_files
from tidegate.data.series.table import Series

__all__ = ["ROWS", "Asked", "Roles", "Series", "from_frame", "holds_series", "read", "sound_files", "stream"]
