"""Data frames as tables of sequences: of pandas, polars, duckdb, or whatever hands over its columns as Arrow does."""

from typing import Any

from tidegate.data.series.roles import Asked
from tidegate.data.series.table import NOTHING, Series, series_of


def from_frame(frame: Any, asked: Asked = NOTHING, *, need_label: bool = True) -> Series:
    """Takes the sequences of a data frame, a long one or one with a list in each row.

    Example:
        >>> import pyarrow as pa
        >>> frame = pa.table({"who": ["b", "a", "b"], "t": [1, 0, 0], "x": [2.0, 3.0, 1.0], "y": ["up", "no", "up"]})
        >>> table = from_frame(frame, Asked(key="who", time="t", features=("x",), labels=("y",)))
        >>> [sequence.ravel().tolist() for sequence in table.sequences], table.labels["y"]
        ([[1.0, 2.0], [3.0]], ['up', 'no'])

    Args:
        frame: A data frame of any library that has Arrow's protocol (`__arrow_c_stream__`), or a `pyarrow.Table`.
        asked: What is known of the columns; the others are guessed, see `roles.find_roles`.
        need_label: Whether there must be labels.

    Returns:
        The sequences, whose `sequences` and `labels` are what `tidegate.fit` takes.

    Raises:
        ImportError: pyarrow is missing.
        TypeError: It is no data frame.
        ValueError: It has no rows, a column is not there or cannot be guessed, or a cell holds no number.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - only who has data frames needs it
    except ImportError as error:
        raise ImportError("data frames need pyarrow: pip install 'tidegate[train]'") from error
    if not hasattr(frame, "__arrow_c_stream__"):
        raise TypeError(f"frame is of type {type(frame).__name__}, expected a data frame, such as of pandas or polars")
    table = pa.table(frame)
    if not table.num_rows:
        raise ValueError("the frame has no rows")
    columns = dict(zip(table.column_names, table.columns, strict=True))
    # pandas hands over the index of some rows as a column, which is none of the user's
    columns = {name: column for name, column in columns.items() if not name.startswith("__index_level_")}
    return series_of(columns, asked, need_label=need_label)
