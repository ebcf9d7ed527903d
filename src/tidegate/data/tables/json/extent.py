"""Where a JSON value ends, found out without making it: to parse a long one again for each piece would take minutes."""

import numpy as np
import numpy.typing as npt

_QUOTE, _OPENS, _CLOSES = ord('"'), ord("["), ord("]")
_CASE = 0b1101_1111  # without this bit, { and } are [ and ]
_OTHERS = bytes(set(range(256)) - set(b'"[]{}'))


class Extent:
    """Follows a value through the pieces of its text, of which the first begins with it; brackets and texts count.

    Whether it is JSON is not looked at: what is not may seem to end early, late or never.

    Attributes:
        opened: How many objects and arrays have begun.
    """

    def __init__(self) -> None:
        self.opened = 0
        self._depth = 0
        self._in_text = False
        self._backslash = ""  # that ends the last piece, and belongs to the next character

    def ends_in(self, piece: str) -> bool:
        """Takes the next piece, and returns whether an array, an object or a text ends in it, with all around it."""
        piece = self._backslash + piece
        if "\\" in piece:
            piece = piece.replace("\\\\", "  ")
            self._backslash = "\\" if piece.endswith("\\") else ""
            piece = piece.removesuffix("\\").replace('\\"', "  ")
        else:
            self._backslash = ""
        if self._in_text and '"' not in piece:
            return False
        return self._takes(np.frombuffer(piece.encode("latin-1", "replace").translate(None, _OTHERS), np.uint8))

    def _takes(self, letters: npt.NDArray[np.uint8]) -> bool:
        quotes = letters == _QUOTE
        # uint8 wraps around, which leaves even and odd as they are
        outside = (np.cumsum(quotes, dtype=np.uint8) + np.uint8(self._in_text)) & 1 == 0
        brackets = letters & _CASE
        opens, closes = (brackets == _OPENS) & outside, (brackets == _CLOSES) & outside
        depths = np.cumsum(opens.view(np.int8) - closes.view(np.int8), dtype=np.int32) + self._depth
        self.opened += int(np.count_nonzero(opens))
        # inside brackets, no text is the last thing
        ended = depths <= 0 if self._depth else (depths <= 0) & (closes | (quotes & outside))
        if len(letters):
            self._depth, self._in_text = int(depths[-1]), not outside[-1]
        return bool(ended.any())
