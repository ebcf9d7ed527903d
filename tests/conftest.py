"""Fixtures that more than one file of tests uses."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets that TIDEGATE_DATA names; tests that ask for it are skipped where there is none."""
    folder = Path(os.environ.get("TIDEGATE_DATA") or "nowhere")
    if not folder.is_dir():
        pytest.skip("TIDEGATE_DATA names no folder of data sets")
    return folder
