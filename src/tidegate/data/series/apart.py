"""Long tables that do not fit into memory: rows are put apart by their keys, and each part is put in order alone."""

import json
import os
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tidegate.data.series.long import LongTable, Rows, check_whole
from tidegate.data.series.roles import Roles
from tidegate.data.series.table import Series, gathered
from tidegate.data.tables.rows import Block
from tidegate.data.tables.values import json_text
from tidegate.files.nameless import Nameless


class Apart(NamedTuple):
    """How rows are put apart.

    Attributes:
        parts: In how many parts, each of which must fit into memory.
        folder: Where they are written; None for the system's folder of temporary files.
    """

    parts: int
    folder: str | os.PathLike[str] | None = None


class TableApart:
    """A long table whose rows are written to several files, all rows of a key to the same one.

    The files have no names, and are gone with the process. It needs pyarrow.
    """

    def __init__(self, roles: Roles, apart: Apart) -> None:
        """Begins with no row.

        Args:
            roles: What the columns are; each row is a step.
            apart: How.
        """
        self._roles, self._how = roles, apart
        self._reader = _Reader(roles)
        self._files: dict[int, Nameless] = {}
        self._writers: dict[int, Any] = {}
        self.rows = 0

    def begin(self, file: str) -> None:
        """Begins another file, see `LongTable.begin`."""
        self._reader.begin(file)

    def add(self, block: Block) -> None:
        """Adds some rows, see `LongTable.add`."""
        rows = self._reader.read(block)
        part_of = {key: _digest(key) % self._how.parts for key in set(rows.keys)}
        parts = np.array([part_of[key] for key in rows.keys])
        order = np.argsort(parts, kind="stable")
        ends = np.searchsorted(parts[order], np.arange(self._how.parts + 1))
        batch = _batch(rows).take(order)
        for part, (start, end) in enumerate(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)):
            if start < end:
                self._writer(part, batch.schema).write_batch(batch.slice(start, end - start))
        self.rows += len(rows.keys)

    def _writer(self, part: int, schema: Any) -> Any:
        import pyarrow as pa  # noqa: PLC0415 - only who has large tables needs it

        if part not in self._writers:
            self._files[part] = Nameless(self._how.folder)
            self._writers[part] = pa.ipc.new_stream(pa.PythonFile(self._files[part].file, mode="w"), schema)
        return self._writers[part]

    def parts(self) -> Iterator[Series]:
        """Yields the sequences of one part after the other.

        Raises:
            ValueError: As in `check_whole`, and as in `LongTable.add` for rows with several labels.
        """
        ties, comes_again = 0, False
        for part in sorted(self._writers):
            self._writers.pop(part).close()
            table = LongTable(self._roles)
            for rows in self._rows_of(part):
                table.keep(rows)
            found = gathered(table)
            ties, comes_again = ties + table.ties, comes_again or table.comes_again
            yield found
        check_whole(self._roles, self.rows, ties, comes_again=comes_again)

    def _rows_of(self, part: int) -> Iterator[Rows]:
        """Reads a part."""
        import pyarrow as pa  # noqa: PLC0415

        on_disk = self._files.pop(part)
        on_disk.file.seek(0)
        for batch in pa.ipc.open_stream(pa.PythonFile(on_disk.file, mode="r")):
            yield _rows(batch, len(self._roles.features), len(self._roles.labels), timed=self._roles.time is not None)


class _Reader(LongTable):
    """Reads and checks the rows of a long table, and keeps none."""

    def read(self, block: Block) -> Rows:
        """Reads what some rows hold, see `LongTable.add`."""
        return self._read(block)


def _digest(key: Any) -> int:
    """Returns a number that is the same for equal keys, in every process."""
    if isinstance(key, float) and key.is_integer():
        key = int(key)
    return zlib.crc32(str(key).encode(errors="surrogatepass"))


def _batch(rows: Rows) -> Any:
    """Makes a batch of Arrow of rows; times are the bits of whole numbers or of fractions."""
    import pyarrow as pa  # noqa: PLC0415

    times = np.zeros(len(rows.keys), np.int64) if rows.times is None else rows.times
    columns: dict[str, Any] = {
        "place": rows.places,
        "file": [rows.file] * len(rows.keys),
        "key": _texts(rows.keys),
        "time": times.view(np.int64),
        "fraction": np.full(len(times), times.dtype.kind == "f"),
    }
    columns |= {f"label {i}": _texts(values) for i, values in enumerate(rows.labels)}
    columns |= {f"feature {k}": column.astype(np.float64) for k, column in enumerate(rows.numbers.T)}
    return pa.RecordBatch.from_pydict(columns)


def _texts(values: list[Any]) -> list[str]:
    """Writes values as JSON, each different one once."""
    if set(map(type, values)) == {int}:
        return list(map(str, values))
    pairs = list(zip(map(type, values), values, strict=True))  # 1, 1.0 and True are equal, and not written alike
    known = {pair: json_text(pair[1]) for pair in set(pairs)}
    return [known[pair] for pair in pairs]


def _values(texts: list[str]) -> list[Any]:
    different = list(set(texts))
    known = dict(zip(different, json.loads(f"[{','.join(different)}]"), strict=True))
    return [known[text] for text in texts]


def _rows(batch: Any, features: int, labels: int, *, timed: bool) -> Rows:
    """Makes rows of what `_batch` has made of them."""
    times = batch.column("time").to_numpy()
    if len(times) and batch.column("fraction")[0].as_py():
        times = times.view(np.float64)
    numbers = [batch.column(f"feature {k}").to_numpy(zero_copy_only=False) for k in range(features)]
    return Rows(
        _values(batch.column("key").to_pylist()),
        np.stack(numbers, axis=1),
        times if timed else None,
        [_values(batch.column(f"label {i}").to_pylist()) for i in range(labels)],
        batch.column("place").to_numpy(),
        batch.column("file")[0].as_py() if len(times) else "",
    )
