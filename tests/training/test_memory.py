"""Sizes of memory as users write them."""

import pytest

from tidegate.training.data.memory import LEAST, memory_of


@pytest.mark.parametrize(
    ("size", "memory"), [("2GB", 2 * 10**9), ("1.5 gib", 3 << 29), ("1500M", 15 * 10**8), ("3000000000", 3 * 10**9)]
)
def test_sizes_are_read(size: str, memory: int) -> None:
    """Sizes have the usual units."""
    assert memory_of(size) == memory


@pytest.mark.parametrize(
    ("size", "message"), [("much", "a size such as 2GB"), ("2XB", "2GB"), ("999MB", "1 GB or more")]
)
def test_what_is_no_size_is_refused(size: str, message: str) -> None:
    """What is no size, or too little to train in, is refused."""
    with pytest.raises(ValueError, match=message):
        memory_of(size)


def test_half_of_the_machine_is_the_default() -> None:
    """Where nothing is said it is half of the memory, and enough to train in."""
    assert LEAST <= memory_of(None) < 1 << 50
