"""Writes the files of this folder: files that are no models, as they come by mistake or by malice.

    python tests/models/bad_models/make.py

What is wrong with each, in the words of the error, stands in `tests/models/test_file.py`.
"""

import gzip
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.models.config import TextConfig
from tidegate.models.files.model_file import content_digest
from tidegate.text.tokenizer import Tokenizer

FOLDER = Path(__file__).parent


class Bomb:
    """An object whose pickle divides by zero when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("1 / 0",)


def safetensors(header: Any, data: bytes = b"", size: int | None = None) -> bytes:
    """A file in the layout of safetensors: the header's size, the header, the numbers."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + data


def tensor(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    """The header's entry of one array."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def zipped(**arrays: Any) -> bytes:
    """An .npz file."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def damaged() -> dict[str, bytes]:
    """Files that claim to be safetensors, and break its rules."""
    one = tensor(0, 4, [1])
    return {
        "header_cut.safetensors": safetensors({"a": one})[:20],
        "header_is_a_list.safetensors": safetensors(b"{[1, 2]}"),
        "header_is_not_text.safetensors": safetensors(b'{"\xff\xfe": 1}'),
        "header_larger_than_file.safetensors": safetensors({"a": one}, bytes(4), size=1000),
        "header_of_an_exabyte.safetensors": safetensors({"a": one}, bytes(4), size=2**60),
        "header_nested.safetensors": safetensors(b'{"a":' + b"[" * 5000),
        "numbers_missing.safetensors": safetensors({"a": tensor(0, 8, [2])}, bytes(4)),
        "numbers_left_over.safetensors": safetensors({"a": one}, bytes(8)),
        "numbers_shared.safetensors": safetensors({"a": one, "b": one}, bytes(4)),
        "numbers_with_a_gap.safetensors": safetensors({"a": one, "b": tensor(8, 12, [1])}, bytes(12)),
        "shape_negative.safetensors": safetensors({"a": tensor(0, 4, [-1])}, bytes(4)),
        "shape_too_large.safetensors": safetensors({"a": tensor(0, 4, [2**62, 2**62])}, bytes(4)),
        "dtype_unknown.safetensors": safetensors({"a": tensor(0, 4, [1], "F33")}, bytes(4)),
        "other_program.safetensors": safetensors({"__metadata__": {"format": "pt"}, "a": one}, bytes(4)),
        "other_program_bare.safetensors": safetensors({"a": one}, bytes(4)),
        "next_version.safetensors": safetensors({"__metadata__": {"tidegate": "3"}, "a": one}, bytes(4)),
        "metadata_bare.safetensors": safetensors({"__metadata__": {"tidegate": "1"}, "a": one}, bytes(4)),
        "metadata_of_numbers.safetensors": safetensors({"__metadata__": {"tidegate": 1}, "a": one}, bytes(4)),
        "metadata_is_a_list.safetensors": safetensors({"__metadata__": ["tidegate"], "a": one}, bytes(4)),
        "entry_is_a_number.safetensors": safetensors({"a": 7}, bytes(4)),
        "entry_without_shape.safetensors": safetensors({"a": {"dtype": "F32", "data_offsets": [0, 4]}}, bytes(4)),
        "header_name_twice.safetensors": safetensors(
            f'{{"a": {json.dumps(one)}, "a": {json.dumps(one)}}}'.encode(), bytes(4)
        ),
        "header_of_many_values.safetensors": safetensors(b'{"a": [' + b"[]," * 100_000 + b"0]}"),
        "header_of_a_long_number.safetensors": safetensors(b'{"a": ' + b"9" * 5000 + b"}"),
        "header_of_nulls.safetensors": safetensors(b"{" + bytes(100)),
        "offsets_backwards.safetensors": safetensors({"a": tensor(4, 0, [1])}, bytes(4)),
        "offsets_beyond.safetensors": safetensors({"a": tensor(2**62, 2**62 + 4, [1])}, bytes(4)),
        "offsets_of_terabytes.safetensors": safetensors({"a": tensor(0, 2**42, [2**20, 2**20])}, bytes(4)),
        "shape_is_a_text.safetensors": safetensors({"a": tensor(0, 4, "1")}, bytes(4)),  # type: ignore[arg-type]
        "shape_of_fractions.safetensors": safetensors({"a": tensor(0, 4, [1.0])}, bytes(4)),  # type: ignore[list-item]
        "shape_of_truth.safetensors": safetensors({"a": tensor(0, 4, [True])}, bytes(4)),
        "shape_of_nan.safetensors": safetensors({"a": tensor(0, 4, [float("nan")])}, bytes(4)),  # type: ignore[list-item]
        "shape_of_many_axes.safetensors": safetensors({"a": tensor(0, 4, [1] * 100)}, bytes(4)),
        "dtype_half.safetensors": safetensors({"a": tensor(0, 2, [1], "F16")}, bytes(2)),
        "dtype_is_a_list.safetensors": safetensors({"a": tensor(0, 4, [1], ["F32"])}, bytes(4)),  # type: ignore[arg-type]
    }


def foreign() -> dict[str, bytes]:
    """Files of other kinds."""
    return {
        "empty.safetensors": b"",
        "page.html": b"\n<!DOCTYPE html><html><body>Sign in to download</body></html>\n",
        "pickle.pt": pickle.dumps(Bomb()),
        "checkpoint.pt": zipped(**{"archive/data": np.zeros(1)}),
        "vectors.npz": zipped(vectors=np.zeros((2, 3), np.float32)),
        "array.npy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'}" + bytes(20),
        "keras.h5": b"\x89HDF\r\n\x1a\n" + bytes(20),
        "model.safetensors.gz": gzip.compress(safetensors({"a": tensor(0, 4, [1])}, bytes(4)), mtime=0),
        "reviews.parquet": b"PAR1\x15\x04\x15",
        "llama.gguf": b"GGUF\x03\x00\x00\x00",
        "lfs.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "config.json": b'{"hidden_size": 128}\n',
        "reviews.csv": b"text,label\nA fine film,good\n",
        "zeros.bin": bytes(64),
    }


DTYPES = {"float32": "F32", "int8": "I8", "uint16": "BF16"}

Arrays = dict[str, Any]
Change = Callable[[Arrays, dict[str, str]], object]


def signed(change: Change, version: str = "1") -> bytes:
    """The file of a tiny model of texts after a change, with the digest that belongs to it."""
    tokenizer = Tokenizer.train(["a good film", "a bad film"], min_frequency=1)
    config = TextConfig(cell="gru", labels=("bad", "good"), vocab_size=len(tokenizer), embedding_size=2, hidden_size=3)
    arrays = {name: np.ones(shape, np.float32) for name, shape in config.shapes().items()}
    texts = {"config": config.to_json(), "tokenizer": tokenizer.to_json(), "metrics": "{}", "versions": "{}"}
    change(arrays, texts)
    texts |= {"tidegate": version}
    header: dict[str, Any] = {"__metadata__": texts | {"sha256": content_digest(arrays, texts)}}
    start = 0
    for name, array in arrays.items():
        header[name] = tensor(start, start + array.nbytes, list(array.shape), DTYPES[array.dtype.name])
        start += array.nbytes
    return safetensors(header, b"".join(array.tobytes() for array in arrays.values()))


def number(name: str, value: float) -> Change:
    """One number of one array is another."""
    return lambda arrays, texts: arrays[name].reshape(-1).__setitem__(-1, value)


def shape(name: str, *sizes: int) -> Change:
    """One array has another shape."""
    return lambda arrays, texts: arrays.update({name: np.ones(sizes, np.float32)})


def text(name: str, old: str, new: str) -> Change:
    """A part of a text in the metadata is another."""

    def change(arrays: Arrays, texts: dict[str, str]) -> None:
        assert old in texts[name], (old, texts[name])
        texts[name] = texts[name].replace(old, new)

    return change


def whole(name: str, new: str) -> Change:
    """A whole text in the metadata is another."""
    return lambda arrays, texts: texts.update({name: new})


def rules(**changes: Any) -> Change:
    """Parts of the tokenizer are others."""
    return lambda arrays, texts: texts.update(tokenizer=json.dumps(json.loads(texts["tokenizer"]) | changes))


UNIT = "rnn.weight_hh_l0"
SPLIT = {"type": "Split", "pattern": {"Regex": "a|b"}, "behavior": "Removed", "invert": True}

DISAGREEING: dict[str, Change] = {
    "shapes_of_two_sizes": shape(UNIT, 12, 4),
    "shapes_of_another_cell": shape(UNIT, 12, 3),
    "shapes_of_one_axis": shape(UNIT, 27),
    "shapes_of_no_units": shape(UNIT, 0, 3),
    "shapes_of_fewer_words": shape("embedding.weight", 3, 2),
    "shapes_of_longer_vectors": shape("embedding.weight", 6, 3),
    "shapes_of_another_head": shape("head.weight", 2, 4),
    "shapes_of_more_labels": shape("head.bias", 3),
    "array_missing": lambda arrays, texts: arrays.pop(UNIT),
    "array_left_over": shape("rnn.weight_hh_l1", 9, 3),
    "weight_nan": number(UNIT, np.nan),
    "weight_infinite": number("embedding.weight", np.inf),
    "bias_minus_infinite": number("head.bias", -np.inf),
    "rate_nan": number("rnn.bias_hh_l0", np.nan),
    "words_a_billion": text("config", '"vocab_size": 6', '"vocab_size": 1000000000'),
    "words_sixteen_million": text("config", '"vocab_size": 6', '"vocab_size": 16777216'),
    "words_one_more": lambda arrays, texts: (
        shape("embedding.weight", 7, 2)(arrays, texts),
        text("config", '"vocab_size": 6', '"vocab_size": 7')(arrays, texts),
    ),
    "word_twice": text("tokenizer", '"good": ', '"film": '),
    "word_id_twice": text("tokenizer", '"bad": 4', '"bad": 5'),
    "word_id_missing": text("tokenizer", '"bad": 4', '"bad": 40'),
    "word_id_negative": text("tokenizer", '"bad": 4', '"bad": -4'),
    "word_id_fraction": text("tokenizer", '"bad": 4', '"bad": 4.0'),
    "word_id_text": text("tokenizer", '"bad": 4', '"bad": "4"'),
    "word_id_truth": text("tokenizer", '"[UNK]": 1', '"[UNK]": true'),
    "word_id_huge": text("tokenizer", '"bad": 4', '"bad": ' + "9" * 30),
    "words_in_a_list": rules(model={"type": "WordLevel", "unk_token": "[UNK]", "vocab": ["a"]}),
    "words_none": rules(model={"type": "WordLevel", "unk_token": "[UNK]"}),
    "tokenizer_of_parts": rules(model={"type": "BPE", "vocab": {}, "merges": []}),
    "tokenizer_other_regex": rules(pre_tokenizer=SPLIT),
    "tokenizer_other_normalizer": rules(normalizer={"type": "NFD"}),
    "tokenizer_long_replacement": rules(
        normalizer={"type": "Replace", "pattern": {"String": "a"}, "content": "b" * 9999}
    ),
    "tokenizer_no_rules": rules(normalizer=None, pre_tokenizer=None),
    "tokenizer_decoder": rules(decoder={"type": "Fuse"}),
    "tokenizer_added_word": rules(added_tokens=[{"id": 6, "content": "x"}]),
    "tokenizer_padding": rules(padding={"strategy": {"Fixed": 10**9}}),
    "tokenizer_truncation": rules(truncation={"max_length": 1}),
    "tokenizer_unknown_part": rules(colour="red"),
    "tokenizer_nested": whole("tokenizer", '{"model": ' + "[" * 50_000),
    "tokenizer_of_many_values": whole("tokenizer", '{"model": [' + "[]," * 20_000 + "0]}"),
    "tokenizer_is_a_list": whole("tokenizer", "[]"),
    "tokenizer_is_empty": whole("tokenizer", ""),
    "config_nested": whole("config", '{"cell": ' + "[" * 50_000),
    "config_name_twice": text("config", '"hidden_size": 3', '"hidden_size": 3, "hidden_size": 3'),
    "config_label_twice": text("config", '"good"', '"bad"'),
    "config_long_name": text("config", '"hidden_size"', f'"{"x" * 5000}"'),
    "config_is_a_number": whole("config", "7"),
    "metrics_nested": whole("metrics", '{"loss": ' + '{"a": ' * 50_000),
    "metrics_is_a_list": whole("metrics", "[]"),
    "versions_name_twice": whole("versions", '{"a": "1", "a": "2"}'),
}


def small(dtype: Any, scales: Any = None, value: int = 1, name: str = UNIT) -> Change:
    """One array consists of smaller numbers."""

    def change(arrays: Arrays, texts: dict[str, str]) -> None:
        arrays[name] = np.full(arrays[name].shape, value, dtype)
        if scales is not None:
            arrays[name + ".scales"] = scales

    return change


def both(*changes: Change) -> Change:
    """One change after the other."""
    return lambda arrays, texts: [change(arrays, texts) for change in changes]


def ones(count: int, value: float = 1.0) -> Any:
    """Scales that are all alike."""
    return np.full(count, value, np.float32)


COMPRESSED: dict[str, Change] = {
    "scales_missing": small(np.int8),
    "scales_too_few": small(np.int8, ones(8)),
    "scales_of_int8": small(np.int8, np.ones(9, np.int8)),
    "scales_infinite": small(np.int8, ones(9, np.inf)),
    "scales_negative": small(np.int8, ones(9, -1)),
    "scales_of_bfloat16": small(np.uint16, ones(9)),
    "int8_out_of_range": both(small(np.int8, ones(9), -128), small(np.int8, ones(9), 1, "rnn.weight_ih_l0")),
    "int8_beside_float32": small(np.int8, ones(9)),
    "int8_of_one_axis": small(np.int8, ones(9), name="rnn.bias_hh_l0"),
    "bfloat16_nan": both(small(np.uint16, value=0x7FC0), small(np.uint16, name="rnn.weight_ih_l0")),
    "int8_of_huge_scales": both(small(np.int8, ones(9, 3e38), 2), small(np.int8, ones(9), 1, "rnn.weight_ih_l0")),
}


def disagreeing() -> dict[str, bytes]:
    """Files whose layout and digest are right, and whose parts do not fit each other."""
    files = {name: signed(change) for name, change in DISAGREEING.items()}
    files |= {name: signed(change, "2") for name, change in COMPRESSED.items()}
    files["int8_in_format_1"] = signed(small(np.int8, ones(9)))
    return {f"{name}.safetensors": content for name, content in files.items()}


if __name__ == "__main__":
    for name, content in (damaged() | foreign() | disagreeing()).items():
        (FOLDER / name).write_bytes(content)
