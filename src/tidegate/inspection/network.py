"""What inspection asks of a network; the classes of `tidegate.models` have it."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tidegate.ops.trace import Trace
from tidegate.sequences.embedded import Embedded
from tidegate.sequences.recurrent import Recurrent

Array = npt.NDArray[np.float32]
Source = str | npt.NDArray[Any] | Embedded
"""One sequence: a text, or vectors [T, I]; or what `embed` has made of it."""


class Network(Protocol):
    """Vectors, a recurrent stack, a summary and a linear head.

    Attributes:
        stack: The recurrent layers; None for the summaries without weights.
        summary: How outputs become a summary vector, see `summarize`.
        labels: Names of the C logits.
        head_weight: Of the head, float32 [C, F].
        head_bias: Of the head, float32 [C].
        rate: Growth factors of a compounding summary, [1] or [I]; None for others.
        cell_name: What the summary is called: a cell, "average" or "compound".
    """

    @property
    def stack(self) -> Recurrent | None: ...  # noqa: D102 - see above, and so below
    @property
    def summary(self) -> str: ...  # noqa: D102
    @property
    def labels(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def head_weight(self) -> Array: ...  # noqa: D102
    @property
    def head_bias(self) -> Array: ...  # noqa: D102
    @property
    def rate(self) -> Array | None: ...  # noqa: D102
    @property
    def cell_name(self) -> str: ...  # noqa: D102

    def embed(self, source: Any) -> Embedded:
        """Makes sequences of vectors from what the network reads."""
        ...

    def trace(self, source: Any) -> list[Trace]:
        """Returns every gate of every unit at every step, layer by layer, forward before reverse."""
        ...

    def outputs(self, x: Array, lengths: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """Runs the cell over a padded batch."""
        ...

    def summaries(self, rows: Sequence[npt.NDArray[np.integer[Any]]], table: Array) -> Array:
        """Summarises sequences that are given as rows of a table, [B, F]."""
        ...

    def summaries_so_far(self, x: Array, outputs: Array) -> Array:
        """Summarises every beginning of one sequence, [T, F]."""
        ...

    def head(self, summaries: Array) -> Array:
        """Applies the head, [B, C]."""
        ...


class Reader(Network, Protocol):
    """A network that reads texts."""

    @property
    def vocabulary(self) -> Iterable[str]: ...  # noqa: D102 - the words that it knows
