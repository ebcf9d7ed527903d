"""The cluster of the tests: one that is running, or one of their own."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of the cluster; one of the tests' own is stopped after them."""
    ray = pytest.importorskip("ray")
    yield "auto" if "RAY_ADDRESS" in os.environ else "local"
    ray.shutdown()
