"""The parts of a network that is streamed, each of which keeps a little of a stream and adds every step to it.

A network's scores are the sum of those of its parts. One part is the recurrent stack, or the pooling, with its summary
and the head; n-grams are another.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from tidegate.ops._kernels import empty
from tidegate.sequences.recurrent import Recurrent
from tidegate.sequences.summaries import PARTS, summary_parts
from tidegate.text.tokenizer import NO_WORDS, Words

Array = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]

_MANY = 16  # rows that are worth a step of each in its place; of few, threads share the units of a layer


class Steps(NamedTuple):
    """The next steps of some streams, at least one of each, padded.

    Attributes:
        x: Vectors, float32 [T, B, I].
        ids: The words that they are of, int32 [T, B]; None where the network reads no texts.
        lengths: Steps of each row, int64 [B], 1 to T.
        words: The words of each row, as they were read; None where the network reads no texts.
    """

    x: Array
    ids: npt.NDArray[np.int32] | None
    lengths: npt.NDArray[np.int64]
    words: Sequence[Words] | None = None


class Field(NamedTuple):
    """An array that a part keeps of every stream: its shape, and what it holds before the first step."""

    shape: tuple[int, ...]
    start: float | Array = 0.0


class Kept(dict[str, Array]):
    """The fields of many streams by name, float32 [rows, …], C-contiguous.

    Attributes:
        words: All words that streams have read, by row, where a part needs them.
    """

    def __init__(self, fields: Mapping[str, Array]) -> None:
        """Takes the fields."""
        super().__init__(fields)
        self.words: dict[int, Words] = {}


class StreamPart(Protocol):
    """One part of a network, as it reads streams."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """What it keeps of a stream; no other part has a field of that name."""
        ...

    def read(self, kept: Kept, rows: Rows, steps: Steps) -> None:
        """Adds steps to what is kept of these rows; all bits are those of one step after the other."""
        ...

    def results(self, kept: Kept, rows: Rows, counts: npt.NDArray[np.int64]) -> tuple[Array | None, Array | None]:
        """Returns what it makes of rows that have read so many steps.

        These are vectors [B, F] and its share of the scores [B, C]; either is None where it has none.
        """
        ...


class NetworkPart:
    """A recurrent stack or a pooling, with its summary, and the head."""

    def __init__(
        self,
        outputs: Callable[..., tuple[Array, Array]],
        stack: Recurrent | None,
        features: int,
        summary: str,
        head: Callable[[Array], Array] | None = None,
        first: Array | None = None,
    ) -> None:
        """Takes the parts of a network.

        Args:
            outputs: Runs the stack or the pooling over x [T, B, I], lengths and h0, returns y [T, B, H] and h_n.
            stack: The stack; None for a pooling.
            features: H of the stack, I of a pooling.
            summary: As in `summarize`.
            head: Makes scores [B, C] of summaries [B, F]; None for none.
            first: The states before the first step, h0 of one row; None for 0.

        Raises:
            ValueError: The stack walks in both directions.
        """
        if stack and stack.bidirectional:
            raise ValueError(
                "a network that reads in both directions can't be streamed: one of them begins at the end of a"
                " sequence, which has not come yet; train it without bidirectional"
            )
        self._outputs, self._stack, self._head = outputs, stack, head
        self._state = (stack.cell.S if stack else 1, stack.num_layers if stack else 1, features)
        self._parts = summary_parts(summary)
        self._adds = [name for name in self._parts if name != "last"]  # whose sums are kept; the last state is anyway
        self.fields = {"states": Field(self._state, 0.0 if first is None else first.reshape(self._state))}
        self.fields |= {name: Field((features,), PARTS[name].start) for name in self._adds}

    def read(self, kept: Kept, rows: Rows, steps: Steps) -> None:
        """See `StreamPart`."""
        if self._stack and len(steps.x) == 1 and len(rows) >= _MANY:
            self._stack.step_streams(steps.x[0], kept["states"], rows)
            y = kept["states"][rows, 0, -1][None] if self._adds else steps.x
        else:
            y = self._read(kept["states"], rows, steps)
        for name in self._adds:
            _add(PARTS[name].more, kept[name], rows, y, steps.lengths)

    def _read(self, kept: Array, rows: Rows, steps: Steps) -> Array:
        S, L, H = self._state
        places = rows * (S * L) + np.arange(S * L).reshape((S, L, 1) if S > 1 else (L, 1))
        states = kept.reshape(len(kept) * S * L, H)
        before = states[places]
        if self._stack and len(steps.x) == 1:
            after = self._stack.step(steps.x[0], before, out=before)
            y = after[-1:] if S == 1 else after[0, -1:]
        else:
            y, after = self._outputs(steps.x, steps.lengths, before)
        states[places] = after
        return y

    def results(self, kept: Kept, rows: Rows, counts: npt.NDArray[np.int64]) -> tuple[Array, Array | None]:
        """See `StreamPart`."""
        n, found = np.maximum(counts, 1)[:, None], []
        for name in self._parts:
            if name == "last":
                S, L, H = self._state
                place, last = rows * (S * L) + L - 1, empty(len(rows), H)  # not in memory that is new to the process
                found.append(kept["states"].reshape(-1, H).take(place, axis=0, out=last, mode="clip"))
            else:
                found.append(np.where(counts[:, None] > 0, PARTS[name].value(kept[name][rows], n), np.float32(0)))
        vectors: Array = found[0] if len(found) == 1 else np.concatenate(found, axis=1)
        return vectors, self._head(vectors) if self._head else None


def _add(more: Callable[..., Any], kept: Array, rows: Rows, y: Array, lengths: npt.NDArray[np.int64]) -> None:
    """Adds states y [T, B, F] to what a part of a summary keeps, one step after the other."""
    so_far = kept[rows]
    for t in range(len(y)):
        going_on = slice(None) if t < lengths.min() else lengths > t
        so_far[going_on] = more(so_far[going_on], y[t, going_on])
    kept[rows] = so_far


class WordsPart:
    """A part that is computed anew from all words so far, which cost 4 bytes each, and their letters if unknown."""

    fields: Mapping[str, Field] = MappingProxyType({})

    def __init__(self, scores: Callable[[Sequence[Words]], npt.NDArray[np.floating]]) -> None:
        """Takes what computes scores [B, C] of the words of B texts."""
        self._scores = scores

    def read(self, kept: Kept, rows: Rows, steps: Steps) -> None:
        """See `StreamPart`."""
        for row, words in zip(rows.tolist(), steps.words or (), strict=True):
            kept.words[row] = kept.words.get(row, NO_WORDS).followed_by(words)

    def results(self, kept: Kept, rows: Rows, counts: npt.NDArray[np.int64]) -> tuple[None, Array]:
        """See `StreamPart`."""
        return None, self._scores([kept.words.get(row, NO_WORDS) for row in rows.tolist()]).astype(np.float32)
