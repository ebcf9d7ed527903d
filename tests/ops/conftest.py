"""Tests of kernels may set the number of threads."""

from collections.abc import Iterator

import pytest

import tidegate


@pytest.fixture(autouse=True)
def _restored_num_threads() -> Iterator[None]:
    threads = tidegate.get_num_threads()
    yield
    tidegate.set_num_threads(threads)
