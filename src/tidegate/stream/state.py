"""What has been read of a stream as bytes: to be stored, or sent to where the same model is."""

import struct
from hashlib import blake2b
from typing import NamedTuple, Self

from tidegate.text.pieces import Held

_MAGIC = b"tidegate stream\0"
_VERSION = 1
_HEAD = struct.Struct("<16sHxx16sQIIQ")  # magic, version, model_id, steps, bytes of held data, text and arrays
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
    """

    model_id: bytes
    steps: int
    held: Held
    arrays: bytes

    def to_bytes(self) -> bytes:
        """Writes it down, with a version and a check."""
        text = self.held.text.encode()
        sizes = (len(self.held.data), len(text), len(self.arrays))
        body = _HEAD.pack(_MAGIC, _VERSION, self.model_id, self.steps, *sizes) + self.held.data + text + self.arrays
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
        first, second = _HEAD.size + sizes[0], _HEAD.size + sizes[0] + sizes[1]
        if steps >= 2**63:
            raise StateError(f"the state is of {steps:,} steps, expected less than 2**63")
        if sizes[2] != 4 * floats:
            raise StateError(f"the state holds {sizes[2]} bytes of numbers, expected {4 * floats}")
        try:
            held = Held(body[first:second].decode(), body[_HEAD.size : first])
        except UnicodeDecodeError:
            raise StateError("the state holds a text that is no UTF-8") from None
        return cls(model, steps, held, body[second:])
