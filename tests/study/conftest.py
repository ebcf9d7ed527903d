"""What tests of studies share; without the packages that studies need, they are skipped."""

from pathlib import Path

import numpy as np
import pytest

for package in ("torch", "pyarrow", "matplotlib"):
    pytest.importorskip(package)


@pytest.fixture(scope="session")
def by_order(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of reviews whose class is decided by the order of two words alone, and not by which words there are."""
    from tidegate.data import tables

    folder, rng = tmp_path_factory.mktemp("by-order"), np.random.default_rng(0)
    for part, count in (("train", 1200), ("test", 200)):
        labels = rng.integers(0, 2, count)
        texts = ["plot before end" if label else "end before plot" for label in labels]
        tables.write(folder / f"{part}.parquet", {"text": texts, "label": labels.tolist()})
    return folder
