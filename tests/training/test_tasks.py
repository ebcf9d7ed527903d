"""Tables that are no texts with one class each are refused."""

import numpy as np
import pytest

from tidegate.training.tasks import check_classes, check_words

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
        (["a", "b", "a|b", "a", "b"] * 3, r"the label 'a\|b' .* several labels in one cell"),
        (["Drama|Comedy", "Comedy|War", "War|Drama"] * 3, "several labels"),
        (["a | b", "b", "a"] * 3, "several labels"),
        (["a;b", "a", "b"] * 3, "several labels"),
        (["a, b", "a", "b", "c"] * 3, "several labels"),
        (["['a', 'b']", "['a']"] * 3, "several labels"),
        (['["a", "b"]', '["b"]'] * 3, "several labels"),
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
    """Half stars, many classes, hierarchies and names with commas are trained on."""
    check_classes(labels, "label")


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
    with pytest.raises(ValueError, match=r"the texts of column 'x' are numbers, .*--text.*tidegate\.fit"):
        check_words(texts, "x")


@pytest.mark.parametrize(
    "texts",
    [["1984", "2001: a space odyssey"], ["", ""], [], ["3 stars"], ["10/10"], ["5 -"], ["12:30"], ["１ ⅔ cups"]],
)
def test_texts_with_numbers_are_texts(texts: list[str]) -> None:
    """One word among them is enough."""
    check_words(texts, "x")
