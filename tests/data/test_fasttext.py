"""fastText's own format."""

import io
import warnings
from pathlib import Path
from typing import Any

import pytest

from tidegate.data import tables
from tidegate.data.tables.rows import blocks


@pytest.mark.parametrize("kind", [None, "csv", "tsv"])
@pytest.mark.parametrize(
    ("content", "texts", "labels"),
    [
        ("__label__a fine film\n__label__b bad, film\n", ["fine film", "bad, film"], ["a", "b"]),
        ("__label__a\tfine film\n\n__label__b\tbad film\n", ["fine film", "bad film"], ["a", "b"]),
        ("fine film __label__a\nbad film __label__b", ["fine film", "bad film"], ["a", "b"]),
        ("__label__a fine film\r\n__label__b bad film\r\n", ["fine film", "bad film"], ["a", "b"]),
        ("__label__very_good fine\n__label__5 bad\n", ["fine", "bad"], ["very_good", "5"]),
        ("__label__a __label__b fine\n__label__b bad\n", ["fine", "bad"], [["a", "b"], "b"]),
        ("__label__a fine\nbad\n", ["fine", "bad"], ["a", None]),
        ("__label__a\n__label__b x\n", ["", "x"], ["a", "b"]),
        ("\ufeff__label__a fine\n__label__b bad\n", ["fine", "bad"], ["a", "b"]),
        ("  __label__a fine film\n\t__label__b  bad film\n", ["fine film", "bad film"], ["a", "b"]),
        ("__label__хорошо отлично\n", ["отлично"], ["хорошо"]),
    ],
)
def test_labels_and_texts_are_read(kind: str | None, content: str, texts: list[str], labels: list[Any]) -> None:
    """Labels stand before or behind the text, whatever the name of the file says."""
    assert list(blocks(io.BytesIO(content.encode()), kind, None)) == [{"text": texts, "label": labels}]


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".train", ".jsonl.txt", ""])
def test_files_of_any_name(tmp_path: Path, suffix: str) -> None:
    """The format is told by its labels, without a word."""
    path = tmp_path / f"t{suffix}"
    path.write_text("__label__a fine film\n__label__b bad film\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = tables.read(path)
    assert (table.texts, table.labels) == (["fine film", "bad film"], ["a", "b"])


@pytest.mark.parametrize(("suffix", "kind"), [(".txt", None), (".train", None), (".ft", None), (".csv", "fasttext")])
def test_the_first_rows_may_have_no_label(tmp_path: Path, suffix: str, kind: str | None) -> None:
    """Marks in later lines tell the format too, as the first rows of several labels may have none."""
    path = tmp_path / f"t{suffix}"
    path.write_text("a film\n\nanother, longer\n__label__a __label__b fine film\n")
    found = {"text": ["a film", "another, longer", "fine film"], "label": [None, None, ["a", "b"]]}
    assert list(blocks(path, kind, None)) == [found]
    assert list(blocks(io.BytesIO(path.read_bytes()), kind, None)) == [found]


def test_several_labels_are_refused_only_where_labels_count(tmp_path: Path) -> None:
    """A text with two labels cannot be trained on, and can be predicted."""
    path = tmp_path / "t.txt"
    path.write_text("__label__a __label__b fine film\n")
    with pytest.raises(ValueError, match=r"row 1 of .*\['a', 'b'\].* --task multi-label trains with several"):
        tables.read(path)
    assert tables.read(path, need_label=False).texts == ["fine film"]


def test_lines_that_were_asked_for_are_lines(tmp_path: Path) -> None:
    """`lines` takes every line for a text, whatever is in it."""
    for line in ("__label__a fine film", "text,label", '{"text": "x"}', "text", "sep=;", "<html>"):
        assert list(blocks(io.BytesIO(f"{line}\nb\n".encode()), "lines", None)) == [{"text": [line, "b"]}]
