"""What labels are called, and which class each of them is."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.training.data.labels import Targets, class_indices, sets_of, targets_of


@pytest.mark.parametrize(
    ("labels", "names", "classes"),
    [
        ([1, 0, 1], ("0", "1"), (0, 1)),
        (np.array([10, 2], np.int8), ("2", "10"), (2, 10)),
        ([True, False], ("false", "true"), (False, True)),
        (np.array([True, False]), ("false", "true"), (False, True)),
        ([1.0, -0.0], ("0", "1"), (0.0, 1.0)),
        ([Decimal(1), Decimal("0.00")], ("0", "1"), (0, 1)),
        ([1, "x"], ("1", "x"), (1, "x")),
        (["True", "False"], ("False", "True"), None),
        (["b", "a"], ("a", "b"), None),
    ],
)
def test_classes_have_the_names_of_tables(labels: Any, names: tuple[str, ...], classes: Any) -> None:
    """Numbers and truth values are called as in a file, and keep what they are; -0 is 0."""
    found = targets_of(labels)
    assert (found.labels, found.classes) == (names, classes)
    assert str(found.classes) == str(classes)
    numbers = found.numbers(labels, "the training part", len(labels))
    assert [(classes or names)[i] for i in numbers] == list(labels)


def test_a_label_that_is_none_is_refused() -> None:
    """None is no class of its own; its row is named."""
    with pytest.raises(ValueError, match=r"row 2 has no label \(None\)"):
        targets_of(["a", None, "b", None])


@pytest.mark.parametrize(
    ("classes", "labels", "indices"),
    [
        (("False", "True"), ["true", "false", "TRUE", "True"], [1, 0, 1, 1]),
        (("false", "true"), ["True", "FALSE"], [1, 0]),
        (("FALSE", "Mostly", "TRUE"), ["true", "Mostly"], [2, 1]),
        (("True", "true"), ["True", "true"], [0, 1]),
        ((False, True), [True, np.bool_(False)], [1, 0]),
        ((0, 1), [1, 0.0, np.int8(1)], [1, 0, 1]),
    ],
)
def test_spellings_of_true_and_false_find_their_class(classes: Any, labels: list[Any], indices: list[int]) -> None:
    """A model takes the spelling of a file for its own, as models of earlier versions have others."""
    assert class_indices(labels, classes, "t.csv", len(labels)).tolist() == indices


@pytest.mark.parametrize(("classes", "label"), [(("no", "yes"), "true"), (("a", "b"), "A"), (("0", "1"), "false")])
def test_other_words_are_no_spellings(classes: Any, label: str) -> None:
    """Only true and false are the same in small and large letters."""
    with pytest.raises(ValueError, match=f"row 1 has the label '{label}', expected one of"):
        class_indices([label], classes, "t.csv", 1)


@pytest.mark.parametrize(
    "classes", [(0, 1), (np.int8(0), np.int8(1)), (False, True), (0.0, 1.0), ("no", "yes"), (Decimal(0), Decimal(1))]
)
def test_labels_come_back_as_what_they_were(classes: tuple[Any, Any], tmp_path: Any) -> None:
    """Integers are integers again, also from a file."""
    pytest.importorskip("torch")
    model = tidegate.fit(["so good", "so bad"] * 8, [*classes] * 8, cell="average", epochs=1, batch_size=8)
    model.save(tmp_path / "m.safetensors")
    expected = {type(value.item() if isinstance(value, np.generic) else value) for value in classes}
    expected = {int} if expected == {Decimal} else expected
    for loaded in (model, tidegate.load(tmp_path / "m.safetensors")):
        found = loaded.predict(["so good", "so bad"]).tolist()
        assert {type(value) for value in found} == expected
        assert set(found) <= set(classes)


@pytest.mark.parametrize(
    ("labels", "names", "classes"),
    [
        ([("b", "a"), ["a"], ()], ("a", "b"), None),
        ([{2, 10}, {2}], ("2", "10"), (2, 10)),
        ([("a",), ("a",)], ("a",), None),
    ],
)
def test_sets_of_labels_become_ones_and_zeros(labels: Any, names: tuple[str, ...], classes: Any) -> None:
    """Each label that occurs has a column; a row has 1 for its own, whatever their order."""
    found = sets_of(labels)
    assert (found.task, found.labels, found.classes) == ("multi-label", names, classes)
    ones = found.numbers(labels, "the training part", len(labels))
    assert ones.dtype == np.float32
    assert [{(classes or names)[c] for c in np.flatnonzero(row)} for row in ones] == [set(each) for each in labels]


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (["ab", ("a",)], TypeError, "the labels of row 1 are 'ab', expected a list or a tuple"),
        ([("a",), 3], TypeError, "the labels of row 2 are 3"),
        ([(), ()], ValueError, r"found 0 label\(s\)"),
        ([("a",), (None,)], ValueError, "has no label"),
        ([(0.5,)], ValueError, 'say task="regression"'),
        (np.array([[1, 0], [0, 1]]), TypeError, r"an array of int64 \(2, 2\), .* \[np.flatnonzero\(row\) for row"),
    ],
)
def test_what_are_no_sets_of_labels(labels: Any, error: type[Exception], message: str) -> None:
    """One text in the place of several, nothing at all, and labels that are none are named with their row."""
    with pytest.raises(error, match=message):
        sets_of(labels)


def test_another_label_than_in_training_is_named_with_its_row() -> None:
    """A set to judge by may hold the labels of training alone."""
    targets = Targets(labels=("a", "b"), task="multi-label")
    with pytest.raises(ValueError, match=r"v\.csv: row 2 has the label 'c', expected one of 'a', 'b'"):
        targets.numbers([("a", "b"), ("b", "c")], "v.csv", 2)
    with pytest.raises(ValueError, match="found 1 labels for 2 rows"):
        targets.numbers([("a",)], "v.csv", 2)


def test_rare_labels_are_held_out_in_their_share() -> None:
    """The group of a row is its rarest label; a label of one row decides nothing."""
    targets = Targets(labels=("a", "b", "c"), task="multi-label")
    ones = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1]], np.float32)
    assert targets.groups(ones).tolist() == [1, 1, 0, 3, 0]
