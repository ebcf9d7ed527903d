"""What streams ask of a network: its parts, each of which keeps a little of a stream and adds every step to it.

A network's scores are the sum of those of its parts. One part is the recurrent stack, or the pooling, with its summary
and the head; n-grams are another.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from tidegate.files.digests import digest
from tidegate.ops.checks import check
from tidegate.ops.compressed import Compressed
from tidegate.sequences.recurrent import Recurrent
from tidegate.sequences.summaries import PARTS, summary_parts
from tidegate.text.tokenizer import NO_WORDS, Tokenizer, Words

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


class Streamable(Protocol):
    """A network that can be streamed.

    Attributes:
        model_id: Tells models apart, 16 bytes.
        tokenizer: What cuts its texts into words; None if it reads vectors.
        most_steps: The steps that it reads of a sequence; None for all.
        reads_sound: Whether its steps are samples of sound.
    """

    @property
    def model_id(self) -> bytes: ...  # noqa: D102 - see above, and so below
    @property
    def tokenizer(self) -> Tokenizer | None: ...  # noqa: D102
    @property
    def most_steps(self) -> int | None: ...  # noqa: D102
    @property
    def reads_sound(self) -> bool: ...  # noqa: D102

    def stream_parts(self) -> tuple[StreamPart, ...]:
        """Returns its parts, the one whose summary is the sequence's vector first.

        Raises:
            ValueError: It can't be streamed.
        """
        ...

    def vectors_of(self, ids: npt.NDArray[np.int32]) -> Array:
        """Returns the vectors of words, float32 [..., I]."""
        ...

    def read_texts(self, texts: Iterable[str]) -> list[Words]:
        """Cuts texts into words, with all that its parts read of them."""
        ...

    def check_vectors(self, name: str, source: Any, axes: str) -> Array:
        """Returns vectors as float32 with these axes, such as "B T", before I; raises TypeError or ValueError."""
        ...

    def probabilities_of(self, scores: Array) -> Array:
        """Returns the probabilities of scores, [B, C]; raises ValueError if it is not a classifier."""
        ...

    def predictions_of(self, scores: Array) -> npt.NDArray[Any]:
        """Returns the classes or numbers of scores, [B] or [B, C]."""
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
                found.append(kept["states"][rows, 0, -1])
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


class StreamableStack:
    """A bare stack as a network that can be streamed."""

    tokenizer, most_steps, reads_sound = None, None, False

    def __init__(self, stack: Recurrent) -> None:
        """Takes a stack."""
        self._stack = stack

    @cached_property
    def model_id(self) -> bytes:
        """See `Streamable`."""
        return model_id(f"{self._stack.cell} {self._stack.summary}", self._stack.stored)

    def stream_parts(self) -> tuple[StreamPart, ...]:
        """See `Streamable`."""
        return (NetworkPart(self._stack.outputs, self._stack, self._stack.hidden_size, self._stack.summary),)

    def check_vectors(self, name: str, source: Any, axes: str) -> Array:
        """See `Streamable`."""
        return check_vectors(name, source, f"{axes} I", self._stack.input_size)

    def vectors_of(self, ids: npt.NDArray[np.int32]) -> Array:
        """See `Streamable`."""
        raise TypeError("a stack reads vectors, not words")

    def read_texts(self, texts: Iterable[str]) -> list[Words]:
        """See `Streamable`."""
        raise TypeError("a stack reads vectors, not texts")

    def probabilities_of(self, scores: Array) -> Array:
        """See `Streamable`."""
        raise ValueError("a stack has no classes")

    predictions_of = probabilities_of

    def __repr__(self) -> str:
        return repr(self._stack)


def streamable(model: Streamable | Recurrent) -> Streamable:
    """Returns what can be streamed of a model or a bare stack."""
    return StreamableStack(model) if isinstance(model, Recurrent) else model


def piece_vectors(model: Streamable, piece: Any) -> Array:
    """Returns the steps of a piece of a stream of vectors, float32 [T, I]; see `Streamable.check_vectors`."""
    array = np.asarray(piece)
    if array.ndim == 1 and array.size and not model.reads_sound:
        return model.check_vectors("piece", array, "")[None]
    return model.check_vectors("piece", array, "T")


def check_vectors(name: str, source: Any, letters: str, size: int) -> Array:
    """Returns vectors of finite numbers as float32, in their shape.

    Args:
        name: For errors.
        source: The vectors.
        letters: Of its axes, as in `checks.check`; the last one is that of the features.
        size: Number of features.

    Raises:
        TypeError: They are no numbers.
        ValueError: They have another shape, or are not finite.
    """
    array = np.asarray(source)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    with np.errstate(over="ignore"):  # numbers beyond float32 are not finite then
        numbers = array.astype(np.float32, copy=False)
    checked = check(name, numbers, letters, {letters[-1]: (size, "the model")})
    with np.errstate(all="ignore"):  # a sum is quick, and finite only where all are; it may also overflow
        finite = np.isfinite(checked.sum()) or np.isfinite(checked).all()
    if not finite:
        raise ValueError(f"{name} holds {np.count_nonzero(~np.isfinite(checked))} numbers that are not finite")
    return checked


def model_id(description: str, arrays: Mapping[str, Array | Compressed]) -> bytes:
    """Computes what tells models apart: 16 bytes of a digest of a description and the weights, as they are kept."""
    parts: list[str | npt.NDArray[Any]] = [description]
    for name in sorted(arrays):
        each = arrays[name]
        for array in (each.values, each.scales) if isinstance(each, Compressed) else (each,):
            if array is not None:
                little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
                parts += [f"\0{name} {little_endian.dtype.str} {array.shape}\0", little_endian]
    return bytes.fromhex(digest(parts))[:16]
