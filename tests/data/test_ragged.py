"""Arrays of sequences in .npz files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.data import series

VALUES = np.arange(12, dtype=np.float32).reshape(6, 2)


def test_steps_end_to_end(tmp_path: Path) -> None:
    """Values and lengths are sequences; labels of any plain type go with them."""
    for labels in (["a", "b", "a"], [3, 1, 3], [0.5, 1.5, 2.5]):
        np.savez(tmp_path / "x.npz", values=VALUES, lengths=[1, 3, 2], labels=labels)
        found = series.read(tmp_path / "x.npz")
        assert [x.tolist() for x in found.sequences] == [part.tolist() for part in np.split(VALUES, [1, 4])]
        assert found.labels == {"label": labels}


def test_other_shapes(tmp_path: Path) -> None:
    """One number a step, an array of three axes, and several numbers to predict."""
    np.savez_compressed(tmp_path / "x.npz", values=np.arange(3, dtype=np.int16), lengths=[2, 0, 1])
    first, empty, last = series.read(tmp_path / "x.npz", need_label=False).sequences
    assert (first.tolist(), empty.shape, last.tolist()) == ([[0], [1]], (0, 1), [[2]])
    np.savez(tmp_path / "x.npz", X=VALUES.reshape(2, 3, 2), y=[[1.0, 2.0], [3.0, 4.0]])
    found = series.read(tmp_path / "x.npz")
    assert found.sequences[1].tolist() == VALUES[3:].tolist()
    assert found.labels == {"label_0": [1.0, 3.0], "label_1": [2.0, 4.0]}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"series": VALUES}, "the arrays are none, expected values, and lengths"),
        ({"values": VALUES}, r"values has shape \(6, 2\), expected \[B, T, K\], or \[N, K\] with lengths"),
        ({"values": np.empty((0, 2))}, r"values has shape \(0, 2\), expected \[B, T, K\], or \[N, K\] with lengths"),
        ({"values": np.float32(1)}, r"values has shape \(\), expected \[B, T, K\], or \[N, K\] with lengths"),
        ({"values": np.float32(1), "lengths": [1]}, r"values has shape \(\), expected \[N, K\] with N = 1"),
        ({"values": VALUES[:0], "lengths": np.empty(0, int)}, "there are no sequences"),
        ({"values": VALUES, "lengths": [6], "labels": "up"}, r"labels has shape \(\), expected \[B\] or \[B, C\]"),
        ({"values": VALUES, "lengths": [1, 2]}, r"values has shape \(6, 2\), expected \[N, K\] with N = 3"),
        ({"values": VALUES, "lengths": [7, -1]}, "lengths has shape .* expected integers"),
        ({"values": VALUES, "lengths": [6.0]}, "lengths has shape .* expected integers"),
        ({"values": VALUES.astype(str), "lengths": [6]}, "values has dtype .*, expected numbers"),
        ({"values": VALUES, "lengths": [6], "labels": [1, 2]}, "labels has 2 rows for 1 sequences"),
        ({"values": VALUES, "x": VALUES, "lengths": [6]}, "it has the arrays values and x, expected one of them"),
        ({"values": VALUES, "lengths": [6]}, "there are no labels"),
        ({"values": np.array([{}], object), "lengths": [1]}, "Object arrays cannot be loaded"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    """Missing arrays, and sizes and types that do not fit, are errors."""
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        series.read(tmp_path / "x.npz")


def test_sequences_without_a_step_have_features(tmp_path: Path) -> None:
    """If no sequence has a step, there are as many as lengths, with the features of values."""
    np.savez(tmp_path / "x.npz", values=VALUES[:0], lengths=[0, 0], labels=["a", "b"])
    assert [x.shape for x in series.read(tmp_path / "x.npz").sequences] == [(0, 2), (0, 2)]


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """What is no .npz file is named as such."""
    np.savez(tmp_path / "x.npz", values=VALUES, lengths=[6])
    whole = (tmp_path / "x.npz").read_bytes()
    for damaged in (b"", b"PK\x03\x04", whole[:100], b"label,x\n1,2\n"):
        (tmp_path / "x.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"x\.npz: it is no \.npz file, or a damaged one"):
            series.read(tmp_path / "x.npz", need_label=False)
    values = np.random.default_rng(0).normal(size=(500, 2))
    np.savez_compressed(tmp_path / "x.npz", values=values, lengths=[500])
    packed = bytearray((tmp_path / "x.npz").read_bytes())
    for place in (60, 500, 3000):
        (tmp_path / "x.npz").write_bytes(packed[:place] + bytes(40) + packed[place + 40 :])
        with pytest.raises(ValueError, match=r"x\.npz: it is no \.npz file, or a damaged one"):
            series.read(tmp_path / "x.npz", need_label=False)
