"""What streams ask of a network, and a bare stack as such a network."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tidegate.files.digests import digest
from tidegate.ops.compressed import Compressed
from tidegate.sequences.recurrent import Recurrent
from tidegate.stream.parts import Array, NetworkPart, StreamPart
from tidegate.stream.vectors import check_vectors
from tidegate.text.tokenizer import Tokenizer, Words


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
