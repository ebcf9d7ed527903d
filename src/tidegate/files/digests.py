"""SHA-256 digests, which tell whether anything has changed."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt


def digest(parts: Iterable[str | npt.NDArray[Any]]) -> str:
    """Computes the SHA-256 of texts, in UTF-8, and of the bytes of arrays, one behind the other.

    Shapes and types of arrays, and where a part ends, count only if the caller makes texts of them.

    Example:
        >>> digest(["ab"]) == digest(["a", "b"]) == digest([np.frombuffer(b"ab", np.uint8)])
        True

    Returns:
        64 hexadecimal digits.
    """
    sha256 = hashlib.sha256()
    for part in parts:
        text = isinstance(part, str)
        sha256.update(part.encode("utf-8", "surrogatepass") if text else np.ascontiguousarray(part).data)  # type: ignore[union-attr]
    return sha256.hexdigest()
