"""A cell of the grid with numbers in it: the arrays that all contenders are given."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from grid import Cell

Array = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

SMALL = 1e9
"""Floating-point operations from which no library is faster with one thread than with several."""


class Unable(Exception):  # noqa: N818 - it is no error that a library has no such thing
    """Why a contender does not take part in a cell; the reason is recorded."""


@dataclass(frozen=True)
class Episodes:
    """The rows of a batch cut into episodes, as one packed sequence: the longest first, step by step.

    Attributes:
        order: Row of each number of the packed data in x [T, B, I] seen as [T·B, I]; ints [T·B].
        back: Where in the packed data each row of x has gone, ints [T·B].
        batch_sizes: Episodes that are still running at each step, ints [longest episode].
        lengths: Steps of each episode, ints [E], longest first.
    """

    order: Integers
    back: Integers
    batch_sizes: Integers
    lengths: Integers


def parameters(cell: Cell) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields name and shape of each weight, in torch's order."""
    for layer in range(cell.layers):
        inputs = cell.directions * cell.H if layer else cell.I
        for suffix in (f"l{layer}", f"l{layer}_reverse")[: cell.directions]:
            yield f"weight_ih_{suffix}", (cell.gates * cell.H, inputs)
            yield f"weight_hh_{suffix}", (cell.gates * cell.H, cell.H)
            yield f"bias_ih_{suffix}", (cell.gates * cell.H,)
            yield f"bias_hh_{suffix}", (cell.gates * cell.H,)


class Case:
    """Random inputs, weights and output gradients of a cell; the same for the same seed.

    Attributes:
        cell: The cell.
        weights: float32 arrays by the names that the layers of `torch.nn` give them.
        x: Input, float32 [T, B, I].
        dy: Gradient of the loss by the output, float32 [T, B, D·H]; 0 beyond a row's length.
        lengths: Steps of each row, ints [B]; None for T everywhere.
        episode_starts: Before which steps the state is set to 0, bools [T, B]; None for nowhere.
    """

    def __init__(self, cell: Cell, seed: int = 0) -> None:
        numbers = np.random.default_rng(seed)
        H, D, T, B = cell.H, cell.directions, cell.T, cell.B
        self.cell = cell
        self.weights = {
            name: numbers.uniform(-(H**-0.5), H**-0.5, shape).astype(np.float32) for name, shape in parameters(cell)
        }
        self.x = numbers.standard_normal((T, B, cell.I), np.float32)
        self.dy = numbers.standard_normal((T, B, D * H), np.float32)
        self.lengths = self._lengths(numbers) if cell.lengths else None
        self.episode_starts = self._episode_starts(numbers) if cell.episode else None
        if self.lengths is not None:
            self.dy[np.arange(T)[:, None] >= self.lengths] = 0

    def _lengths(self, numbers: np.random.Generator) -> Integers:
        """Draws lengths at even steps of their distribution, so that few rows represent it well, in random order."""
        quantiles = self.cell.lengths
        places = (np.arange(self.cell.B) + 0.5) / self.cell.B
        drawn = np.interp(places, np.linspace(0, 1, len(quantiles)), quantiles).round().astype(np.int64)
        drawn[-1] = self.cell.T  # the longest row is what the batch is padded to
        return numbers.permutation(drawn)

    def _episode_starts(self, numbers: np.random.Generator) -> npt.NDArray[np.bool_]:
        return numbers.random((self.cell.T, self.cell.B)) < 1 / self.cell.episode

    @property
    def steps(self) -> int:
        """Steps of all rows together."""
        return self.cell.T * self.cell.B if self.lengths is None else int(self.lengths.sum())

    @property
    def operations(self) -> int:
        """Floating-point operations of the matrix products of a forward pass."""
        cell = self.cell
        inputs = cell.I + (cell.layers - 1) * cell.directions * cell.H
        return 2 * cell.gates * cell.H * cell.directions * (inputs + cell.layers * cell.H) * self.steps

    @property
    def training_operations(self) -> int:
        """The same of a training step: three times as many, but nobody asks for the gradient by the first states."""
        cell = self.cell
        return 3 * self.operations - 2 * cell.gates * cell.H * cell.H * cell.directions * cell.layers * cell.B

    def thread_counts(self, threads: int) -> list[int]:
        """Returns the numbers of threads that are worth a try: in a small case a second one may cost what it brings."""
        return sorted({1, threads}) if self.operations < SMALL else [threads]

    @cached_property
    def episodes(self) -> Episodes:
        """What a library without episodes can do instead: every episode becomes a row of its own."""
        T, B = self.cell.T, self.cell.B
        starts = np.array(self.episode_starts)
        starts[0] = True
        row, first = np.nonzero(starts.T)
        ends = np.append(first[1:], T)
        lengths = np.where(np.append(row[1:], -1) == row, ends, T) - first
        longest = np.argsort(-lengths, kind="stable")
        row, first, lengths = row[longest], first[longest], lengths[longest]
        batch_sizes = np.array([np.count_nonzero(lengths > step) for step in range(lengths[0])])
        order = np.concatenate([(first[:n] + step) * B + row[:n] for step, n in enumerate(batch_sizes)])
        return Episodes(order, np.argsort(order), batch_sizes, lengths)
