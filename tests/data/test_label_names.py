"""What labels are called, in every kind of file, and what is said of their spelling."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tidegate.data import tables
from tidegate.data.tables.label_names import as_booleans, label_name, label_set, remarks


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("positive", "positive"),
        (" good \n", "good"),
        (1, "1"),
        (-3, "-3"),
        (1.0, "1"),
        (2.5, "2.5"),
        ("1.0", "1"),
        ("1.", "1"),
        ("1.50", "1.50"),
        ("007", "007"),
        (True, "true"),
        (False, "false"),
        ("", None),
        ("  ", None),
        (None, None),
        (float("nan"), None),
        (-0.0, "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        (-1.0, "-1"),
        (1e16, "10000000000000000"),
        (Decimal(0), "0"),
        (Decimal("1.0"), "1"),
        (Decimal("1.50"), "1.5"),
        (Decimal("-0.00"), "0"),
        (Decimal("1E+3"), "1000"),
        (b"pos", "pos"),
        (b" ", None),
        ("NaN", None),
        (" nan ", None),
        ("NAN", None),
        (b"nan", None),
        (Decimal("NaN"), None),
        ("nano", "nano"),
        ("none", "none"),
        ("NA", "NA"),
    ],
)
def test_labels_are_texts(value: Any, name: str | None) -> None:
    """Whole numbers have one name however a file writes them, and missing labels have none."""
    assert label_name(value) == name


@pytest.mark.parametrize("value", [[1], ["a", "b"], {"a": 1}])
def test_other_values_are_no_labels(value: Any) -> None:
    """A list or a record cannot be a label."""
    with pytest.raises(ValueError, match=r"holds .*, expected a text or a number"):
        label_name(value)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["True", "False"], ["true", "false"]),
        (["TRUE", "FALSE", "TRUE"], ["true", "false", "true"]),
        (["true", "false"], ["true", "false"]),
        ([True, False], ["true", "false"]),
        ([True, "False", "TRUE"], ["true", "false", "true"]),
        ([" True ", "", None, float("nan")], ["true", None, None, None]),
        (["True"], ["true"]),
        (["False", "False"], ["false", "false"]),
        ([b"TRUE", b"false"], ["true", "false"]),
        (["True", "False", "Mostly true"], ["True", "False", "Mostly true"]),
        (["TRUE", "Fake"], ["TRUE", "Fake"]),
        (["True", "False", "0"], ["true", "false", "false"]),
        ([True, 0, "1.0", False], ["true", "false", "true", "false"]),
        (["True", "1"], ["true", "true"]),
        (["True", "False", "2"], ["True", "False", "2"]),
        (["0", "1"], ["0", "1"]),
        ([1, 0.0, None], ["1", "0", None]),
        (["Yes", "No"], ["Yes", "No"]),
        (["T", "F"], ["T", "F"]),
        (["POS", "NEG"], ["POS", "NEG"]),
        ([], []),
    ],
)
def test_true_and_false_have_one_name(values: list[Any], names: list[str | None]) -> None:
    """A column of true and false, and of 1 and 0 beside them, has these names however a file spells them.

    Other words stay as they are, and so do numbers that are alone.
    """
    assert as_booleans([label_name(value) for value in values]) == names


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            ["Good", "good", "bad"],
            r"only in capitals or spaces are different classes: 'Good' \(1\), 'good' \(1\)",
        ),
        (["very good", "very  good", "x"], "differ only in capitals or spaces"),
        (["straße", "STRASSE", "x"], "differ only in capitals or spaces"),
        ([" good", "good", "bad"], "the spaces around labels such as ' good' do not count"),
        ([True, 0, False, 1], "2 labels are 1 or 0 among others that are true or false"),
        (["TRUE", "0", "1"], "2 labels are 1 or 0"),
        (["good", "bad"], None),
        ([" good", " bad"], None),
        (["1", "0", 1.0], None),
        (["True", "true", "FALSE"], None),
        ([None, "", "a"], None),
        ([], None),
    ],
)
def test_labels_that_look_alike_are_said(values: list[Any], said: str | None) -> None:
    """What differs in capitals or spaces, and what counts as the same, is said once, and nothing else is."""
    found = list(remarks(values, as_booleans([label_name(value) for value in values])))
    assert len(found) == (said is not None)
    assert said is None or re.search(said, found[0])


def write(path: Path, labels: list[Any]) -> Path:
    """A table with these labels; a CSV file has their text."""
    texts = [f"text number {i}" for i in range(len(labels))]
    if path.suffix == ".parquet":
        parquet.write_table(pa.table({"text": texts, "label": labels}), path)
    elif path.suffix == ".jsonl":
        rows = zip(texts, labels, strict=True)
        path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    else:
        path.write_text("text,label\n" + "".join(f"{t},{label}\n" for t, label in zip(texts, labels, strict=True)))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("word", ["NaN", "nan", "NAN"])
def test_the_word_nan_is_no_label(tmp_path: Path, suffix: str, word: str) -> None:
    """It is what is left of a missing number, in whatever file."""
    with pytest.raises(ValueError, match="1 of 3 rows have no label in column 'label', first row 2"):
        tables.read(write(tmp_path / f"t{suffix}", ["pos", word, "neg"]))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_truth_beside_numbers_is_the_same_in_every_file(tmp_path: Path, suffix: str) -> None:
    """1 and 0 beside true and false are true and false, with a note."""
    with pytest.warns(UserWarning, match="2 labels are 1 or 0 among others"):
        found = tables.read(write(tmp_path / f"t{suffix}", [True, 0, 1, False]))
    assert found.labels == ["true", "false", "true", "false"]


def test_a_label_of_wrong_bytes_is_named_by_its_row(tmp_path: Path) -> None:
    """The row, the column and the byte are said, and so they are of a record."""
    path = write(tmp_path / "t.parquet", [b"pos", b"neg", b"\xff\xfe"])
    with pytest.raises(ValueError, match=r"row 3 of label column 'label' holds bytes that are not UTF-8 \(0xff\)"):
        tables.read(path)
    path = write(tmp_path / "t.jsonl", [{"stars": 1}, {"stars": 2}])
    with pytest.raises(ValueError, match=r"row 1 of label column 'label' holds .* name a field .* --label label.stars"):
        tables.read(path, label="label")


@pytest.mark.parametrize(
    ("value", "separator", "expected"),
    [
        ("a|b", "|", ("a", "b")),
        (" b | a|| b", "|", ("b", "a")),
        ("a|b", None, ("a|b",)),
        ("", "|", ()),
        (None, None, ()),
        (["a", "b", None], "|", ("a", "b")),
        ('["a", "b|c"]', "|", ("a", "b|c")),
        ("['a', 'b']", None, ("a", "b")),
        ("[a", "|", ("[a",)),
        ("[a]", "|", ("[a]",)),
        (1.0, "|", ("1",)),
        ([1, 2.0], None, ("1", "2")),
    ],
)
def test_a_cell_may_hold_several_labels(value: Any, separator: str | None, expected: tuple[str, ...]) -> None:
    """Labels stand in a list, in the text of one, or between separators; each counts once, and none is missing."""
    assert label_set(value, separator) == expected
