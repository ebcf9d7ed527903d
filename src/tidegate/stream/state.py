"""What has been read of a stream as bytes: to be stored, or sent to where the same model is."""

import json
import struct
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import NamedTuple, Self

import numpy as np

from tidegate.text.pieces import Held
from tidegate.text.tokenizer import NO_WORDS, UNKNOWN, Words

_MAGIC = b"tidegate stream\0"
_VERSION = 1
_HEAD = struct.Struct("<16sHxx16sQIIQQ")  # magic, version, model_id, steps, bytes of held data, text, arrays, words
_CHECK = 16  # bytes of BLAKE2b at the end: of damage, not of forgery


class StateError(ValueError):
    """Bytes are no state of a stream: damaged, of another version, or of another model."""


class State(NamedTuple):
    """What has been read of one stream.

    Attributes:
        model_id: Of the model, 16 bytes.
        steps: Steps read.
        held: What is held back of a text.
        arrays: What the parts of the model keep, float32 in little-endian order, one after another.
        words: The words that were read, if a part needs them all; else none.
    """

    model_id: bytes
    steps: int
    held: Held
    arrays: bytes
    words: Words = NO_WORDS

    def to_bytes(self) -> bytes:
        """Writes it down, with a version and a check."""
        parts = (self.held.data, self.held.text.encode(), self.arrays, _packed(self.words))
        head = _HEAD.pack(_MAGIC, _VERSION, self.model_id, self.steps, *map(len, parts))
        body = head + b"".join(parts)
        return body + blake2b(body, digest_size=_CHECK).digest()

    @classmethod
    def from_bytes(cls, data: bytes, model_id: bytes, floats: int) -> Self:
        """Reads what `to_bytes` wrote.

        Args:
            data: The bytes.
            model_id: Of the model at hand.
            floats: The numbers that it keeps of a stream.

        Raises:
            TypeError: They are no bytes.
            StateError: They are damaged, or of another version or model.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"state is {data!r:.60}, expected bytes, as a session's state is")
        data = bytes(data)
        if len(data) < _HEAD.size + _CHECK or not data.startswith(_MAGIC):
            raise StateError("this is no state of a stream")
        _, version, model, steps, *sizes = _HEAD.unpack_from(data)
        if version != _VERSION:
            raise StateError(f"the state is of version {version}, expected {_VERSION}: another version of tidegate")
        body, check = data[:-_CHECK], data[-_CHECK:]
        if blake2b(body, digest_size=_CHECK).digest() != check or len(body) != _HEAD.size + sum(sizes):
            raise StateError("the state is damaged: its check does not fit")
        if model != model_id:
            raise StateError("the state is of a stream through another model")
        if steps >= 2**63:
            raise StateError(f"the state is of {steps:,} steps, expected less than 2**63")
        if sizes[2] != 4 * floats:
            raise StateError(f"the state holds {sizes[2]} bytes of numbers, expected {4 * floats}")
        ends = [*accumulate(sizes, initial=_HEAD.size)]
        first, text, arrays, words = (body[start:end] for start, end in pairwise(ends))
        try:
            return cls(model, steps, Held(text.decode(), first), arrays, _unpacked(words, steps))
        except UnicodeDecodeError:
            raise StateError("the state holds a text that is no UTF-8") from None


def _packed(words: Words) -> bytes:
    """Writes words down: their ids, int32 in little-endian order, and those without one as JSON."""
    if not len(words.ids):
        return b""
    return words.ids.astype("<i4").tobytes() + json.dumps(words.unknown, ensure_ascii=False).encode()


def _unpacked(data: bytes, steps: int) -> Words:
    """Reads what `_packed` wrote of so many words."""
    if not data:
        return NO_WORDS
    try:
        ids, unknown = np.frombuffer(data[: 4 * steps], "<i4").astype(np.int32), json.loads(data[4 * steps :])
    except (ValueError, RecursionError):
        raise StateError("the state holds words that are damaged") from None
    strings = isinstance(unknown, list) and all(isinstance(word, str) for word in unknown)
    if len(ids) != steps or not strings or len(unknown) not in {0, np.count_nonzero(ids == UNKNOWN)}:
        raise StateError("the state holds words that are damaged")
    return Words(ids, tuple(unknown))
