"""Rows to train on that lie in a file on a disk, block by block, because they do not fit into memory.

Each epoch draws the blocks in another order and reads so many at once, a pool, that its rows are well mixed. A pool is
rows in memory, from which batches are drawn as from any other; the next one is read meanwhile.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.files.nameless import Nameless
from tidegate.training.data.corpus import Integers
from tidegate.training.data.labelled import Batches, Labelled
from tidegate.training.data.sampling import shuffled_batches

Array = npt.NDArray[Any]

_BLOCK = 1 << 18
"""Bytes of a block: enough for a disk to read it at full speed, few enough that a pool has hundreds of them."""


class Loaded(NamedTuple):
    """Some rows as they were written, and what is to be predicted of each."""

    rows: list[Array]
    targets: Array


class SpoolWriter:
    """Writes rows to a file without a name."""

    def __init__(self, folder: str | os.PathLike[str] | None, steps: npt.DTypeLike, targets: npt.DTypeLike) -> None:
        """Begins with no row.

        Args:
            folder: Where the file is; None for the system's folder of temporary files.
            steps: Type of the steps of a row.
            targets: Type of what is to be predicted of it.
        """
        self._on_disk = Nameless(folder)
        self._types = np.dtype(steps), np.dtype(targets)
        self._index: list[tuple[int, int, int]] = []
        self._rows: list[Array] = []
        self._targets: list[Array] = []
        self._bytes, self._digest, self._shapes = 0, sha256(), ((), ())
        self.steps = 0

    def add(self, rows: Iterable[Array], targets: Iterable[Any]) -> None:
        """Adds rows [T, ...] and what is to be predicted of each."""
        for row, target in zip(rows, targets, strict=True):
            self._rows.append(np.ascontiguousarray(row, self._types[0]))
            self._targets.append(np.asarray(target, self._types[1]))
            self._bytes += row.nbytes
            self.steps += len(row)
            if self._bytes >= _BLOCK:
                self._flush()

    def _flush(self) -> None:
        """Writes a block: the steps of each row, what is to be predicted, and the steps."""
        if not self._rows:
            return
        lengths = np.array([len(row) for row in self._rows], np.int64)
        targets, steps = np.stack(self._targets), np.concatenate(self._rows)
        self._shapes = steps.shape[1:], targets.shape[1:]
        file = self._on_disk.file
        self._index.append((file.tell(), len(lengths), int(lengths.sum())))
        for array in (lengths, targets, steps):
            self._digest.update(array.data)
            file.write(array.data)
        self._rows, self._targets, self._bytes = [], [], 0

    def finish(self) -> "Blocks":
        """Returns what was written, to be read."""
        self._flush()
        self._on_disk.file.flush()
        index = np.array(self._index, np.int64).reshape(-1, 3)
        return Blocks(self._on_disk, index, self._types, self._shapes, self._digest.hexdigest())


@dataclass(frozen=True, eq=False)
class Blocks:
    """Rows in a file.

    Attributes:
        on_disk: The file.
        index: Of each block its place in the file, its rows and their steps, int64 [·, 3].
        types: Of the steps and of the targets.
        shapes: Of one step and of one target.
        digest: Of all that is in it, in order.
    """

    on_disk: Nameless
    index: Integers
    types: tuple[np.dtype[Any], np.dtype[Any]]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    digest: str

    @property
    def bytes_of_step(self) -> int:
        """Bytes that a step takes in the file."""
        return int(self.types[0].itemsize * np.prod(self.shapes[0], dtype=int))

    def read(self, block: int, start: int = 0, stop: int | None = None) -> Loaded:
        """Reads some rows of a block."""
        place, count, steps = (int(number) for number in self.index[block])
        lengths = self._array(place, np.dtype(np.int64), (count,))
        place += lengths.nbytes
        targets = self._array(place, self.types[1], (count, *self.shapes[1]))
        values = self._array(place + targets.nbytes, self.types[0], (steps, *self.shapes[0]))
        return Loaded(np.split(values, np.cumsum(lengths)[:-1])[start:stop], targets[start:stop])

    def _array(self, place: int, kind: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        size = kind.itemsize * int(np.prod(shape, dtype=int))
        data = os.pread(self.on_disk.file.fileno(), size, place)  # not from where another thread reads
        return np.frombuffer(data, kind).reshape(shape)


@dataclass(frozen=True, eq=False)
class Spool:
    """Rows to train on that lie on a disk.

    Attributes:
        blocks: The rows as they were written.
        prepared: Makes of rows as they were written those that a network reads.
        pool_bytes: About how many bytes of them are in memory at a time.
        class_counts: Rows of each class, int64 [C]; None for a regression.
    """

    blocks: Blocks
    prepared: Callable[[Loaded], Labelled]
    pool_bytes: int
    class_counts: Integers | None = None

    def __len__(self) -> int:
        return int(self.blocks.index[:, 1].sum())

    @property
    def steps(self) -> int:
        """Steps of all rows."""
        return int(self.blocks.index[:, 2].sum())

    def described(self) -> list[str | Array]:
        """Returns what tells these rows from others, for a fingerprint."""
        return [self.blocks.digest]

    def pool_batches(self, size: int) -> int:
        """Returns how many batches a pool has."""
        rows = len(self) * self.pool_bytes // max(1, self.steps * self.blocks.bytes_of_step)
        return max(1, min(rows, len(self)) // size)

    def batches(self, size: int, rng: "np.random.Generator", skip: int = 0) -> Batches:
        """Draws the batches of an epoch.

        Args:
            size: Rows in a batch; the last one may have fewer.
            rng: Source of the order, from which one number is drawn at once.
            skip: How many batches to leave out, which are not read.

        Returns:
            Batches, each a pool and some of its rows, int64 [B].
        """
        return self._batches(size, int(rng.integers(1 << 62)), skip)

    def _batches(self, size: int, seed: int, skip: int) -> Batches:
        order = np.random.default_rng(seed).permutation(len(self.blocks.index))
        ends = np.cumsum(self.blocks.index[order, 1])
        each = self.pool_batches(size)
        first, left_out = divmod(skip, each)

        def load(number: int) -> Labelled:
            return self._pool(order, ends, number * each * size, (number + 1) * each * size)

        numbers = range(first, -(-len(self) // (each * size)))
        for number, pool in zip(numbers, _ahead(load, numbers), strict=True):
            drawn = shuffled_batches(pool.corpus.lengths, size, np.random.default_rng([seed, number]))
            for rows in drawn[left_out:]:
                yield pool, rows
            left_out = 0

    def _pool(self, order: Integers, ends: Integers, start: int, stop: int) -> Labelled:
        """Reads the rows from `start` to `stop` of the blocks in an order, whose rows end at `ends`."""
        rows: list[Array] = []
        targets: list[Array] = []
        for place in range(int(np.searchsorted(ends, start, "right")), len(order)):
            begin = int(ends[place] - self.blocks.index[order[place], 1])
            if begin >= stop:
                break
            loaded = self.blocks.read(int(order[place]), max(0, start - begin), stop - begin)
            rows += loaded.rows
            targets.append(loaded.targets)
        return self.prepared(Loaded(rows, np.concatenate(targets)))


def _ahead(load: Callable[[int], Labelled], numbers: Iterable[int]) -> Iterator[Labelled]:
    """Loads pools one after the other in a thread of its own, the next one while the caller uses one."""
    with ThreadPoolExecutor(1, "spool") as thread:
        waiting: deque[Future[Labelled]] = deque()
        for number in numbers:
            waiting.append(thread.submit(load, number))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()
