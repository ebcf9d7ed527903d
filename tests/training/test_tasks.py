"""Tables that are no texts with one class each are refused."""

import re
from typing import Any

import numpy as np
import pytest

from tidegate.training.data.tasks import check_classes, check_copies, check_no_copies, check_sets, check_words

NUMBERS = np.random.default_rng(0).normal(size=400).round(4).astype(str).tolist()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (NUMBERS, r"numbers with a fraction, such as .*regression"),
        ([f"{n / 10:.1f}" for n in range(101)] * 4, r"numbers with a fraction, such as 0.0, and 101 different ones"),
        (["0.5", "1.25", "3.75", "4.5"], "numbers with a fraction"),
        ([f"{n},5" for n in range(40)] * 2, "numbers with a fraction"),
        ([f"{n}e-3" for n in NUMBERS], "numbers with a fraction"),
        ([f"u{n}" for n in range(400)], "has 400 different labels in 400 rows, expected classes .*--label"),
        ([str(n) for n in range(50)], "has 50 different labels in 50 rows"),
        ([f"u{n}" for n in range(300)] + ["u1"] * 100, "has 300 different labels in 400 rows"),
        (["a", "b"], "has 2 rows with as many different labels: this is too little .* two rows or more"),
        (["a"], "has 1 row: this is too little to train on"),
        ([f"u{n}" for n in range(20)], "has 20 rows with as many different labels: .* name their column with --label"),
        (["a", "b", "a|b", "a", "b"] * 3, r"the label 'a\|b' .* in one cell: --multi-label '\|' predicts any"),
        (["Drama|Comedy", "Comedy|War", "War|Drama"] * 3, "several labels"),
        (["a | b", "b", "a"] * 3, "several labels"),
        (["a;b", "a", "b"] * 3, "several labels"),
        (["a, b", "a", "b", "c"] * 3, "several labels"),
        (["['a', 'b']", "['a']"] * 3, "several labels"),
        (['["a", "b"]', '["b"]'] * 3, "several labels in one cell: --task multi-label predicts"),
        (["[1 0 0]", "[0 1 0]"] * 3, "several labels"),
        (["{'a': 1, 'b': 0}", "{'a': 0, 'b': 1}"] * 3, "several labels"),
    ],
)
def test_what_is_no_class_is_refused(labels: list[str], message: str) -> None:
    """Numbers to predict, a label for each row, and several labels in one cell are named with what to do."""
    with pytest.raises(ValueError, match=message) as error:
        check_classes(labels, "target")
    assert "column 'target'" in str(error.value)


@pytest.mark.parametrize(
    "labels",
    [
        ["neg", "pos"] * 4,
        ["0", "1", "2"] * 2,
        ["0.5", "1.5", "2.5", "3.5", "4.5"] * 4,
        [f"{n / 2}" for n in range(1, 11)] * 4,
        [str(n) for n in range(100)] * 3,
        ["Home|Garden", "Home|Kitchen", "Toys|Games"] * 3,
        ["Arts, Crafts", "Home, Garden", "Home, Kitchen"] * 3,
        ["Korea, North", "Korea, South"] * 3,
        ["Yes; of course", "No"] * 3,
        ["rock/pop", "rock", "pop"] * 3,
        ["sci-fi and fantasy", "fantasy"] * 3,
        ["1.2.3", "1.2.4", "1.3"] * 3,
        ["a", "b", "a"],
        [f"c{n}" for n in range(20)] + ["c1"] * 5,
    ],
    ids=str,
)
def test_classes_are_classes(labels: list[str]) -> None:
    """Half stars, many classes, hierarchies and names with commas are trained on; two of them in one cell are not."""
    check_classes(labels, "label")
    both = "|".join(list(dict.fromkeys(labels))[:2])
    with pytest.raises(ValueError, match="several labels in one cell"):
        check_classes([*labels, *labels, both], "label")


@pytest.mark.parametrize(
    "texts",
    [
        ["1984", "2001"],
        ["0.1 0.2 0.3", "-1e-3 2 3", ""],
        ["1,5", "2,5"],
        ["[0.1, 0.2]", "[0.3, 0.4]"],
        ["1;2;3"],
        ["(1, 2)", "3|4"],
        ["5.1\t3.5\t1.4"],
        ["+3", ".5", "3."],
    ],
)
def test_numbers_are_no_words(texts: list[str]) -> None:
    """Texts that are numbers alone are refused, with what to do."""
    with pytest.raises(ValueError, match=r"the texts of column 'x' are numbers, ") as error:
        check_words(texts, "x")
    assert "--text" in str(error.value)
    several = any(re.search(r"\d[\s;|]+\S|,\s", text) for text in texts)
    assert ("--features x takes each row for a sequence" in str(error.value)) == several
    assert ("--key COLUMN takes each row for a step" in str(error.value)) != several


@pytest.mark.parametrize("texts", [["0.5", "1.5"], ["-1e-3 2", ""], ["1,5", "2,25"], [".5", "3"]])
def test_measured_values_are_no_words(texts: list[str]) -> None:
    """Numbers with fractions are no words even if their column is named; whole numbers may be."""
    with pytest.raises(
        ValueError, match=r"the texts of column 'ax' are numbers, .*measured values, --(key|features ax)"
    ):
        check_words(texts, "ax", named=True)
    check_words([re.sub(r"[.,]|e-", "", text) for text in texts], "ax", named=True)


def test_texts_are_not_the_labels() -> None:
    """A column that repeats the labels is no column of texts."""
    with pytest.raises(ValueError, match="the texts of column 'a' are those of column 'b', the labels"):
        check_no_copies(["yes", " no"], ["yes", "no"], ("a", "b"))
    check_no_copies(["yes", "no"], ["yes", "yes"], ("a", "b"))
    check_no_copies([], [], ("a", "b"))


def sequences(values: list[float]) -> list[np.ndarray[Any, Any]]:
    """Sequences of two features, the second of which has one value throughout."""
    rng = np.random.default_rng(0)
    return [np.stack([rng.normal(size=3), np.full(3, value)], axis=1) for value in values]


def test_a_feature_is_not_the_label() -> None:
    """A feature with a number for each label is refused, and so is one that is the number to be predicted."""
    labels = [("a", "b", "c")[b % 3] for b in range(30)]
    with pytest.raises(ValueError, match="feature 'code' tells the label"):
        check_copies(sequences([7.0 * (b % 3) for b in range(30)]), labels, ("x", "code"))
    targets = np.arange(30)[:, None] / 7
    with pytest.raises(ValueError, match="feature 'code' tells the label"):
        check_copies([x.astype(np.float32) for x in sequences((targets[:, 0]).tolist())], targets, ("x", "code"))


@pytest.mark.parametrize(
    "values",
    [
        [1.0] * 30,
        [float(b % 2) for b in range(30)],
        [float(b) for b in range(30)],
        [float("nan")] * 30,
        [float(b % 3) if b else 2.0 for b in range(30)],
    ],
    ids=["constant", "of two labels", "of each sequence", "missing", "but one"],
)
def test_other_features_may_stay_the_same(values: list[float]) -> None:
    """A feature that does not change, or that does not tell the label alone, is one; the copy beside it is found."""
    labels = [("a", "b", "c")[b % 3] for b in range(30)]
    check_copies(sequences(values), labels, ("x", "code"))
    copies = [np.column_stack([x, np.full(3, b % 3)]) for b, x in enumerate(sequences(values))]
    with pytest.raises(ValueError, match="feature 'copy' tells the label"):
        check_copies(copies, labels, ("x", "code", "copy"))


def test_few_sequences_say_nothing() -> None:
    """What a feature tells of some few sequences may be chance; of twenty it is a copy of the labels."""
    numbers = [float(b % 2) for b in range(20)]
    check_copies(sequences(numbers[:19]), [b % 2 for b in range(19)], ("x", "code"))
    with pytest.raises(ValueError, match="feature 'code' tells the label"):
        check_copies(sequences(numbers), [b % 2 for b in range(20)], ("x", "code"))


@pytest.mark.parametrize(
    "texts",
    [["1984", "2001: a space odyssey"], ["", ""], [], ["3 stars"], ["10/10"], ["5 -"], ["12:30"], ["１ ⅔ cups"]],
)
def test_texts_with_numbers_are_texts(texts: list[str]) -> None:
    """One word among them is enough; their digits alone are refused."""
    check_words(texts, "x")
    with pytest.raises(ValueError, match="the texts of column 'x' are numbers"):
        check_words(["7", *(re.sub(r"\D", "", text) for text in texts)], "x")


@pytest.mark.parametrize(
    ("sets", "separator", "message"),
    [
        ([("a",), ("b",), ()] * 5, "|", "no row has several labels in column 'genre', .* does '|' stand between them?"),
        ([("a",), ("b",)] * 5, None, "--multi-label SEPARATOR says what stands between"),
        ([(f"u{n}", f"v{n}") for n in range(30)], "|", "has 60 different labels among 60 of 30 rows, .* --label"),
    ],
)
def test_what_are_no_sets_of_labels_is_refused(sets: list[Any], separator: str | None, message: str) -> None:
    """Rows with one label at most, and labels that do not come again, are named with what to do."""
    with pytest.raises(ValueError, match=message):
        check_sets(sets, "genre", separator)
