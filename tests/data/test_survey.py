"""Columns that later rows bring, in files and in pipes."""

import csv
import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tidegate.data import tables
from tidegate.data.tables.survey import can_be_read_twice, survey

Rows = list[dict[str, Any]]


def json_lines(rows: Rows) -> bytes:
    """Writes rows as JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def rows_with(late: dict[str, Any], at: int, count: int = 1500) -> Rows:
    """Makes rows of texts, one of which has more."""
    return [{"text": f"a film {i}"} | (late if i == at else {}) for i in range(count)]


def copied(source: Path, target: Path) -> Rows:
    """Copies a table part by part, and reads the copy."""
    with tables.writer(target) as append:
        for part in tables.stream(source, typed=target.suffix == ".parquet"):
            append(part.columns, part.schema)
    if target.suffix == ".csv":
        with target.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    columns = tables.read(target, need_label=False).columns
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("at", [0, 1, 1023, 1024, 1100, 1499])
@pytest.mark.parametrize(
    ("late", "in_csv"),
    [
        ({"ticket": "T-7"}, {"ticket": "T-7"}),
        ({"a": 1, "b": None, "c": True}, {"a": "1", "b": "", "c": "true"}),
        ({"meta": {"a": ["x", "é"]}}, {"meta": '{"a": ["x", "é"]}'}),
        ({"list": [{"a": None}]}, {"list": '[{"a": null}]'}),
    ],
)
def test_a_column_that_comes_late_is_kept(
    tmp_path: Path, at: int, late: dict[str, Any], in_csv: dict[str, str]
) -> None:
    """Whatever row of a file first has a column, all rows of the copy have it."""
    rows = rows_with(late, at)
    source = tmp_path / "in.jsonl"
    source.write_bytes(json_lines(rows))
    found = copied(source, tmp_path / "out.csv")
    assert found[at] == rows[at] | in_csv | {"text": f"a film {at}"}
    assert all(list(row) == list(found[at]) for row in found)
    for suffix in (".jsonl", ".parquet"):
        found = copied(source, tmp_path / f"out{suffix}")
        assert found == [dict.fromkeys(rows[at]) | row for row in rows]


def test_records_that_grow_are_kept_whole(tmp_path: Path) -> None:
    """A field that a nested record gets late is in the Parquet file too."""
    rows: Rows = [{"text": "a", "meta": {"a": 1}}] * 1200 + [{"text": "b", "meta": {"a": 2.5, "b": "x"}}]
    (tmp_path / "in.jsonl").write_bytes(json_lines(rows))
    found = copied(tmp_path / "in.jsonl", tmp_path / "out.parquet")
    assert found[0]["meta"] == {"a": 1.0, "b": None}
    assert found[-1]["meta"] == {"a": 2.5, "b": "x"}


@pytest.mark.parametrize("empty", [{}, {"text": None}, {"text": float("nan")}])
@pytest.mark.parametrize("name", ["text", "review"])
def test_the_texts_may_come_late(tmp_path: Path, empty: dict[str, Any], name: str) -> None:
    """The column of texts is found though the first thousand rows have none."""
    first = {name: empty["text"]} if empty else {}
    rows: Rows = [{"id": i} | first for i in range(1100)] + [{"id": 0, name: "a fine film at last"}] * 9
    (tmp_path / "in.jsonl").write_bytes(json_lines(rows))
    parts = list(tables.stream(tmp_path / "in.jsonl"))
    texts = [text for part in parts for text in part.texts]
    assert (parts[0].text_column, texts) == (name, [""] * 1100 + ["a fine film at last"] * 9)


@pytest.mark.parametrize("kind", ["csv", "tsv"])
@pytest.mark.parametrize("late", [1, 2, 5])
def test_a_column_that_comes_too_late_is_an_error(kind: str, late: int) -> None:
    """What has its names above the first row says which row brings another; what was written before it stays."""
    out = io.BytesIO()
    rows = [None] * (late - 1) + ["T-7", None]
    with tables.writer(out, kind) as append:
        append({"text": ["a"]})
        with pytest.raises(ValueError, match=rf"row {late + 1} brings a column 'ticket', .*--to jsonl"):
            append({"text": ["b"] * len(rows), "ticket": rows})
    assert out.getvalue().decode().split() == ["text", "a", *["b"] * (late - 1)]


def test_json_lines_take_a_late_column() -> None:
    """Each of their rows has its own columns."""
    out = io.BytesIO()
    with tables.writer(out, "jsonl") as append:
        append({"text": ["a"]})
        append({"text": ["b"], "ticket": ["T-7"]})
    assert out.getvalue() == b'{"text": "a"}\n{"text": "b", "ticket": "T-7"}\n'


def test_what_can_be_read_twice(tmp_path: Path) -> None:
    """Files on a disk can, under a name or open; pipes cannot."""
    (tmp_path / "t.jsonl").write_bytes(b'{"text": "a"}\n')
    os.mkfifo(tmp_path / "pipe")
    reading, writing = os.pipe()
    with open(reading, "rb") as pipe, open(writing, "wb"), (tmp_path / "t.jsonl").open("rb") as file:
        found = [can_be_read_twice(source) for source in (tmp_path / "t.jsonl", file, tmp_path / "pipe", pipe)]
    assert found == [True, True, False, False]


def test_a_stream_is_taken_back_to_where_it_was() -> None:
    """Who reads a stream after it was looked through reads the same rows."""
    stream = io.BytesIO(b'first\n{"text": "a"}\n{"text": "b", "x": 1}\n')
    stream.readline()
    found = survey(stream, "jsonl", typed=True, whole=False)
    assert found is not None
    assert (list(found.sample), found.schema.names) == (["text", "x"], ["text", "x"])
    assert stream.readline() == b'{"text": "a"}\n'


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.jsonl.gz", "noname"])
def test_late_columns_are_found_by_what_a_file_is(tmp_path: Path, name: str) -> None:
    """Packed files and files of another name are looked through like others."""
    content = json_lines(rows_with({"ticket": "T-7"}, 1400))
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    first = next(tables.stream(tmp_path / name))
    assert list(first.columns) == ["text", "ticket"]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_texts_in_records_are_found_beside_other_columns(tmp_path: Path, suffix: str) -> None:
    """A field of a record is named with a dot, and its record reaches the output."""
    rows: Rows = [{"id": i, "review": {"text": f"a film {i}", "stars": i}} for i in range(3)]
    path = tmp_path / f"t.{suffix}"
    if suffix == "jsonl":
        path.write_bytes(json_lines(rows))
    else:
        tables.write(path, {name: [row[name] for row in rows] for name in ("id", "review")})
    for others in (True, False):
        [part] = tables.stream(path, text="review.text", label="review.stars", others=others)
        assert (part.texts, part.labels) == (["a film 0", "a film 1", "a film 2"], ["0", "1", "2"])
        assert part.columns["review"] == [row["review"] for row in rows]
