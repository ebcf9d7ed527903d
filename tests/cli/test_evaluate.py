"""`tidegate evaluate`: figures for people and for programs."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate.data import tables
from tidegate.models.metrics.reports import score

Shell = Callable[..., tuple[int, str, str]]


def test_json_is_one_object_and_nothing_else(shell: Shell, folder: Path) -> None:
    """`--json` prints the figures, which agree with the model's predictions."""
    code, out, err = shell("evaluate model.safetensors test.csv --json")
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    figures = json.loads(out)
    assert set(figures) == {"accuracy", "macro_f1", "per_class", "confusion", "log_loss", "ece", "n"}

    table = tables.read(folder / "test.csv")
    predicted = tidegate.load(folder / "model.safetensors").predict(table.texts)
    truth = np.array(table.labels)
    assert figures["n"] == 50
    assert figures["accuracy"] == np.mean(predicted == truth)
    assert figures["confusion"] == [
        [int(((truth == row) & (predicted == column)).sum()) for column in ("neg", "pos")] for row in ("neg", "pos")
    ]
    assert list(figures["per_class"]) == ["neg", "pos"]
    assert figures["per_class"]["neg"]["support"] == (truth == "neg").sum()


def test_people_see_tables(shell: Shell) -> None:
    """Without `--json` the scores, a row for each class, and the confusion matrix are shown."""
    code, out, _ = shell("evaluate model.safetensors test.csv")
    assert code == 0
    for line in (
        r"accuracy +\d\.\d{4}",
        r"macro F1 +\d\.\d{4}",
        r"log-loss +\d\.\d{4}",
        r"calibration error +\d\.\d{4}",
        r" 0\.93–1\.00 +█+│?█* +\d\.\d{3} +\d\.\d{3} +\d+",
        r" class +precision +recall +F1 +texts",
        r" neg +\d\.\d{4} +\d\.\d{4} +\d\.\d{4} +\d+",
        r" true \\ predicted +neg +pos",
        r" pos +\d+ +\d+",
    ):
        assert re.search(rf"^{line} *$", out, re.MULTILINE), line


def test_the_columns_can_be_named(shell: Shell, folder: Path) -> None:
    """Columns with unusual names are found by `--text` and `--label`."""
    table = tables.read(folder / "test.csv")
    tables.write(folder / "odd.csv", {"q": table.texts, "r": table.labels, "s": ["x"] * 50})
    expected = shell("evaluate model.safetensors test.csv --json")[1]
    assert shell("evaluate model.safetensors odd.csv --json --text q --label r") == (0, expected, "")


def test_a_label_that_the_model_does_not_know_is_named(shell: Shell, folder: Path) -> None:
    """The error names the file, the row, the label and the labels of the model."""
    tables.write(folder / "other.csv", {"text": ["good", "bad"], "label": ["pos", "neutral"]})
    code, _, err = shell("evaluate model.safetensors other.csv")
    assert code == 2
    assert err == "error: other.csv: row 2 has the label 'neutral', expected one of 'neg', 'pos'\n"


def test_long_names_of_classes_are_numbered(capsys: pytest.CaptureFixture[str]) -> None:
    """The confusion matrix of many classes with long names keeps its rows and columns apart on 80 columns."""
    from tidegate.cli.evaluate import show_report

    labels = tuple(f"a very long name of a class, {i}" for i in range(12))
    truth = np.arange(120) % 12
    show_report(score(truth, np.eye(12, dtype=np.float32)[truth], labels))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["true", *map(str, range(1, 13))] in lines
    assert ["12", *["0"] * 11, "10"] in lines


def test_labelled_texts_in_other_formats(shell: Shell, folder: Path) -> None:
    """Labels in the format of fastText, packed tables, and a kind that --from names are evaluated alike."""
    table = tables.read(folder / "test.csv")
    _, expected, _ = shell("evaluate model.safetensors test.csv --json")
    rows = list(zip(table.texts, table.labels or [], strict=True))
    (folder / "ft.txt").write_text("".join(f"__label__{label} {text}\n" for text, label in rows))
    (folder / "packed").write_bytes(gzip.compress((folder / "test.csv").read_bytes()))
    (folder / "odd.dat").write_text("what|how\n" + "".join(f"{text}|{label}\n" for text, label in rows))
    for options in ("ft.txt", "packed", "odd.dat --from csv --text what --label how"):
        assert shell(f"evaluate model.safetensors {options} --json") == (0, expected, "")


def test_texts_of_each_value_of_a_column_are_scored_apart(shell: Shell, folder: Path) -> None:
    """`--by` adds the scores of each value, in the order of the rows, which are those of the rows alone."""
    table = tables.read(folder / "test.csv")
    kinds = [("b", None, 1.0)[row % 3] for row in range(50)]
    tables.write(folder / "kinds.jsonl", {"text": table.texts, "label": table.labels, "kind": kinds})
    whole = json.loads(shell("evaluate model.safetensors test.csv --json")[1])
    code, out, _ = shell("evaluate model.safetensors kinds.jsonl --by kind --json")
    figures = json.loads(out)
    parts = figures.pop("by")["kind"]
    assert (code, figures, list(parts)) == (0, whole, ["b", "(none)", "1"])
    for start, name in enumerate(parts):
        rows = {"text": table.texts[start::3], "label": (table.labels or [])[start::3]}
        tables.write(folder / "part.csv", rows)
        assert parts[name] == json.loads(shell("evaluate model.safetensors part.csv --json")[1])
    shown = shell("evaluate model.safetensors kinds.jsonl --by kind")[1]
    assert re.search(r"^ kind +accuracy +macro F1 +calibration error +texts", shown, re.MULTILINE)
    assert re.search(r"^ b +\d\.\d{4} +\d\.\d{4} +\d\.\d{4} +17", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("source", "there is no column 'source' to score by; the columns are 'text', 'label', 'id', 'tags'"),
        ("id", "column 'id' has 101 different values, expected 100 or fewer"),
        ("tags", r"column 'tags' holds \['x'\], expected a text or a number"),
    ],
)
def test_a_column_that_makes_no_parts_is_refused(shell: Shell, folder: Path, column: str, message: str) -> None:
    """A column that is not there, that tells every row apart or that holds lists is a mistake of the user."""
    rows = {"text": ["good", "bad"] * 51, "label": ["pos", "neg"] * 51}
    numbered = {"id": [min(row, 100) for row in range(102)], "tags": [["x"]] * 102}
    tables.write(folder / "odd.jsonl", rows | numbered)
    code, _, err = shell(f"evaluate model.safetensors odd.jsonl --by {column}")
    assert code == 2
    assert re.search(message, err), err


def test_thresholds_and_recall(shell: Shell, folder: Path) -> None:
    """`--threshold` and `--recall` measure one class; at the threshold that `--recall` finds, the share is found."""
    code, out, _ = shell("evaluate model.safetensors test.csv --threshold 0.5 --recall 0.8 --class neg --json")
    assert code == 0
    at_half, at_share = json.loads(out)["points"]
    table = tables.read(folder / "test.csv")
    model = tidegate.load(folder / "model.safetensors", tidegate.TextModel)
    negative, p = np.array(table.labels) == "neg", model.predict_proba(table.texts)[:, 0]
    assert at_half["recall"] == pytest.approx(((p >= 0.5) & negative).sum() / negative.sum())
    assert at_share["recall"] >= 0.8
    assert ((p > at_share["threshold"]) & negative).sum() / negative.sum() < 0.8
    assert re.search(r"texts taken for 'pos'", shell("evaluate model.safetensors test.csv --threshold 0.5")[1])
    assert "expected one of those of the model" in shell("evaluate model.safetensors test.csv --recall 1 --class x")[2]


def test_the_reliability_picture_is_a_png(shell: Shell, folder: Path) -> None:
    """`--picture` draws a PNG file, and does not overwrite other files."""
    pytest.importorskip("matplotlib")
    code, _, err = shell("evaluate model.safetensors test.csv --picture reliability.png")
    assert code == 0
    assert "wrote reliability.png" in err
    assert (folder / "reliability.png").read_bytes().startswith(b"\x89PNG")
    assert shell("evaluate model.safetensors test.csv --picture test.csv")[0] != 0
