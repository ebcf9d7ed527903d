"""The process that reads files of Keras: the same as here, and an end to what never ends."""

import json
from pathlib import Path

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

from tidegate.convert import ConversionError, convert  # noqa: E402
from tidegate.convert.keras import process as keras_process  # noqa: E402
from tidegate.convert.keras.file import read_here  # noqa: E402

FOLDER = Path(__file__).parent / "keras"

EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


def test_a_process_reads_the_same() -> None:
    """Through a process come the same layers and numbers, and the same errors."""
    for name in EXPECTED:
        near, far = read_here(FOLDER / name), keras_process.read(FOLDER / name)
        assert near.version == far.version
        for one, other in zip(near.layers, far.layers, strict=True):
            assert (one.kind, one.config, one.arrays.keys()) == (other.kind, other.config, other.arrays.keys())
            for way, arrays in one.arrays.items():
                for array, same in zip(arrays, other.arrays[way], strict=True):
                    np.testing.assert_array_equal(array, same)


def test_an_error_comes_through_the_process(tmp_path: Path) -> None:
    """What is wrong is said as it would be here."""
    (tmp_path / "m.h5").write_bytes((FOLDER / "numbers.h5").read_bytes()[:600])
    with pytest.raises(ConversionError, match=r"m.h5 is no model of Keras, or a damaged one"):
        keras_process.read(tmp_path / "m.h5")


def test_a_process_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that HDF5's library never gets through is one clear error, and so is one that it dies of."""
    monkeypatch.setattr(keras_process, "LONGEST", 0.01)
    with pytest.raises(ConversionError, match=r"numbers.h5 is damaged: HDF5's library did not get through it"):
        convert(FOLDER / "numbers.h5")
    monkeypatch.setattr(keras_process, "LONGEST", 60.0)
    monkeypatch.setattr(keras_process, "__name__", "no_such_module")
    with pytest.raises(ConversionError, match=r"numbers.h5 is damaged: the process that read it ended with 1"):
        convert(FOLDER / "numbers.h5")
