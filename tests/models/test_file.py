"""Tests of the model file: foreign and damaged files are named, and no change of a byte goes unseen."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialize

from tidegate.models import file as model_file
from tidegate.models.file import Array, ModelFileError

FOLDER = Path(__file__).parent / "bad_models"
TEXTS = {"config": '{"a": 1}', "tokenizer": "{é}", "metrics": "{}", "versions": "{}"}
DAMAGED = "it is truncated, damaged or not a safetensors file: "


def make_arrays() -> dict[str, Array]:
    """Arrays with numbers that are easily lost: a signed zero, the smallest and the largest, no numbers at all."""
    numbers = [-0.0, 1e-45, 3.4e38, np.inf]
    return {"b": np.array([numbers], np.float32), "a": np.zeros((2, 0), np.float32), "é": np.ones(1, np.float32)}


def read(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Everything that a file holds."""
    with model_file.reading(path) as contents:
        return contents.arrays(), contents.metadata


def same(left: dict[str, Array], right: dict[str, Array]) -> bool:
    """Whether arrays have the same names, shapes and bits."""
    return left.keys() == right.keys() and all(
        left[name].shape == right[name].shape and left[name].tobytes() == right[name].tobytes() for name in left
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Arrays come back to the bit, texts to the letter, and the digest is there for others to check."""
    path = tmp_path / "model.safetensors"
    model_file.write(path, make_arrays(), TEXTS)
    arrays, metadata = read(path)
    assert same(arrays, make_arrays())
    digest = metadata.pop("sha256")
    assert metadata == TEXTS | {"tidegate": "1"}
    assert digest == model_file.digest(arrays, metadata)
    assert parse(path.read_bytes()).keys() == arrays.keys()


def test_memory_order_does_not_matter(tmp_path: Path) -> None:
    """A transposed view is written as what it shows."""
    path = tmp_path / "model.safetensors"
    view = np.arange(6, dtype=np.float32).reshape(2, 3).T
    model_file.write(path, {"a": view}, TEXTS)
    assert read(path)[0]["a"].tolist() == view.tolist()


EXPECTED = {
    "array.npy": "it is a numpy .npy file, expected a model file written by tidegate",
    "checkpoint.pt": "it is a zip archive, such as a PyTorch checkpoint or an .npz file",
    "config.json": "it is JSON, expected",
    "dtype_unknown.safetensors": DAMAGED + "invalid JSON in header: unknown variant `F33`",
    "empty.safetensors": "it is empty, expected a model file",
    "header_cut.safetensors": DAMAGED + "invalid header length",
    "header_is_a_list.safetensors": DAMAGED + "invalid JSON in header: key must be a string",
    "header_is_not_text.safetensors": DAMAGED + "invalid UTF-8 in header",
    "header_larger_than_file.safetensors": DAMAGED + "invalid header length",
    "header_nested.safetensors": DAMAGED + "invalid JSON in header: recursion limit exceeded",
    "header_of_an_exabyte.safetensors": "its header has 1152921504606846976 bytes, expected at most 67108864",
    "keras.h5": "it is an HDF5 file, such as a Keras model",
    "lfs.safetensors": "it is a Git LFS pointer; fetch the file itself with git lfs pull",
    "llama.gguf": "it is a GGUF model",
    "metadata_bare.safetensors": "its metadata has ['tidegate'], expected ['config', 'metrics', 'sha256', 'tidegate', ",
    "model.safetensors.gz": "it is a gzip file",
    "next_version.safetensors": "it has format '2', expected '1': another version wrote it",
    "numbers_left_over.safetensors": DAMAGED + "incomplete metadata, file not fully covered",
    "numbers_missing.safetensors": DAMAGED + "incomplete metadata, file not fully covered",
    "numbers_shared.safetensors": DAMAGED + "invalid offset for tensor",
    "numbers_with_a_gap.safetensors": DAMAGED + "invalid offset for tensor",
    "other_program.safetensors": "it is a safetensors file of another program: its metadata has ['format']",
    "other_program_bare.safetensors": "it is a safetensors file of another program: its metadata has []",
    "page.html": "it is a web page or XML",
    "pickle.pt": "it is a Python pickle, such as an old PyTorch checkpoint",
    "reviews.csv": "it starts with b'text,label\\nA', expected a safetensors file written by tidegate",
    "reviews.parquet": "it is a Parquet file",
    "shape_negative.safetensors": DAMAGED + "invalid JSON in header: invalid value: integer `-1`",
    "shape_too_large.safetensors": DAMAGED + "overflow computing buffer size from shape",
    "vectors.npz": "it is a zip archive, such as a PyTorch checkpoint or an .npz file",
    "zeros.bin": "it starts with b'\\x00",
}


def test_every_bad_file_is_in_the_table() -> None:
    """The folder of bad files and the table of errors name the same files."""
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} - {"make.py"} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_bad_file_gives_one_clear_error(name: str) -> None:
    """The error is a ValueError that begins with the file's name and says what the file is."""
    with pytest.raises(ModelFileError) as caught:
        read(FOLDER / name)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).startswith(f"{FOLDER / name}: {EXPECTED[name]}")


def test_a_folder_and_a_pipe_are_no_models(tmp_path: Path) -> None:
    """Neither is opened: a pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match=f"{re.escape(str(tmp_path))}: it is a folder, expected a model file"):
        read(tmp_path)
    with pytest.raises(ModelFileError, match="pipe: it is no regular file, expected a model file"):
        read(tmp_path / "pipe")


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    """A file that is not there is reported as such, with its name."""
    with pytest.raises(FileNotFoundError, match=r"nowhere\.safetensors"):
        read(tmp_path / "nowhere.safetensors")


def test_what_is_refused_inside_the_block_is_told_with_the_name(tmp_path: Path) -> None:
    """A ValueError or TypeError of the reader becomes one of the file; other errors pass."""
    path = tmp_path / "model.safetensors"
    model_file.write(path, make_arrays(), TEXTS)
    for kind in (ValueError, TypeError):
        with pytest.raises(ModelFileError, match=r"model\.safetensors: too old"), model_file.reading(path):
            raise kind("too old")
    with pytest.raises(KeyError), model_file.reading(path):
        raise KeyError


Change = Callable[[dict[str, Any], dict[str, str]], object]

EDITS: dict[str, Change] = {
    "a number": lambda arrays, texts: arrays["b"].__setitem__((0, 0), 0.0),
    "a shape": lambda arrays, texts: arrays.update(b=arrays["b"].T.copy()),
    "a name": lambda arrays, texts: arrays.update(c=arrays.pop("b")),
    "two names": lambda arrays, texts: arrays.update({"b": arrays["é"], "é": arrays["b"]}),
    "an array more": lambda arrays, texts: arrays.update(c=arrays["b"]),
    "an array less": lambda arrays, texts: arrays.pop("b"),
    "a text": lambda arrays, texts: texts.update(config='{"a": 2}'),
    "two texts": lambda arrays, texts: texts.update(config=texts["metrics"], metrics=texts["config"]),
    "the digest": lambda arrays, texts: texts.update(sha256="0" * 64),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS.keys())
def test_an_edited_file_is_seen(tmp_path: Path, change: Change) -> None:
    """Whatever another program changes in a file, the digest does not fit any more."""
    path = tmp_path / "model.safetensors"
    model_file.write(path, make_arrays(), TEXTS)
    arrays, texts = read(path)
    change(arrays, texts)
    path.write_bytes(serialize(arrays, texts))
    with pytest.raises(ModelFileError, match="its SHA-256 digest does not match: the file was changed"):
        read(path)


def test_other_dtypes_are_refused(tmp_path: Path) -> None:
    """Only float32 is stored, so a half-precision copy of a model is named before it is read."""
    path = tmp_path / "model.safetensors"
    model_file.write(path, make_arrays(), TEXTS)
    arrays, texts = read(path)
    path.write_bytes(serialize(arrays | {"b": np.zeros((1, 4), np.float16)}, texts))
    with pytest.raises(ModelFileError, match="b has dtype F16, expected F32"):
        read(path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a good file."""
    path = tmp_path_factory.mktemp("saved") / "model.safetensors"
    model_file.write(path, make_arrays(), TEXTS)
    return path.read_bytes()


@given(data=st.data())
def test_a_changed_byte_is_seen_or_means_the_same(
    saved: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """With a few bytes changed, a file gives a ModelFileError or, where JSON allows it, the very same contents."""
    changed = bytearray(saved)
    for position in data.draw(st.lists(st.integers(0, len(saved) - 1), min_size=1, max_size=4)):
        changed[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    path.write_bytes(changed)
    try:
        arrays, metadata = read(path)
    except ModelFileError:
        return
    assert same(arrays, make_arrays())
    assert {key: metadata[key] for key in TEXTS} == TEXTS


def test_a_file_cut_anywhere_is_seen(saved: bytes, tmp_path: Path) -> None:
    """No beginning of a file is a file, and neither is one with more at its end."""
    path = tmp_path / "cut.safetensors"
    for size in range(len(saved)):
        path.write_bytes(saved[:size])
        with pytest.raises(ModelFileError):
            read(path)
    path.write_bytes(saved + b"\0")
    with pytest.raises(ModelFileError, match=DAMAGED):
        read(path)


def test_the_digest_is_what_the_documentation_says() -> None:
    """SHA-256 over the texts by name, then the arrays by name, each with its shape; anyone can compute it."""
    parts = [json.dumps(["config", "{}"]), json.dumps(["tidegate", "1"]), json.dumps(["a", [2]])]
    expected = hashlib.sha256("".join(parts).encode() + np.array([1, 2], "<f4").tobytes()).hexdigest()
    metadata = {"tidegate": "1", "config": "{}", "sha256": "not part of it"}
    assert model_file.digest({"a": np.array([1, 2], np.float32)}, metadata) == expected
