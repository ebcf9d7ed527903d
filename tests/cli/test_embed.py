"""`tidegate embed`: summary vectors in files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate.data import tables

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def vectors(folder: Path) -> np.ndarray:
    """The summary vectors of the test texts."""
    return tidegate.load(folder / "model.safetensors").encode(tables.read(folder / "test.csv").texts)


def test_an_npy_file_holds_the_vectors(shell: Shell, folder: Path, vectors: np.ndarray) -> None:
    """One float32 row for each text, in order."""
    code, out, err = shell("embed model.safetensors test.csv -o vectors.npy")
    assert (code, out, err) == (0, "", "wrote 50 vectors of 8 numbers to vectors.npy\n")
    found = np.load(folder / "vectors.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vectors)


def test_a_parquet_file_keeps_the_other_columns(shell: Shell, folder: Path, vectors: np.ndarray) -> None:
    """The columns of the input stay, and `vector` is added."""
    assert shell("embed model.safetensors test.csv -o vectors.parquet")[0] == 0
    columns = tables.read(folder / "vectors.parquet").columns
    assert list(columns) == ["text", "label", "vector"]
    np.testing.assert_array_equal(np.array(columns["vector"], np.float32), vectors)


def test_lines_are_embedded_too(shell: Shell, folder: Path) -> None:
    """Standard input has one text a line."""
    assert shell("embed model.safetensors - -o vectors.npy", stdin="a good film\nbad\n")[0] == 0
    assert np.load(folder / "vectors.npy").shape == (2, 8)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "embed model.safetensors test.csv -o vectors.csv",
            "the output is vectors.csv, expected a file that ends in .npy",
        ),
        ("embed model.safetensors nothing.csv -o vectors.npy", "there is no file 'nothing.csv'"),
    ],
)
def test_mistakes_are_one_line(shell: Shell, command: str, message: str) -> None:
    """Mistakes are told in one line, with exit code 2."""
    code, _, err = shell(command)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_no_column_of_the_input_is_lost(shell: Shell, folder: Path) -> None:
    """A column with the name of the one that would be added is an error, not overwritten."""
    tables.write(folder / "taken.csv", {"text": ["good"], "vector": ["keep me"]})
    code, _, err = shell("embed model.safetensors taken.csv -o taken.parquet")
    assert (code, (folder / "taken.parquet").exists()) == (2, False)
    assert "the input has a column 'vector', which embed would add" in err


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
def test_many_texts_are_embedded_part_by_part(shell: Shell, folder: Path, suffix: str) -> None:
    """Vectors of several parts are one array, and a table without rows leaves no file."""
    texts = ["good", "bad", "a film"] * 1000
    tables.write(folder / "many.csv", {"text": texts})
    assert shell(f"embed model.safetensors many.csv -o many.{suffix}")[0] == 0
    path = folder / f"many.{suffix}"
    found = np.load(path) if suffix == "npy" else np.array(tables.read(path, need_label=False).columns["vector"])
    np.testing.assert_array_equal(found.astype(np.float32), tidegate.load(folder / "model.safetensors").encode(texts))
    (folder / "none.csv").write_text("text,x\n", encoding="utf-8")
    assert shell(f"embed model.safetensors none.csv -o none.{suffix}")[0] == 2
    assert not (folder / f"none.{suffix}").exists()
