"""Long tables: a row for each step, and a key that tells which sequence it is of. Rows may stand in any order."""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.data.series.cells import Times, times_in_one
from tidegate.data.series.columns import in_order, numbers_of, times_of
from tidegate.data.series.roles import Roles
from tidegate.data.tables.label_names import label_name
from tidegate.data.tables.rows import Block
from tidegate.data.tables.sources.kinds import caution
from tidegate.data.tables.values import plain_values

Array = npt.NDArray[np.floating[Any]]


class Rows(NamedTuple):
    """Some rows of a long table.

    Attributes:
        keys: The key of each row.
        numbers: Its features, float32 or float64 [N, K].
        times: Its time; None if no column has times.
        labels: Its values in each column of labels.
        places: Its number in its file, int64 [N].
        file: What to say behind such a number in an error, "" if there is one file only.
        written: The times as the table has them, if they are to be kept.
    """

    keys: list[Any]
    numbers: Array
    times: npt.NDArray[Any] | None
    labels: list[list[Any]]
    places: npt.NDArray[np.int64]
    file: str
    written: Any = None


class LongTable:
    """A long table that is read block by block.

    Attributes:
        roles: What the columns are.
        rows: How many there are so far.
        ties: How many of them have the key and the time of another, once they are in order.
        times: The times of each sequence as the table has them, once they are in order; None if they are not kept.
    """

    def __init__(self, roles: Roles) -> None:
        """Begins with no row.

        Args:
            roles: What the columns are; each row is a step.
        """
        self.roles, self.rows, self.ties = roles, 0, 0
        self.times: list[Any] | None = None
        self._file, self._row = "", 1
        self._keys: dict[Any, int] = {}
        self._codes: list[npt.NDArray[np.int32]] = []
        self._numbers: list[Array] = []
        self._times: list[npt.NDArray[Any]] = []
        self._written: list[Any] = []
        self._time_kind = ""
        kind = _LabelsOfSteps if roles.each_step else _LabelsOfKeys
        self._labels = {name: kind(name, roles) for name in roles.labels}

    def begin(self, file: str) -> None:
        """Begins another file: rows are counted anew.

        Args:
            file: Its name, for errors about a row of an earlier one; "" if it is the only one.
        """
        self._file, self._row = f" of {file}" if file else "", 1

    def add(self, block: Block) -> None:
        """Adds some rows.

        Raises:
            ValueError: A row has no key or no time, holds no number where one is expected, or has another label than
                the rows of its key before.
        """
        self.keep(self._read(block))

    def _read(self, block: Block) -> Rows:
        """Reads what some rows hold, and checks each of them."""
        first_row, roles = self._row, self.roles
        numbers = np.stack([_feature(block, name, first_row) for name in roles.features], axis=1)
        keys = [0] * len(numbers) if roles.key is None else _keys(block, roles.key, first_row)
        times = written = None
        if roles.time is not None:
            written = block[roles.time] if roles.keeps_times else None
            times = self._times_of(roles.time, times_of(block[roles.time], roles.time, first_row))
        labels = [plain_values(block[name]) for name in roles.labels]
        self._row += len(keys)
        return Rows(keys, numbers, times, labels, np.arange(first_row, self._row), self._file, written)

    def keep(self, rows: Rows) -> None:
        """Keeps rows that have been read.

        Raises:
            ValueError: One has another label than the rows of its key before.
        """
        codes = [self._keys.setdefault(key, len(self._keys)) for key in rows.keys]
        self._codes.append(np.array(codes, np.int32))
        self._numbers.append(rows.numbers)
        if rows.times is not None:
            self._times.append(rows.times)
        if rows.written is not None:
            self._written.append(rows.written)
        for labels, values in zip(self._labels.values(), rows.labels, strict=True):
            labels.add(values, codes, rows)
        self.rows += len(codes)

    def _times_of(self, name: str, times: Times) -> npt.NDArray[Any]:
        """Returns times, which must be of the kind of those before."""
        if self._time_kind and times.kind != self._time_kind:
            raise ValueError(
                f"column {name!r} holds {times.kind} from row {self._row} on and {self._time_kind} before, expected "
                f"times of one kind: they have no common order"
            )
        self._time_kind = times.kind
        return times.values

    @property
    def comes_again(self) -> bool:
        """Whether a key has several rows."""
        return len(self._keys) < self.rows

    def sequences(self) -> tuple[list[Array], list[Any], dict[str, list[Any]]]:
        """Puts the steps of each key in order, which sets `ties` and `times`.

        Returns:
            The sequences [T, K] and their keys in the order of the keys' first rows, and the labels by column, None
            where a key has none; a list of them for each key if each step has its own.
        """
        keys, codes = list(self._keys), np.concatenate([np.zeros(0, np.int32), *self._codes])
        order = np.argsort(codes, kind="stable")
        if self._times:
            times = times_in_one(self._times, self.roles.time or "")
            order = np.lexsort((times, codes))
            ordered, times = codes[order], times[order]
            self.ties = int(((ordered[1:] == ordered[:-1]) & (times[1:] == times[:-1])).sum())
        ends = np.cumsum(np.bincount(codes, minlength=len(keys)))
        sequences = np.split(np.concatenate(self._numbers)[order], ends[:-1]) if keys else []
        if self._written:
            written = in_order(self._written, order)
            self.times = [written[start:end] for start, end in pairwise([0, *ends.tolist()])]
        return sequences, keys, {name: labels.by_key(order, ends) for name, labels in self._labels.items()}


class _LabelsOfKeys:
    """A column of labels of a long table: one for all rows of a key, which one of them at least must have."""

    def __init__(self, name: str, roles: Roles) -> None:
        self._name, self._key = name, roles.key
        self._known: dict[int, tuple[Any, str]] = {}  # the label of each key, and where it stands

    def add(self, values: list[Any], codes: list[int], rows: Rows) -> None:
        """Adds the values of some rows, whose keys have these numbers.

        Raises:
            ValueError: A key has several labels.
        """
        for i, (code, value) in enumerate(zip(codes, values, strict=True)):
            before = self._known.get(code)
            if before is not None and before[0] == value:
                continue
            label = label_name(value)
            if label is None:
                continue
            if before is None:
                self._known[code] = value, f"row {rows.places[i]}{rows.file}"
            elif label_name(before[0]) != label:
                raise ValueError(
                    f"{rows.keys[i]!r} of column {self._key!r} has the label {before[0]!r:.40} in {before[1]} and "
                    f"{value!r:.40} in row {rows.places[i]} of column {self._name!r}, expected one label for each "
                    f"sequence: does another column tell the sequences apart (--key), or is this no label but a "
                    f"feature?"
                )

    def by_key(self, order: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> list[Any]:
        """Returns the label of each key, None where it has none."""
        return [self._known.get(code, (None, ""))[0] for code in range(len(ends))]


class _LabelsOfSteps:
    """A column of labels of a long table: one for each row."""

    def __init__(self, name: str, roles: Roles) -> None:
        self._values: list[Any] = []

    def add(self, values: list[Any], codes: list[int], rows: Rows) -> None:
        """Adds the values of some rows."""
        self._values += values

    def by_key(self, order: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> list[Any]:
        """Returns a list for each key: the rows come in this order, and those of a key end here."""
        values = [self._values[row] for row in order]
        return [values[start:end] for start, end in pairwise([0, *ends.tolist()])]


def check_whole(roles: Roles, rows: int, ties: int, *, comes_again: bool) -> None:
    """Checks that there are rows, and several of a key, and says how many have the same time.

    Args:
        roles: What the columns are.
        rows: How many there are.
        ties: How many have the key and the time of another.
        comes_again: Whether a key has several rows.

    Raises:
        ValueError: There is no row, or a row alone of each key.
    """
    if not rows:
        raise ValueError("there are no rows")
    if rows > 1 and not comes_again:
        raise ValueError(
            f"in column {roles.key!r} no value comes again: each sequence would have one step. Name the column that "
            f"tells the sequences apart with --key"
        )
    if ties:
        caution(
            f"{ties:,} {'row has' if ties == 1 else 'rows have'} {'' if roles.one else 'the key and '}the time "
            f"({roles.time!r}) of another row: "
            f"they stay in the order of the file"
        )


def _keys(block: Block, name: str, first_row: int) -> list[Any]:
    """Reads a column of keys.

    Raises:
        ValueError: One is missing, or neither a text nor a number.
    """
    keys = plain_values(block[name])
    for row, key in enumerate(keys, first_row):
        if key is None or key == "" or (isinstance(key, float) and math.isnan(key)):
            raise ValueError(f"row {row} has no key in column {name!r}: fill it in, or remove the row")
        if isinstance(key, list | dict):
            raise ValueError(f"row {row} of column {name!r} holds {key!r:.40}, expected a text or a number")  # noqa: TRY004
    return keys


def _feature(block: Block, name: str, first_row: int) -> Array:
    """Reads a column of numbers.

    Raises:
        ValueError: A cell holds no number; the message says how to leave the column out.
    """
    try:
        return numbers_of(block[name], name, first_row)
    except ValueError as error:
        raise ValueError(f"{error}; to leave a column out on purpose, name the others with --features") from None
