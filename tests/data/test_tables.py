"""Tables of texts and labels, read from and written to every kind of file."""

import gzip
import io
import json
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tidegate.data import tables
from tidegate.data.tables.sources.kinds import TableWarning

COLUMNS = {
    "id": ["1", "2", "3", "4"],
    "text": ['A "fine" film, really.', "Two lines\nand a\ttab", "", "naïve 😀\u2028"],
    "label": ["pos", "neg", "pos", "neg"],
}
SUFFIXES = [".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ".tsv.gz", ".ndjson.gz", ".pq", ".CSV"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_read(tmp_path: Path, suffix: str) -> None:
    """Every kind of file gives back texts, labels and all other columns, whatever is in them."""
    path = tmp_path / f"reviews{suffix}"
    tables.write(path, COLUMNS)
    table = tables.read(path)
    assert (table.texts, table.labels) == (COLUMNS["text"], COLUMNS["label"])
    assert (table.text_column, table.label_column) == ("text", "label")
    assert table.columns == COLUMNS
    assert len(table) == 4
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@settings(max_examples=50)
@example(rows=[("\r", "a"), ("\n", "b"), ("a\rb\r\n", "b")], kind="csv")
@given(
    rows=st.lists(
        st.tuples(st.text(st.characters(codec="utf-8"), max_size=20), st.sampled_from("ab")),
        min_size=1,
        max_size=5,
    ),
    kind=st.sampled_from(["csv", "jsonl"]),
)
def test_any_text_survives(rows: list[tuple[str, str]], kind: str) -> None:
    """Delimiters, quotation marks, line breaks and control characters come back as they were."""
    stream = io.BytesIO()
    with tables.writer(stream, kind) as write:
        write({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    [table] = tables.stream(io.BytesIO(stream.getvalue()), kind, need_label=True, size=None)
    assert list(zip(table.texts, table.labels or [], strict=True)) == rows


def test_labels_are_texts_in_every_kind_of_file(tmp_path: Path) -> None:
    """Numbers, whole floats and their spellings in text are the same labels."""
    spellings: dict[str, Any] = {
        "a.parquet": np.array([0, 1], np.int8),
        "b.parquet": [0.0, 1.0],
        "c.jsonl": [0, 1.0],
        "d.csv": ["0", "1.0"],
        "e.csv": np.array([0, 1]),
    }
    for name, labels in spellings.items():
        tables.write(tmp_path / name, {"text": ["x", "y"], "label": labels})
        assert tables.read(tmp_path / name).labels == ["0", "1"], name


def test_labels_are_optional(tmp_path: Path) -> None:
    """Without `need_label` a table needs no labels, and has them only if they are asked for."""
    path = tmp_path / "t.csv"
    tables.write(path, {"text": ["x", "y"], "stars": ["1", "2"]})
    assert tables.read(path, need_label=False).labels is None
    assert tables.read(path, label="stars", need_label=False).labels == ["1", "2"]


def test_one_class_is_no_error(tmp_path: Path) -> None:
    """A table may hold one class only, for a trained model to be judged by."""
    tables.write(tmp_path / "t.csv", {"text": ["x", "y"], "label": ["a", "a"]})
    assert tables.read(tmp_path / "t.csv").labels == ["a", "a"]


def test_missing_texts_are_empty(tmp_path: Path) -> None:
    """A missing text is an empty one, so that rows keep their places."""
    tables.write(tmp_path / "t.parquet", {"text": ["x", None], "label": ["a", "b"]})
    (tmp_path / "t.jsonl").write_text('{"text": null, "label": "a"}\n{"label": "b"}\n')
    assert tables.read(tmp_path / "t.parquet").texts == ["x", ""]
    assert tables.read(tmp_path / "t.jsonl").texts == ["", ""]


@pytest.mark.parametrize(
    ("name", "content", "arguments", "message"),
    [
        ("t.csv", "", {}, "t.csv: the file is empty"),
        ("t.csv", "text,label\n", {}, "t.csv: there are no rows"),
        ("t.jsonl", "\n", {}, "t.jsonl: there are no rows"),
        ("t.csv", "text,label\nx,a\ny,\nz, \n", {}, "2 of 3 rows have no label in column 'label', first row 2"),
        ("t.csv", "text,label\nx\n", {}, "line 2 has 1 field, expected 2"),
        ("t.csv", "text,label\nx,a\n", {"text": "body"}, "t.csv: there is no column 'body'.*'text', 'label'"),
        ("t.csv", "text,label\nx,a\n", {"label": "class"}, "t.csv: there is no column 'class'"),
        ("t.csv", "a,b\nx,y\n", {}, "cannot tell which column holds the texts.*--text"),
        ("t.txt", "x\ny\n", {}, "no column is left for the labels"),
        ("t.jsonl", '{"text": [5], "label": 1}\n', {}, r"row 1 of column 'text' holds \[5\], expected a text"),
        ("t.jsonl", '{"text": "x", "label": [1]}\n', {}, r"row 1 of label .* holds \[1\], expected a text or a number"),
        ("t.jsonl", "{}\n", {}, "objects without fields"),
        ("t.xlsx", "", {}, r"t.xlsx: the suffix is unknown, expected one of \.csv, \.tsv"),
        ("t.gz", "", {}, "the suffix is unknown"),
        ("t.parquet.gz", "", {}, "t.parquet.gz: the file is empty, expected a Parquet file"),
        ("t", "", {}, "the suffix is unknown"),
    ],
)
def test_wrong_tables(tmp_path: Path, name: str, content: str, arguments: dict[str, str], message: str) -> None:
    """What is wrong with a table is said, with the file."""
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        tables.read(path, **arguments)  # type: ignore[arg-type]


def test_streams_are_read_part_by_part() -> None:
    """A stream gives tables of at most `size` rows with the columns chosen on the first."""
    content = b"id,review\n" + b"".join(b"%d,text number %d\n" % (i, i) for i in range(5))
    parts = list(tables.stream(io.BytesIO(content), "csv", size=2))
    texts = [f"text number {i}" for i in range(5)]
    assert [part.texts for part in parts] == [texts[:2], texts[2:4], texts[4:]]
    assert [part.columns["id"] for part in parts] == [["0", "1"], ["2", "3"], ["4"]]
    assert {part.text_column for part in parts} == {"review"}


def test_lines_need_no_names() -> None:
    """Plain lines are texts, empty ones too, so that answers stand beside them line by line."""
    [table] = tables.stream(io.BytesIO(b"good film\n\nbad film\n"), "lines")
    assert table.texts == ["good film", "", "bad film"]
    assert list(tables.stream(io.BytesIO(), "lines")) == []


def test_rows_are_counted_over_all_parts() -> None:
    """An error in a later part counts rows from the beginning of the stream."""
    stream = io.BytesIO(b"text,label\nx,a\ny,b\nz,\n")
    with pytest.raises(ValueError, match=r"standard input: a row has no label in column 'label', first row 3"):
        list(tables.stream(stream, "csv", need_label=True, size=1))


def test_an_unknown_kind_is_refused() -> None:
    """The kinds that there are are listed."""
    with pytest.raises(ValueError, match="kind of table is 'excel', expected one of csv, tsv, jsonl, parquet, lines"):
        next(tables.stream(io.BytesIO(), "excel"))
    with pytest.raises(ValueError, match="kind of table is 'lines', expected csv, tsv, jsonl or parquet"):
        tables.writer(io.BytesIO(), "lines").__enter__()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz"])
def test_tables_are_written_part_by_part(tmp_path: Path, suffix: str) -> None:
    """Parts make one table, also if a column is empty at first, or a later part has one more without a value."""
    path = tmp_path / f"t{suffix}"
    with tables.writer(path) as write:
        write({"text": ["x"], "note": [None], "p": np.float32([0.5])})  # type: ignore[arg-type]
        write({"p": [0.25], "more": [None], "note": ["n"], "text": ["y"]})
        assert not path.exists()
    found = tables.read(path, text="text", need_label=False).columns
    assert found["text"] == ["x", "y"]
    assert [float(p) for p in found["p"]] == [0.5, 0.25]
    assert found["note"][1] == "n"
    assert list(found)[:3] == ["text", "note", "p"]


def test_vectors_are_written(tmp_path: Path) -> None:
    """An array [B, F] makes a column of vectors: of fixed size in Parquet, lists in JSON Lines."""
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    for suffix in (".parquet", ".jsonl"):
        tables.write(tmp_path / f"v{suffix}", {"text": ["x", "y"], "vector": vectors})
        assert tables.read(tmp_path / f"v{suffix}", need_label=False).columns["vector"] == vectors.tolist()
    assert parquet.read_schema(tmp_path / "v.parquet").field("vector").type == pa.list_(pa.float32(), 3)


def test_parts_reach_a_stream_at_once() -> None:
    """Each part is in the stream as soon as it is written, under one line of names."""
    stream = io.BytesIO()
    with tables.writer(stream, "csv") as write:
        write({"text": ["a, b"], "p": np.array([0.5])})
        assert stream.getvalue() == b'text,p\n"a, b",0.5\n'
        write({"text": ["c"], "p": np.array([1])})
    assert stream.getvalue() == b'text,p\n"a, b",0.5\nc,1\n'


def write_both(write: tables.Write, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Writes two parts."""
    write(first)
    write(second)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".csv.gz"])
def test_a_failure_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    """If writing fails half-way, the old file stays, and no other."""
    path = tmp_path / f"t{suffix}"
    tables.write(path, {"text": ["old"]})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="equally many"), tables.writer(path) as write:
        write_both(write, {"text": ["new"]}, {"text": ["x"], "p": []})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_wrong_columns_are_not_written(tmp_path: Path, suffix: str) -> None:
    """Columns of different length, or missing in a later part, are refused, and no file is left."""
    path = tmp_path / f"t{suffix}"
    with pytest.raises(ValueError, match=r"columns have \{'a': 1, 'b': 2\} rows, expected equally many"):
        tables.write(path, {"a": [1], "b": [1, 2]})
    if suffix != ".jsonl":
        with pytest.raises(ValueError, match=r"expected \['a'\] too"), tables.writer(path) as write:
            write_both(write, {"a": [1]}, {"b": [1]})
    assert list(tmp_path.iterdir()) == []


def test_a_lone_surrogate_is_written_as_a_question_mark(tmp_path: Path) -> None:
    """A character that UTF-8 cannot hold, as JSON escapes may smuggle in, does not stop a command half-way."""
    (tmp_path / "in.jsonl").write_text(r'{"text": "a \ud800 b"}')
    with pytest.warns(TableWarning, match="in.jsonl: a row holds half of a pair of surrogates.* first in line 1"):
        columns = tables.read(tmp_path / "in.jsonl", need_label=False).columns
    for suffix in (".csv", ".jsonl"):
        tables.write(tmp_path / f"out{suffix}", columns)
        assert tables.read(tmp_path / f"out{suffix}", need_label=False).texts == ["a ? b"]


def test_compressed_files_are_gzip(tmp_path: Path) -> None:
    """A name that ends in .gz is written compressed."""
    tables.write(tmp_path / "t.csv.gz", {"text": ["x"]})
    assert gzip.decompress((tmp_path / "t.csv.gz").read_bytes()) == b"text\nx\n"


@pytest.mark.parametrize(
    ("content", "text", "label"),
    [
        ('{"review": {"text": "x"}, "label": "a"}\n{"review": {"text": "y"}, "label": "b"}\n', "review.text", None),
        ('{"a": {"b": {"c": "x"}}, "d": {"e": "a"}}\n{"a": {"b": {"c": "y"}}, "d": {"e": "b"}}\n', "a.b.c", "d.e"),
        ('{"a.b": "x", "label": "a"}\n{"a.b": "y", "label": "b"}\n', "a.b", None),
        ('[{"r": {"t": "x"}, "label": "a"}, {"r": {"t": "y"}, "label": "b"}]', "r.t", "label"),
    ],
)
def test_fields_of_records_have_dotted_names(tmp_path: Path, content: str, text: str, label: str | None) -> None:
    """A text or a label inside a record is named with dots, and the column of records stays as it is."""
    path = tmp_path / "t.jsonl"
    path.write_text(content)
    table = tables.read(path, text, label)
    assert (table.texts, table.labels) == (["x", "y"], ["a", "b"])
    assert table.text_column == text
    with pytest.raises(ValueError, match=r"there is no column 'a\.b\.x'"):
        tables.read(path, "a.b.x", label)


def test_real_reviews_are_read(data: Path) -> None:
    """The official test reviews of IMDB: 25,000 texts, half of them of each class, columns found without help."""
    table = tables.read(data / "imdb" / "test.parquet")
    assert len(table) == 25_000
    assert table.label_column == "label"
    assert sorted(table.labels or [])[12_499:12_501] == ["0", "1"]


SPELLINGS: dict[str, tuple[list[Any], list[str]]] = {
    "numbers": ([1984, 2.5, True, None, float("nan"), "x"], ["1984", "2.5", "true", "", "", "x"]),
    "bytes": ([b"caf\xc3\xa9", b"", None], ["café", "", ""]),
    "decimals": ([Decimal("1.50"), None], ["1.50", ""]),
    "categories": (["a", "b", "a"], ["a", "b", "a"]),
    "integers": ([1984, None], ["1984", ""]),
    "truth": ([True, False], ["true", "false"]),
    "floats": (np.array([0.1, np.nan], np.float32).tolist(), ["0.10000000149011612", ""]),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_whatever_a_column_of_texts_holds_is_text(tmp_path: Path, name: str) -> None:
    """Numbers and truth values are their text, bytes are decoded, and what is missing is empty."""
    values, texts = SPELLINGS[name]
    if name == "numbers":
        rows = (json.dumps({"text": value, "label": "x"}) + "\n" for value in values)
        path = tmp_path / "t.jsonl"
        path.write_text("".join(rows))
    else:
        path = tmp_path / "t.parquet"
        column = pa.array(values).dictionary_encode() if name == "categories" else pa.array(values)
        parquet.write_table(pa.table({"text": column, "label": ["x"] * len(values)}), path)
    assert tables.read(path).texts == texts
    assert [text for part in tables.stream(path, size=1, text="text") for text in part.texts] == texts


def test_numbers_of_single_precision_are_written_short(tmp_path: Path) -> None:
    """A number is the shortest that its column tells from others, as a text, as a label and in CSV."""
    values = pa.array([0.1, 0.2], pa.float32())
    parquet.write_table(pa.table({"text": values, "label": values, "more": values}), tmp_path / "t.parquet")
    table = tables.read(tmp_path / "t.parquet")
    assert (table.texts, table.labels, table.columns["more"]) == (["0.1", "0.2"], ["0.1", "0.2"], [0.1, 0.2])


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """The row and the column are named."""
    parquet.write_table(pa.table({"text": [b"ok", b"caf\xe9"], "label": ["x", "y"]}), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"row 2 of column 'text' holds bytes that are not UTF-8 \(0xe9\)"):
        tables.read(tmp_path / "t.parquet")


def test_a_text_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text longer than any that is read would fill the memory with its words."""
    monkeypatch.setattr("tidegate.data.tables.table.LONGEST_TEXT", 1000)
    tables.write(tmp_path / "t.jsonl", {"text": ["x", "x " * 600]})
    with pytest.raises(ValueError, match="row 2 of column 'text' holds a text of 1,200 characters, expected 1,000"):
        list(tables.stream(tmp_path / "t.jsonl"))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int8(), [0, 1]),
        (pa.float16(), [np.float16(0), np.float16(1)]),
        (pa.float64(), [-0.0, 1.0]),
        (pa.decimal128(1, 0), [Decimal(0), Decimal(1)]),
        (pa.decimal128(10, 3), [Decimal("0.000"), Decimal("1.000")]),
        (pa.decimal128(38, 9), [Decimal(0), Decimal(1)]),
        (pa.string(), ["-0", "1.0"]),
        (pa.binary(), [b"0", b"1"]),
        (pa.dictionary(pa.int8(), pa.string()), ["0", "1"]),
    ],
    ids=str,
)
def test_labels_of_parquet_have_one_name(tmp_path: Path, kind: Any, values: list[Any]) -> None:
    """Whole numbers are the same labels in every type."""
    column = pa.array(values).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(values, kind)
    parquet.write_table(pa.table({"text": ["a", "b"], "label": column}), tmp_path / "t.parquet")
    assert tables.read(tmp_path / "t.parquet").labels == ["0", "1"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "text,label\nx,True\ny,False\n"),
        ("t.csv", "text,label\nx,TRUE\ny,FALSE\n"),
        ("t.csv", "text,label\nx,true\ny,false\n"),
        ("t.tsv", "text\tlabel\nx\tTrue\ny\tFalse\n"),
        ("t.jsonl", '{"text": "x", "label": true}\n{"text": "y", "label": false}\n'),
        ("t.jsonl", '{"text": "x", "label": "TRUE"}\n{"text": "y", "label": false}\n'),
    ],
)
def test_truth_values_have_one_name(tmp_path: Path, name: str, content: str) -> None:
    """True and false are the same labels in every kind of file."""
    (tmp_path / name).write_text(content)
    table = tables.read(tmp_path / name)
    assert table.labels == ["true", "false"]
    tables.write(tmp_path / "again.parquet", {"text": ["x", "y"], "label": [True, False]})
    tables.write(tmp_path / "again.csv", tables.read(tmp_path / "again.parquet").columns)
    assert tables.read(tmp_path / "again.csv").labels == table.labels


def wide(path: Path, width: int, rows: int) -> Path:
    """A table of texts and labels among other columns."""
    columns = {f"c{i}": [f"{i}.125"] * rows for i in range(width)}
    labelled = {"text": ["a fine film", "a dull one"] * (rows // 2), "label": ["x", "y"] * (rows // 2)}
    tables.write(path, columns | labelled)
    return path


class Pipe(io.BytesIO):
    """A stream that can be read once."""

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("source", [Path, io.BytesIO, Pipe])
def test_columns_that_are_of_no_use_are_not_kept(tmp_path: Path, suffix: str, source: Any) -> None:
    """Only texts and labels are read, from a file, a stream that can be taken back, and a pipe."""
    path = wide(tmp_path / f"t.{suffix}", 3, 1500)
    given = path if source is Path else source(path.read_bytes())
    found = list(tables.stream(given, suffix, size=None, need_label=True, others=False))
    assert [(list(part.columns), len(part)) for part in found] == [(["text", "label"], 1500)]
    assert found[0].labels == ["x", "y"] * 750


@pytest.mark.parametrize("source", [Path, Pipe])
def test_columns_that_are_of_no_use_take_no_memory(tmp_path: Path, source: Any) -> None:
    """Of a long table less than half is held, the rows by which columns are guessed."""
    path, peaks = wide(tmp_path / "t.csv", 30, 6000), []
    for others in (False, True):
        given = path if source is Path else Pipe(path.read_bytes())
        tracemalloc.start()
        list(tables.stream(given, "csv", size=None, others=others))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < peaks[1] / 2


@pytest.mark.parametrize("source", [Path, Pipe])
def test_a_label_column_that_comes_late_is_found(tmp_path: Path, source: Any) -> None:
    """JSON Lines whose first rows have no label are read for them, though other columns are not."""
    rows = [{"text": f"film {i}", "other": i} for i in range(3000)]
    for i, row in enumerate(rows[2000:]):
        row["label"] = i % 2
    (tmp_path / "t.jsonl").write_text("".join(map(json.dumps, rows)))
    given = tmp_path / "t.jsonl" if source is Path else Pipe((tmp_path / "t.jsonl").read_bytes())
    with pytest.raises(ValueError, match=r"2000 of 3000 rows have no label in column 'label', first row 1"):
        list(tables.stream(given, "jsonl", need_label=True, size=None, others=False))
