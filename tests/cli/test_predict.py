"""`tidegate predict`: files and streams in, labels and probabilities out."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import tidegate
from tidegate.data import tables

Shell = Callable[..., tuple[int, str, str]]


def rows_of(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    """Reads the rows of a CSV text."""
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def test_every_column_stays(shell: Shell, folder: Path) -> None:
    """The rows of a file come out in order, with the prediction and the probability of each class behind them."""
    code, out, err = shell("predict model.safetensors test.csv")
    assert (code, err) == (0, "")
    rows, table = rows_of(out), tables.read(folder / "test.csv")
    assert list(rows[0]) == ["text", "label", "prediction", "p_neg", "p_pos"]
    assert [row["text"] for row in rows] == table.texts
    assert [row["label"] for row in rows] == table.labels
    probabilities = tidegate.load(folder / "model.safetensors").predict_proba(table.texts)
    np.testing.assert_allclose([[float(row["p_neg"]), float(row["p_pos"])] for row in rows], probabilities, atol=1e-6)
    assert [row["prediction"] for row in rows] == [["neg", "pos"][i] for i in probabilities.argmax(1)]


@pytest.mark.parametrize(
    ("options", "stdin"),
    [
        ("", 'a "good", lovely film\n\nbad\n'),
        ("--from csv", 'text,id\n"a ""good"", lovely film",1\n,2\nbad,3\n'),
        ("--from tsv", 'text\tid\na "good", lovely film\t1\n\t2\nbad\t3\n'),
        ("--from jsonl", '{"text": "a \\"good\\", lovely film"}\n{"text": ""}\n{"text": "bad"}\n'),
    ],
)
@pytest.mark.parametrize("to", ["csv", "tsv", "jsonl"])
def test_standard_input_is_read_in_every_kind(shell: Shell, options: str, stdin: str, to: str) -> None:
    """Plain lines, CSV, TSV and JSON Lines give the same predictions, an empty text included."""
    code, out, err = shell(f"predict model.safetensors - {options} --to {to}", stdin=stdin)
    assert (code, err) == (0, "")
    if to == "jsonl":
        rows: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    else:
        rows = list(rows_of(out, "," if to == "csv" else "\t"))
    assert [row["text"] for row in rows] == ['a "good", lovely film', "", "bad"]
    assert all(float(row["p_neg"]) + float(row["p_pos"]) == pytest.approx(1, abs=2e-6) for row in rows)
    assert rows[0]["prediction"] == "pos"
    assert rows[2]["prediction"] == "neg"


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_output_files_hold_what_is_printed(shell: Shell, folder: Path, suffix: str) -> None:
    """`-o` writes every kind of table, with the columns that go to standard output."""
    code, out, err = shell(f"predict model.safetensors test.csv -o out.{suffix}")
    assert (code, out, err) == (0, "", f"wrote 50 predictions to out.{suffix}\n")
    columns = tables.read(folder / f"out.{suffix}", text="text", need_label=False).columns
    printed = rows_of(shell("predict model.safetensors test.csv")[1])
    assert columns["prediction"] == [row["prediction"] for row in printed]
    assert [float(p) for p in columns["p_pos"]] == [float(row["p_pos"]) for row in printed]


@pytest.mark.parametrize("rows", [3000, 1500])
def test_threads_share_the_parts_of_a_large_file(shell: Shell, folder: Path, rows: int) -> None:
    """A file of more parts than threads is predicted by all of them, in its order; what comes out is the same."""
    texts = [f"a {'good' if i % 3 else 'bad'} film number {i}" for i in range(rows)]
    (folder / "large.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    alone, together = (shell(f"predict model.safetensors large.jsonl --threads {n}") for n in (1, 2))
    assert alone == together
    assert tidegate.get_num_threads() == 2
    assert [row["text"] for row in rows_of(together[1])] == texts


def test_a_line_is_answered_before_the_next_one_comes(process: Callable[[str], Any]) -> None:
    """Who writes a line into the pipe gets the answer while the pipe is open."""
    running = process("predict model.safetensors - --to jsonl")
    for word, label in (("good", "pos"), ("bad", "neg"), ("lovely", "pos")):
        running.stdin.write(f"{word}\n")
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["prediction"] == label
    out, err = running.communicate()
    assert (running.returncode, out, err) == (0, "", "")


def test_a_reader_that_has_had_enough_is_no_error(process: Callable[[str], Any], folder: Path) -> None:
    """When standard output is closed, as `head` does, the command ends quietly."""
    tables.write(folder / "long.csv", {"text": ["a good film"] * 20_000})
    running = process("predict model.safetensors long.csv")
    assert running.stdout.readline() == "text,prediction,p_neg,p_pos\n"
    running.stdout.close()
    assert running.stderr.read() == ""
    assert running.wait() == 0
    running.stdin.close()
    running.stderr.close()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("predict model.safetensors 'a good film'", "there is no file 'a good film'; for a text itself there is"),
        ("predict model.safetensors nothing.csv", "there is no file 'nothing.csv'\n"),
        ("predict model.safetensors", "predict needs either a FILE (- for standard input) or --words TEXT"),
        ("predict model.safetensors test.csv --words x", "predict needs either a FILE"),
        (
            "predict model.safetensors test.csv -o out.xlsx",
            "the output is out.xlsx, expected a file that ends in .csv",
        ),
        ("predict test.csv test.csv", "test.csv: it starts with b'text,label"),
        ("predict nothing.safetensors test.csv", "nothing.safetensors: No such file or directory"),
        ("predict model.safetensors test.csv --text q", "there is no column 'q'"),
    ],
)
def test_mistakes_are_one_line(shell: Shell, command: str, message: str) -> None:
    """Mistakes are told in one line on stderr, with exit code 2 and nothing on stdout."""
    code, out, err = shell(command)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_no_output_file_is_left_by_a_mistake(shell: Shell, folder: Path) -> None:
    """An input that breaks off in the middle leaves no half-written table."""
    (folder / "broken.jsonl").write_text('{"text": "good"}\n{"text": \n', encoding="utf-8")
    assert shell("predict model.safetensors broken.jsonl -o half.csv")[0] == 2
    assert not (folder / "half.csv").exists()


def test_no_column_of_the_input_is_lost(shell: Shell, folder: Path) -> None:
    """A column with the name of one that would be added is an error, not overwritten."""
    (folder / "taken.csv").write_text("text,p_neg\na good film,keep me\n", encoding="utf-8")
    code, out, err = shell("predict model.safetensors taken.csv")
    assert (code, out) == (2, "")
    assert "the input has a column 'p_neg', which predict would add" in err


def test_parquet_keeps_its_types(shell: Shell, folder: Path) -> None:
    """The columns of a Parquet file come out as they were, of whatever type, with the new ones behind them."""
    columns = {
        "text": pa.array([b"a good film", None, b"bad"], pa.binary()),
        "when": pa.array([1000000123, None, 5], pa.timestamp("ns")),
        "tags": pa.array([[], None, ["a"]], pa.list_(pa.string())),
        "price": pa.array([Decimal("1.50"), None, None], pa.decimal128(9, 2)),
        "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
    }
    table = pa.table(columns)
    parquet.write_table(table, folder / "typed.parquet")
    assert shell("predict model.safetensors typed.parquet -o typed_out.parquet")[0] == 0
    found = parquet.read_table(folder / "typed_out.parquet")
    assert found.select(table.column_names).equals(table)
    assert found.column_names[5:] == ["prediction", "p_neg", "p_pos"]
    code, out, _ = shell("predict model.safetensors typed.parquet --to jsonl")
    first = json.loads(out.splitlines()[0])
    assert code == 0
    assert (first["text"], first["when"], first["tags"], first["price"], first["kind"]) == (
        *("a good film", "1970-01-01T00:00:01.000000123", [], "1.50", "x"),
    )
    row = rows_of(shell("predict model.safetensors typed.parquet")[1])[2]
    assert (row["when"], row["tags"], row["price"]) == ("1970-01-01T00:00:00.000000005", '["a"]', "")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_a_column_that_comes_late_reaches_every_file(shell: Shell, folder: Path, suffix: str) -> None:
    """A column that a late record brings is in the output, from a file and from standard input."""
    rows = [json.dumps({"text": "good"})] * 1200 + [json.dumps({"text": "bad", "ticket": "T-7"})]
    (folder / "late.jsonl").write_text("\n".join(rows), encoding="utf-8")
    for source, stdin in (("late.jsonl", None), ("- --from jsonl", "\n".join(rows))):
        assert shell(f"predict model.safetensors {source} -o out.{suffix}", stdin=stdin)[0] == 0
        columns = tables.read(folder / f"out.{suffix}", text="text", need_label=False).columns
        assert columns["ticket"][-1] == "T-7"
        assert columns["ticket"][0] in {None, ""}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_pipe_may_bring_a_column_late(process: Callable[[str], Any], folder: Path, suffix: str) -> None:
    """What goes to a file waits for all of a pipe, so that a late column has its place."""
    running = process(f"predict model.safetensors - --from jsonl -o pipe.{suffix}")
    running.stdin.write('{"text": "good"}\n')
    running.stdin.flush()
    out, err = running.communicate('{"text": "bad", "ticket": {"n": 7}}\n')
    assert (running.returncode, out) == (0, ""), err
    columns = tables.read(folder / f"pipe.{suffix}", text="text", need_label=False).columns
    assert columns["ticket"][1] == ('{"n": 7}' if suffix == "csv" else {"n": 7})
    assert [path.name for path in folder.iterdir() if path.name.startswith((".", "tmp"))] == []


def test_a_column_that_comes_too_late_is_said(process: Callable[[str], Any]) -> None:
    """Printed CSV has no place for a late column: what was printed stays, and the error says what to do."""
    running = process("predict model.safetensors - --from jsonl")
    running.stdin.write('{"text": "good"}\n')
    running.stdin.flush()
    assert running.stdout.readline() == "text,prediction,p_neg,p_pos\n"
    assert running.stdout.readline().startswith("good,pos,")
    out, err = running.communicate('{"text": "lovely"}\n{"text": "bad", "ticket": "T-7"}\n')
    assert (running.returncode, out.split(",")[0]) == (2, "lovely")
    assert "row 3 brings a column 'ticket'" in err
    assert "--to jsonl" in err
    assert err.count("\n") == 1


def test_printed_json_is_json(shell: Shell, folder: Path) -> None:
    """Numbers that are not finite, which JSON has not, are null."""
    numbers = [1.5, float("nan"), float("inf"), None]
    parquet.write_table(
        pa.table({"text": ["a"] * 4, "n": numbers, "l": [[n] for n in numbers]}), folder / "nan.parquet"
    )
    code, out, _ = shell("predict model.safetensors nan.parquet --to jsonl")
    rows = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]
    assert (code, [row["n"] for row in rows], rows[2]["l"]) == (0, [1.5, None, None, None], [None])


@pytest.mark.parametrize(
    ("stdin", "note"),
    [
        ("text,label\na good film,pos\nbad,neg\n", "this is read as CSV"),
        ("text\tid\na good film\t1\nbad\t2\n", "this is read as CSV"),
        ("sep=;\r\ntext;id\r\na good film;1\r\nbad;2\r\n", "this is read as CSV"),
        ('{"text": "a good film"}\n{"text": "bad"}\n', "this is read as JSON"),
        ("text\na good film\nbad\n", "is taken for the name of a column"),
    ],
)
def test_a_header_from_standard_input_is_no_text(shell: Shell, stdin: str, note: str) -> None:
    """`cat table.csv | tidegate predict MODEL -` reads the table, and says so; `--from lines` takes all lines."""
    code, out, err = shell("predict model.safetensors - --to jsonl", stdin=stdin)
    assert code == 0
    assert err.startswith("note: standard input: ")
    assert note in err
    assert err.count("\n") == 1
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["a good film", "bad"]
    code, out, err = shell("predict model.safetensors - --from lines --to jsonl", stdin=stdin)
    assert (code, err, len(out.splitlines())) == (0, "", len(stdin.splitlines()))


def test_a_header_that_comes_again_is_noted(shell: Shell) -> None:
    """Of tables put together the names are left out where they come again, with one line on stderr."""
    stdin = "text,id\na good film,1\ntext,id\nbad,2\n"
    code, out, err = shell("predict model.safetensors - --from csv", stdin=stdin)
    assert code == 0
    assert [row["id"] for row in rows_of(out)] == ["1", "2"]
    assert err == "note: standard input: the line of names comes once more, first in line 3: it is no row\n"


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ("--from csv", ["text,id", "a good film,1", "bad,2"]),
        ("--from tsv", ["text\tid", "a good film\t1", '"bad\t2']),
        ("--from jsonl", ['{"text": "a good film"}', '{"text": "bad"}']),
        ("", ['{"text": "a good film"}', '{"text": "bad"}']),
        ("", ["text,id", "a good film,1", "bad,2"]),
        ("", ["__label__pos a good film", "bad"]),
    ],
)
def test_rows_in_a_pipe_are_answered_at_once(process: Callable[[str], Any], options: str, lines: list[str]) -> None:
    """A row of any kind gets its answer before the next one is written."""
    running = process(f"predict model.safetensors - --to jsonl {options}")
    for line in lines:
        running.stdin.write(f"{line}\n")
        running.stdin.flush()
        if line not in {"text,id", "text\tid"}:
            assert json.loads(running.stdout.readline())["prediction"] in {"neg", "pos"}
    assert running.communicate()[0] == ""
    assert running.returncode == 0


@pytest.mark.parametrize("command", ["predict model.safetensors /dev/stdin", "predict model.safetensors -"])
@pytest.mark.parametrize("name", ["test.csv", "test.tsv", "test.jsonl", "test.parquet", "test.csv.gz"])
def test_pipes_hold_every_kind_of_file(
    shell: Shell, process: Callable[[str], Any], folder: Path, command: str, name: str
) -> None:
    """A file that comes by a pipe gives what it gives by its name, Parquet and packed ones included."""
    table = tables.read(folder / "test.csv")
    tables.write(folder / name, {"text": table.texts, "label": table.labels})
    _, expected, _ = shell(f"predict model.safetensors {name}")
    running = process(command)
    running.stdin.buffer.write((folder / name).read_bytes())
    out, _ = running.communicate()
    assert (running.returncode, out) == (0, expected)


@pytest.mark.parametrize(
    ("name", "content"), [("head.csv", "text,label\n"), ("none.jsonl", ""), ("gone.csv", "404: Not Found")]
)
def test_a_file_without_rows_is_an_error(shell: Shell, folder: Path, name: str, content: str) -> None:
    """What has no rows, as a page that says "Not Found", is not passed over in silence; a pipe may end at once."""
    (folder / name).write_text(content)
    assert shell(f"predict model.safetensors {name}{' --text text' * (name == 'head.csv')}") == (
        2,
        "",
        f"error: {name} has no rows\n",
    )
    assert shell("predict model.safetensors -", stdin="") == (0, "", "")
