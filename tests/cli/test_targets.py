"""What `tidegate train` takes for the target of texts: classes, numbers, truth values."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import tidegate
from tidegate.data import tables

Shell = Callable[..., tuple[int, str, str]]

TO = "-o new.safetensors"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([f"yes,{('yes', 'no')[n % 2]}" if n % 2 == 0 else "no,no" for n in range(60)], "are those of column 'label'"),
        ([f"film {n % 7},u{n}" for n in range(60)], "has 60 different labels in 60 rows"),
        ([f"film {n % 7},{('a', 'b', 'a|b')[n % 3]}" for n in range(60)], "reads as several labels in one cell"),
        ([f"0.{n % 7} 0.5,{'ab'[n % 2]}" for n in range(60)], "the texts of column 'text' are numbers"),
    ],
)
def test_what_is_no_classification_of_texts_is_refused(
    shell: Shell, folder: Path, small: str, rows: list[str], message: str
) -> None:
    """Numbers to predict, a label a row, several labels a cell, and numbers as texts are one error before training."""
    (folder / "wrong.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    code, out, err = shell(f"train wrong.csv {TO} {small}")
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_fractions_are_a_regression_of_texts(shell: Shell, folder: Path, small: str) -> None:
    """Labels that are numbers with fractions are predicted as such, which is said, beside their mean as a baseline."""
    stars = {"good": 4.25, "dull": 1.5}
    rows = [f"a {word} film {'x' * (n % 3)},{star + n % 7 / 10:.2f}" for n in range(40) for word, star in stars.items()]
    (folder / "stars.csv").write_text("\n".join(["text,stars", *rows]), encoding="utf-8")
    code, out, _ = shell(
        f"train stars.csv {TO} {small.replace('--parts network', '')} --epochs 40 --dropout 0 --label stars"
    )
    assert code == 0
    assert "task: regression, as the labels are numbers" in out
    table = {row[0]: row[1:] for line in out.splitlines() if len(row := re.split(r"\s{2,}", line.strip())) == 5}
    assert list(table) == ["mean", "average", "compounding", "GRU"]
    assert float(table["GRU"][0]) > 0.5 > float(table["mean"][0])
    model = tidegate.load(folder / "new.safetensors", tidegate.TextModel)
    good, dull = model.predict(["a good film", "a dull film"])
    assert good > dull + 1
    code, _, err = shell(f"train stars.csv {TO} {small} --parts gru,ngrams --label stars")
    assert code == 2
    assert "n-grams, which add to the logits of classes" in err
    code, _, err = shell(f"train stars.csv {TO} {small} --label stars --task classification")
    assert code == 2
    assert "are numbers with a fraction" in err


@pytest.mark.parametrize(
    ("header", "label", "names"),
    [
        ('text,"low, high",stars', "--label 'low, high'", ["low, high"]),
        ("text,length,stars", "--label 'stars , length'", ["stars", "length"]),
        ("text,length,stars", "--label stars --label length", ["stars", "length"]),
    ],
)
def test_names_of_numbers_may_have_commas(
    shell: Shell, folder: Path, small: str, header: str, label: str, names: list[str]
) -> None:
    """A column whose name has a comma is one; others are named with commas, or one each time; so in evaluate."""
    rows = [f"a {word} film,{n % 5}.5,{n % 3}.25" for n in range(20) for word in ("good", "dull")]
    (folder / "range.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    command = f"train range.csv {TO} {small} --no-baselines --epochs 1 {label} --task regression --overwrite"
    code, _, err = shell(command)
    assert code == 0, err
    assert list(tidegate.load(folder / "new.safetensors", tidegate.TextModel).labels) == names
    for given in (label, ""):
        code, _, err = shell(f"evaluate new.safetensors range.csv --json {given}")
        assert code == 0, err
    assert shell(f"train range.csv {TO} {small} --label ' , ' --task regression")[2].startswith("error: --label is")


def test_two_columns_of_labels_are_refused(shell: Shell) -> None:
    """No label that was given is left out in silence."""
    for command in (f"train train.csv {TO}", "evaluate model.safetensors test.csv"):
        code, out, err = shell(f"{command} --label label --label text")
        assert (code, out) == (2, "")
        assert "'label' and 'text' are several columns" in err
        assert "--task regression" in err
        assert "no column 'nothing'; the columns are" in shell(f"{command} --label label --label nothing")[2]


def test_numbers_are_words_if_their_column_is_named(shell: Shell, folder: Path, small: str) -> None:
    """Who names the column of texts means it, as for the numbers of things that were bought."""
    rows = [f"{4000 + n % 7} {4010 + n % 2},{'ab'[n % 2]}" for n in range(60)]
    (folder / "bought.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    assert shell(f"train bought.csv {TO} {small} --no-baselines --epochs 1 --text text")[0] == 0


def test_a_boolean_label_has_one_name(shell: Shell, folder: Path, small: str) -> None:
    """What pandas, JSON and Excel write for true and false are the same classes."""
    words = ["good", "bad"] * 30
    for name, spelt in (("t.csv", ("True", "False")), ("t.jsonl", (True, False)), ("upper.csv", ("TRUE", "FALSE"))):
        tables.write(folder / name, {"text": words, "label": [spelt[word == "bad"] for word in words]})
    for trained in ("t.csv", "t.jsonl"):
        assert shell(f"train {trained} {TO} {small} --no-baselines --epochs 1")[0] == 0
        assert tidegate.load(folder / "new.safetensors").labels == ("false", "true")
        for judged in ("t.csv", "t.jsonl", "upper.csv"):
            assert shell(f"evaluate new.safetensors {judged}")[0] == 0
