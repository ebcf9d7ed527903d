"""How much memory a training may take."""

import os
import re

LEAST = 10**9
"""Bytes; PyTorch, the network and the tables of words take about half as many, however little data there is."""

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 1 << 10, "MI": 1 << 20, "GI": 1 << 30}


def memory_of(size: str | int | None, processes: int = 1) -> int:
    """Reads a size in bytes.

    Example:
        >>> memory_of("2GB"), memory_of("1.5 GiB")
        (2000000000, 1610612736)

    Args:
        size: A number of bytes, or a text such as 2GB, 1500 MB or 4GiB; None for half of the memory of the machine,
            shared out among all processes.
        processes: How many of them train.

    Raises:
        ValueError: It is no size, or too small to train in.
    """
    if size is None:
        return max(LEAST, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (2 * processes))
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]I?)?B?\s*", str(size).upper())
    if found is None or (found[2] or "") not in _UNITS:
        raise ValueError(f"memory is {size!r}, expected a size such as 2GB or 1500MB")
    memory = int(float(found[1]) * _UNITS[found[2] or ""])
    if memory < LEAST:
        raise ValueError(f"memory is {size}, expected {LEAST // 10**9} GB or more, as PyTorch takes about half of it")
    return memory
