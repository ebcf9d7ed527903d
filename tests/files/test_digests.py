"""Digests of texts and arrays."""

import hashlib

import numpy as np

from tidegate.files.digests import digest


def test_a_digest_is_the_sha256_of_all_bytes() -> None:
    """Texts count in UTF-8, half characters too, and arrays as their numbers lie in memory, in the order of rows."""
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    expected = hashlib.sha256("é".encode() + b"\xed\xa0\x80" + array.tobytes()).hexdigest()
    assert digest(["é", "\ud800", array]) == expected
    assert digest([array.T]) == hashlib.sha256(array.T.tobytes()).hexdigest() != digest([array])
