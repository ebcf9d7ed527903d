"""Tests of what may stand under the name of a model, and of files that change, are huge, or cost memory."""

import json
import os
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.models.files import layout, metadata, model_file, rules
from tidegate.models.files.model_file import ModelFileError
from tidegate.models.loading import load

UNIX = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and devices have no names here")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))  # the names of sockets must be short


def link_to_pipe(path: Path) -> None:
    os.mkfifo(path.parent / "pipe")
    path.symlink_to("pipe")


def link_to_link(path: Path) -> None:
    (path.parent / "b").symlink_to("gone")
    path.symlink_to("b")


def link_in_a_circle(path: Path) -> None:
    path.symlink_to("other")
    (path.parent / "other").symlink_to(path.name)


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (Path.mkdir, "it is a folder, expected a model file"),
    "a pipe": (make_pipe, "it is a pipe, expected a model file"),
    "a socket": (make_socket, "it is a socket, expected a model file"),
    "a link to a folder": (lambda path: path.symlink_to("."), "it is a folder, expected a model file"),
    "a link to a pipe": (link_to_pipe, "it is a pipe, expected a model file"),
    "a link to a device without end": (lambda path: path.symlink_to("/dev/zero"), "it is a device, expected a model"),
    "a link to an empty device": (lambda path: path.symlink_to("/dev/null"), "it is a device, expected a model file"),
    "a link to nothing": (lambda path: path.symlink_to("gone"), "it is a link to 'gone', which leads to no file"),
    "a link to a link to nothing": (
        link_to_link,
        "it is a link to 'b', which leads to no file",
    ),
    "a link to itself": (lambda path: path.symlink_to(path.name), "which leads to no file"),
    "a circle of links": (link_in_a_circle, "it is a link to 'other', which leads to no file"),
}


@UNIX
@pytest.mark.parametrize(("make", "message"), NO_FILES.values(), ids=NO_FILES.keys())
def test_what_is_no_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], message: str
) -> None:
    """Nothing but a regular file is opened: a pipe would wait for ever, and a device may have no end."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.safetensors"
    make(path)
    with pytest.raises(ModelFileError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_link_to_a_model_is_a_model(tmp_path: Path, tiny_model: Path) -> None:
    """Links are followed where they lead to a file, over several steps too."""
    (tmp_path / "a").symlink_to(tiny_model)
    (tmp_path / "b").symlink_to("a")
    assert load(tmp_path / "b").labels == ("negative", "positive")


@UNIX
def test_a_pipe_that_takes_the_place_of_a_file_is_seen(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was a file when it was looked at may be a pipe when it is opened: it is looked at again."""
    path, look = tmp_path / "model.safetensors", os.stat
    os.mkfifo(path)
    monkeypatch.setattr(os, "stat", lambda name: look(tiny_model))
    with pytest.raises(ModelFileError, match="it is a pipe, expected a model file"):
        load(path)


@contextmanager
def opened(tmp_path: Path) -> Iterator[tuple[Path, model_file.Contents]]:
    """A file whose header has been read, and whose arrays, larger than any buffer, have not."""
    path = tmp_path / "model.safetensors"
    texts = dict.fromkeys(("config", "metrics", "versions"), "{}")
    model_file.write(path, {"a": np.ones(500_000, np.float32)}, texts)
    with model_file.reading(path) as contents:
        yield path, contents


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\0\0\0\0")


def cut_and_pad(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, size - 40)
    os.truncate(path, size)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "emptied": (lambda path: os.truncate(path, 0), "it was truncated while it was read"),
    "cut in its header": (lambda path: os.truncate(path, 100), "it was truncated while it was read"),
    "cut in its numbers": (
        lambda path: os.truncate(path, path.stat().st_size - 3),
        "it was truncated while it was read",
    ),
    "overwritten": (overwrite, "its SHA-256 digest does not match"),
    "cut and padded": (
        cut_and_pad,
        "its SHA-256 digest does not match",
    ),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES.keys())
def test_a_file_that_changes_while_it_is_read_is_seen(
    tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    """A file that is cut or overwritten under the reader is an error, and never the end of the process."""

    def read() -> None:
        with opened(tmp_path) as (path, contents):
            change(path)
            contents.arrays()

    with pytest.raises(ModelFileError, match=rf"model\.safetensors: {message}"):
        read()


def test_a_file_that_is_replaced_or_grows_is_read_as_it_was(tmp_path: Path) -> None:
    """Another file under the same name, and what is written behind the end, are not looked at."""
    for change in (Path.unlink, lambda path: os.truncate(path, 3_000_000)):
        with opened(tmp_path) as (path, contents):
            change(path)
            array: Any = contents.arrays()["a"]
            assert array.sum() == 500_000


def test_a_header_that_is_cut_while_it_is_read_is_seen(tmp_path: Path, tiny_model: Path) -> None:
    """The size is asked first, and the header may have lost its end by then."""
    path = tmp_path / "cut"
    path.write_bytes(tiny_model.read_bytes()[:100])
    with path.open("rb") as file, pytest.raises(ValueError, match="it was truncated while it was read"):
        layout.read_layout(file, tiny_model.stat().st_size)


def write_header(path: Path, header: Any, size: int = 0) -> None:
    """A file of this header, and as many bytes behind it that take no room on the disk."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + size)


def peak_of(path: Path) -> tuple[str, int]:
    """The error of a file, and the most bytes that Python held until then."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError) as caught:
            load(path)
        return str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


MANY: dict[str, tuple[bytes, str]] = {
    "lists": (b'{"a": [' + b"[]," * 1_000_000 + b"0]}", "its header has more than 100,000 values"),
    "objects": (b'{"a": [' + b"{}," * 1_000_000 + b"0]}", "its header has more than 100,000 values"),
    "numbers": (b'{"a": [' + b"9999," * 600_000 + b"0]}", "its header has more than 100,000 values"),
    "negative numbers": (b'{"a": [' + b"-9.9," * 600_000 + b"0]}", "its header has more than 100,000 values"),
    "texts": (b'{"a": [' + b'"",' * 1_000_000 + b"0]}", "its header has more than 100,000 values"),
    "open texts": (b'{"a": [' + b'"\\"' * 1_000_000 + b"0]}", "its header has more than 100,000 values"),
    "words": (b'{"a": [' + b"null," * 600_000 + b"0]}", "its header has more than 100,000 values"),
    "nulls": (b"{" + bytes(3_000_000), "its header is not JSON"),
    "spaces": (b"{" + b" " * 3_000_000, "its header is not JSON"),
    "backslashes": (b'{"' + b"\\" * 3_000_000, "its header is not JSON"),
    "a long text": (b'{"' + b"a" * 3_000_000 + b'": 0}', "the entry of 'aaa"),
}


@pytest.mark.parametrize(("header", "message"), MANY.values(), ids=MANY.keys())
def test_a_header_costs_little_more_than_its_letters(tmp_path: Path, header: bytes, message: str) -> None:
    """JSON of three megabytes could fill hundreds of megabytes of memory; what is too much is not parsed."""
    path = tmp_path / "model.safetensors"
    write_header(path, header)
    error, peak = peak_of(path)
    assert message in error
    assert peak < 8 * len(header)


def test_sizes_that_are_announced_cost_nothing(tmp_path: Path) -> None:
    """An array of terabytes in a header, and a header of exabytes, are refused before memory is asked for."""
    path = tmp_path / "model.safetensors"
    write_header(path, {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}})
    error, peak = peak_of(path)
    assert "it is truncated" in error
    assert peak < 2**20
    path.write_bytes((2**60).to_bytes(8, "little") + b"{}")
    error, peak = peak_of(path)
    assert "its header has 1152921504606846976 bytes" in error
    assert peak < 2**20


def test_a_file_with_a_hole_of_terabytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may be as long as it says and take no room on the disk: its arrays must fit in memory."""
    path = tmp_path / "model.safetensors"
    monkeypatch.setattr(model_file, "_memory", lambda: 10_000_000)
    texts = dict.fromkeys(model_file.KEYS, "{}") | {"tidegate": "1"}
    entry = {"dtype": "F32", "shape": [2**23], "data_offsets": [0, 2**25]}
    write_header(path, {"__metadata__": texts, "a": entry}, 2**25)
    with (
        pytest.raises(ModelFileError, match="its arrays take 33,554,432 bytes, but this machine has 10,000,000 bytes"),
        model_file.reading(path) as contents,
    ):
        contents.arrays()


def test_this_machine_says_how_much_memory_it_has() -> None:
    """A number between 64 MiB and what 64 bits can say."""
    assert 2**26 < model_file._memory() <= 2**63


def test_texts_of_the_metadata_have_limits(tmp_path: Path) -> None:
    """All texts but the tokenizer, which grows with its words, are short."""
    path = tmp_path / "model.safetensors"
    for name in ("config", "metrics", "versions"):
        texts = {"config": "{}", "metrics": "{}", "versions": "{}"}
        texts[name] = "{" + " " * model_file.LONGEST_TEXT + "}"
        model_file.write(path, {"a": np.ones(1, np.float32)}, texts)
        with pytest.raises(ModelFileError, match=f"{name} has 4,194,306 letters, expected at most 4,194,304"):
            load(path)


def test_values_are_counted_before_they_are_parsed() -> None:
    """As many values as are allowed pass: each text, number, word, list and object is one."""
    text = '{"a\\"[": [1, -2.5e3, true, {}, "x,y"]}'
    assert metadata.parse_object("it", text, 8) == {'a"[': [1, -2500.0, True, {}, "x,y"]}
    with pytest.raises(ValueError, match="it has more than 7 values, expected less"):
        metadata.parse_object("it", text, 7)


def test_the_present_rules_are_known(tiny_model: Path) -> None:
    """A model of this version is read, whatever else its tokenizer's JSON holds, and however it is laid out."""
    with model_file.reading(tiny_model) as contents:
        text = contents.metadata["tokenizer"]
    description = json.loads(text)
    rules.read_tokenizer(text, len(description["model"]["vocab"]))
    rules.read_tokenizer(json.dumps(dict(reversed(description.items())), indent=2), 100)
