"""Tests of the model file: foreign and damaged files are named, and no change of a byte goes unseen."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialize

from tidegate.models.files import model_file
from tidegate.models.files.model_file import Array, ModelFileError
from tidegate.models.loading import load
from tidegate.ops import compress

FOLDER = Path(__file__).parent / "bad_models"
TEXTS = {"config": '{"a": 1}', "tokenizer": "{é}", "metrics": "{}", "versions": "{}"}


def make_arrays() -> dict[str, Array]:
    """Arrays with numbers that are easily lost: a signed zero, the smallest and the largest, no numbers at all."""
    numbers = [-0.0, 1e-45, 3.4e38, np.inf]
    return {"b": np.array([numbers], np.float32), "a": np.zeros((2, 0), np.float32), "é": np.ones(1, np.float32)}


def read(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
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
    assert digest == model_file.content_digest(arrays, metadata)
    assert parse(path.read_bytes()).keys() == arrays.keys()


@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
def test_compressed_arrays_are_read_as_they_were_written(tmp_path: Path, dtype: str) -> None:
    """Integers and scales come back to the bit, in a file of the second format that other programs can read."""
    path, matrix = tmp_path / "model.safetensors", np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    small = compress(matrix, dtype)
    model_file.write(path, {**make_arrays(), "w": small}, TEXTS)
    arrays, metadata = read(path)
    found: Any = arrays.pop("w")
    assert same(arrays, make_arrays())
    assert metadata["tidegate"] == "2"
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.values, small.values)
    np.testing.assert_array_equal(found.expand(), small.expand())
    with safe_open(path, "numpy") as others:
        assert set(others.keys()) == {*arrays, "w", *(["w.scales"] if dtype == "int8" else [])}
        assert others.get_slice("w").get_dtype() == {"int8": "I8", "bfloat16": "BF16"}[dtype]


def test_memory_order_does_not_matter(tmp_path: Path) -> None:
    """A transposed view is written as what it shows."""
    path = tmp_path / "model.safetensors"
    view = np.arange(6, dtype=np.float32).reshape(2, 3).T
    model_file.write(path, {"a": view}, TEXTS)
    assert read(path)[0]["a"].tolist() == view.tolist()


SHAPES = "rnn.weight_hh_l0 has shape "
OTHER = "this is not a tokenizer of tidegate: "
RULES = "this is not a tokenizer of tidegate: its rules for cutting texts are of no version up to this one"
IDS = "this is not a tokenizer of tidegate: expected a vocabulary with the ids 0, 1, 2, …"
UNUSED = "expected none: it would change the ids or their number"

UNSCALED = "'rnn.weight_hh_l0' has dtype 'I8', expected 'F32' scales of its 9 rows"

EXPECTED = {
    "array.npy": "it is a numpy array, expected a model file written by tidegate",
    "array_left_over.safetensors": "the model has 'rnn.weight_hh_l1', not expected for cell 'gru'",
    "array_missing.safetensors": "the model lacks 'rnn.weight_hh_l0', expected for cell 'gru'",
    "bfloat16_nan.safetensors": "rnn.weight_hh_l0 holds 27 numbers that are not finite",
    "bias_minus_infinite.safetensors": "head.bias holds 1 numbers that are not finite",
    "checkpoint.pt": "it is a zip archive, such as a PyTorch checkpoint or an .npz file",
    "config.json": "it is JSON, expected",
    "config_is_a_number.safetensors": "config is '7', expected a JSON object",
    "config_label_twice.safetensors": "labels has 'bad' twice, expected distinct names",
    "config_long_name.safetensors": "config lacks 'hidden_size', expected for this version of tidegate, found 'xxx",
    "config_name_twice.safetensors": "config has 'hidden_size' twice, expected distinct names",
    "config_nested.safetensors": "config is not JSON: maximum recursion depth exceeded",
    "dtype_half.safetensors": "'a' has dtype 'F16', expected 'F32'",
    "dtype_is_a_list.safetensors": "'a' has dtype ['F32'], expected 'F32'",
    "dtype_unknown.safetensors": "'a' has dtype 'F33', expected 'F32'",
    "empty.safetensors": "it is empty, expected a model file",
    "entry_is_a_number.safetensors": "the entry of 'a' in its header is damaged: expected dtype, shape and",
    "entry_without_shape.safetensors": "the entry of 'a' in its header is damaged: expected dtype, shape and data_off",
    "header_cut.safetensors": "it is truncated: its header has 61 bytes, but the file 20",
    "header_is_a_list.safetensors": "its header is not JSON: Expecting property name",
    "header_is_not_text.safetensors": "its header is not UTF-8: byte 2 is 0xff",
    "header_larger_than_file.safetensors": "it is truncated: its header has 1000 bytes, but the file 73",
    "header_name_twice.safetensors": "its header has 'a' twice, expected distinct names",
    "header_nested.safetensors": "its header is not JSON: maximum recursion depth exceeded",
    "header_of_a_long_number.safetensors": "its header is not JSON: Exceeds the limit (4300 digits)",
    "header_of_an_exabyte.safetensors": "its header has 1152921504606846976 bytes, expected at most 67108864",
    "header_of_many_values.safetensors": "its header has more than 100,000 values, expected less",
    "header_of_nulls.safetensors": "its header is not JSON: Expecting property name",
    "int8_beside_float32.safetensors": "w_ih is float32 and w_hh int8, expected one dtype for both",
    "int8_in_format_1.safetensors": "'rnn.weight_hh_l0' has dtype 'I8', expected 'F32'",
    "int8_of_huge_scales.safetensors": "rnn.weight_hh_l0 holds 27 numbers that are not finite",
    "int8_of_one_axis.safetensors": "'rnn.bias_hh_l0' has dtype 'I8', expected 'F32'",
    "int8_out_of_range.safetensors": "rnn.weight_hh_l0: values hold -128, expected -127..127",
    "keras.h5": "it is an HDF5 file, such as a Keras model",
    "lfs.safetensors": "it is a pointer of Git LFS and not the file that it stands for; fetch the file itself with git",
    "llama.gguf": "it is a GGUF model",
    "metadata_bare.safetensors": "its metadata has ['tidegate'], expected ['config', 'metrics', 'sha256', 'tidegate', ",
    "metadata_is_a_list.safetensors": "its metadata is damaged, expected texts by name",
    "metadata_of_numbers.safetensors": "its metadata is damaged, expected texts by name",
    "metrics_is_a_list.safetensors": "metrics is '[]', expected a JSON object",
    "metrics_nested.safetensors": "metrics is not JSON: maximum recursion depth exceeded",
    "model.safetensors.gz": "it is a gzip file",
    "next_version.safetensors": "it has format '3', expected '1' or '2': another version wrote it",
    "numbers_left_over.safetensors": "it is damaged: it has 77 bytes, but its arrays end at 73",
    "numbers_missing.safetensors": "it is truncated: it has 73 bytes, but its arrays end at 77",
    "numbers_shared.safetensors": "its header is damaged: 'b' begins at byte 130 of the file, expected 134",
    "numbers_with_a_gap.safetensors": "its header is damaged: 'b' begins at byte 139 of the file, expected 135",
    "offsets_backwards.safetensors": "'a' lies at the bytes [4, 0], expected 4 of them for its shape [1]",
    "offsets_beyond.safetensors": "its header is damaged: 'a' begins at byte 4611686018427388009 of the fi",
    "offsets_of_terabytes.safetensors": "it is truncated: it has 100 bytes, but its arrays end at 4398046511200",
    "other_program.safetensors": "it is a safetensors file of another program: its metadata has ['format']",
    "other_program_bare.safetensors": "it is a safetensors file of another program: its metadata has []",
    "page.html": "it is a page of the web (HTML)",
    "pickle.pt": "it is a Python pickle, such as an old PyTorch checkpoint",
    "rate_nan.safetensors": "rnn.bias_hh_l0 holds 1 numbers that are not finite",
    "reviews.csv": "it starts with b'text,label\\nA', expected a safetensors file written by tidegate",
    "reviews.parquet": "it is a Parquet file",
    "scales_infinite.safetensors": "rnn.weight_hh_l0: scales hold a number that is negative or not finite",
    "scales_missing.safetensors": UNSCALED,
    "scales_negative.safetensors": "rnn.weight_hh_l0: scales hold a number that is negative or not finite",
    "scales_of_bfloat16.safetensors": "the model has 'rnn.weight_hh_l0.scales', not expected for cell 'gru'",
    "scales_of_int8.safetensors": UNSCALED,
    "scales_too_few.safetensors": UNSCALED,
    "shape_is_a_text.safetensors": "'a' has the shape '1', expected a list of sizes",
    "shape_negative.safetensors": "'a' has the shape [-1], expected a list of sizes",
    "shape_of_fractions.safetensors": "'a' has the shape [1.0], expected a list of sizes",
    "shape_of_many_axes.safetensors": "'a' has the shape [1, 1, 1, 1, 1, ",
    "shape_of_nan.safetensors": "'a' has the shape [nan], expected a list of sizes",
    "shape_of_truth.safetensors": "'a' has the shape [True], expected a list of sizes",
    "shape_too_large.safetensors": "'a' lies at the bytes [0, 4], expected 85070591730234615865843651857942052864 of",
    "shapes_of_another_cell.safetensors": SHAPES + "(12, 3), expected [G·H, H] = (9, 3): G=3 comes from cell 'gru', H=",
    "shapes_of_another_head.safetensors": "head.weight has shape (2, 4), expected [C, F] = (2, 3): C=2 comes from",
    "shapes_of_fewer_words.safetensors": "embedding.weight has shape (3, 2), expected [V, E] = (6, 2): V=6 comes from",
    "shapes_of_longer_vectors.safetensors": "embedding.weight has shape (6, 3), expected [V, E] = (6, 2): V=6 comes",
    "shapes_of_more_labels.safetensors": "head.bias has shape (3,), expected [C] = (2,): C=2 comes from the number",
    "shapes_of_no_units.safetensors": SHAPES + "(0, 3), expected [G·H, H] = (9, 3)",
    "shapes_of_one_axis.safetensors": SHAPES + "(27,), expected 2 axes [G·H, H]",
    "shapes_of_two_sizes.safetensors": SHAPES + "(12, 4), expected [G·H, H] = (9, 3)",
    "tokenizer_added_word.safetensors": f"{OTHER}it has added_tokens, {UNUSED}",
    "tokenizer_decoder.safetensors": f"{OTHER}it has decoder, {UNUSED}",
    "tokenizer_is_a_list.safetensors": "the tokenizer is '[]', expected a JSON object",
    "tokenizer_is_empty.safetensors": "the tokenizer is '', expected a JSON object",
    "tokenizer_long_replacement.safetensors": RULES,
    "tokenizer_nested.safetensors": "the tokenizer has more than 10,012 values, expected less",
    "tokenizer_no_rules.safetensors": RULES,
    "tokenizer_of_many_values.safetensors": "the tokenizer has more than 10,012 values, expected less",
    "tokenizer_of_parts.safetensors": "this is not a tokenizer of tidegate: the model is 'BPE', expected 'WordLevel'",
    "tokenizer_other_normalizer.safetensors": RULES,
    "tokenizer_other_regex.safetensors": RULES,
    "tokenizer_padding.safetensors": f"{OTHER}it has padding, {UNUSED}",
    "tokenizer_truncation.safetensors": f"{OTHER}it has truncation, {UNUSED}",
    "tokenizer_unknown_part.safetensors": "this is not a tokenizer of tidegate: ",
    "vectors.npz": "it is a zip archive, such as a PyTorch checkpoint or an .npz file",
    "versions_name_twice.safetensors": "versions has 'a' twice, expected distinct names",
    "weight_infinite.safetensors": "embedding.weight holds 1 numbers that are not finite",
    "weight_nan.safetensors": "rnn.weight_hh_l0 holds 1 numbers that are not finite",
    "word_id_fraction.safetensors": f"{OTHER}it has the id 4.0 for 'bad', expected an integer",
    "word_id_huge.safetensors": IDS,
    "word_id_missing.safetensors": IDS,
    "word_id_negative.safetensors": IDS,
    "word_id_text.safetensors": f"{OTHER}it has the id '4' for 'bad', expected an integer",
    "word_id_truth.safetensors": f"{OTHER}it has the id True for '[UNK]', expected an integer",
    "word_id_twice.safetensors": IDS,
    "word_twice.safetensors": "the tokenizer has 'film' twice, expected distinct names",
    "words_a_billion.safetensors": "vocab_size is 1000000000, expected 1..16777216",
    "words_in_a_list.safetensors": IDS,
    "words_none.safetensors": IDS,
    "words_one_more.safetensors": "the tokenizer has 6 words, expected vocab_size = 7",
    "words_sixteen_million.safetensors": "embedding.weight has shape (6, 2), expected [V, E] = (16777216, 2): V=167",
    "zeros.bin": "it is binary data, which begins with zeros, expected",
}


def test_every_bad_file_is_in_the_table() -> None:
    """The folder of bad files and the table of errors name the same files."""
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} - {"make.py"} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_bad_file_gives_one_clear_error(name: str) -> None:
    """The error is a ValueError that begins with the file's name and says what the file is."""
    with pytest.raises(ModelFileError) as caught:
        load(FOLDER / name)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).startswith(f"{FOLDER / name}: {EXPECTED[name]}")


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
    arrays = {name: array.copy() for name, array in arrays.items()}  # those that were read cannot be changed
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
    with pytest.raises(ModelFileError, match="'b' has dtype 'F16', expected 'F32'"):
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
    with pytest.raises(ModelFileError, match="it is damaged"):
        read(path)


def test_the_digest_is_what_the_documentation_says() -> None:
    """SHA-256 over the texts by name, then the arrays by name, each with its shape; anyone can compute it."""
    parts = [json.dumps(["config", "{}"]), json.dumps(["tidegate", "1"]), json.dumps(["a", [2]])]
    expected = hashlib.sha256("".join(parts).encode() + np.array([1, 2], "<f4").tobytes()).hexdigest()
    metadata = {"tidegate": "1", "config": "{}", "sha256": "not part of it"}
    assert model_file.content_digest({"a": np.array([1, 2], np.float32)}, metadata) == expected
