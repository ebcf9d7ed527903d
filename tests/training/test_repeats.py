"""Texts that come again are counted, and said in a line each."""

import pytest

from tidegate.training.data.examples import prepare_texts
from tidegate.training.data.repeats import find_repeats

Part = tuple[list[str], list[str]]


@pytest.mark.parametrize(
    ("train", "judged", "remarks"),
    [
        ((["a", "b"], ["x", "y"]), (["c"], ["x"]), []),
        (
            (["a", "a", "b"], ["x", "x", "y"]),
            (["c"], ["x"]),
            ["1 text stands more than once among those to train on, in 2 rows"],
        ),
        (
            (["a", " a\n", "a", "b", "b"], list("xxxyy")),
            ([], []),
            ["2 texts stand more than once among those to train on, in 5 rows"],
        ),
        (
            (["a", "a", "b"], ["x", "y", "y"]),
            (["c"], ["x"]),
            ["1 text stands more than once", "1 text stands there with different labels, such as 'a'"],
        ),
        ((["a", "b"], ["x", "y"]), (["b", "c"], ["y", "x"]), ["1 of the 2 texts to judge by are trained on too"]),
        (
            (["a", "b"], ["x", "y"]),
            (["b", "b", "c"], ["x", "y", "x"]),
            ["2 of the 3 texts to judge by are trained on too"],
        ),
        ((["a", "b"], ["x", "y"]), (["b", "a"], ["y", "x"]), ["the rows to judge by are those to train on"]),
        ((["", "", " ", "b"], ["x", "y", "x", "y"]), (["", "c"], ["x", "y"]), []),
        ((["A", "a"], ["x", "y"]), (["c"], ["x"]), []),
    ],
)
def test_repeats_are_said(train: Part, judged: Part, remarks: list[str]) -> None:
    """Texts that stand twice, with different labels, and in both parts; empty ones do not count."""
    found = list(find_repeats(train, judged).remarks())
    assert len(found) == len(remarks)
    assert all(line.startswith(start) for line, start in zip(found, remarks, strict=True))


def test_examples_know_their_repeats() -> None:
    """A part that is held out is compared with the rest."""
    examples = prepare_texts(["so good"] * 10 + ["so bad"] * 10, ["yes"] * 10 + ["no"] * 10, validation=0.2)
    assert (examples.repeats.texts, examples.repeats.rows) == (2, 16)
    assert (examples.repeats.shared, examples.repeats.judged, examples.repeats.contradictory) == (4, 4, 0)


def test_numbers_to_predict_are_no_contradiction_if_they_are_equal() -> None:
    """The numbers of a regression are compared like labels."""
    data = ["so good", "so good", "so bad", "so bad", "so so"]
    examples = prepare_texts(
        data, [1.0, 1.0, 0.5, 0.25, 0.0], task="regression", validation=(["else"], [1.0]), min_frequency=1
    )
    assert (examples.repeats.texts, examples.repeats.contradictory) == (2, 1)
