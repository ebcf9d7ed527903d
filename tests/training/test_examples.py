"""Labelled texts made ready for training."""

import numpy as np
import pytest

from tidegate.training.data.examples import prepare_texts
from tidegate.training.data.labels import class_indices, label_names

TEXTS = ["a good film", "a bad film", "very good", "very bad"] * 5
LABELS = ["yes", "no", "yes", "no"] * 5


def test_texts_and_labels_stay_together() -> None:
    """After the split every text still has its own class."""
    examples = prepare_texts(TEXTS, LABELS, validation=0.4, min_frequency=1)
    good = examples.tokenizer.vocab.index("good")
    for part in (examples.train, examples.validation):
        rows = [part.corpus.padded(np.array([i]))[0].ravel() for i in range(len(part))]
        assert [examples.labels[c] == "yes" for c in part.targets] == [good in row for row in rows]
    assert (len(examples.train), len(examples.validation)) == (12, 8)


def test_the_vocabulary_is_that_of_the_training_part() -> None:
    """Words that only the validation texts have are unknown."""
    examples = prepare_texts(TEXTS, LABELS, validation=(["splendid good film"], ["yes"]), min_frequency=1)
    assert "splendid" not in examples.tokenizer.vocab
    assert "good" in examples.tokenizer.vocab
    assert len(examples.train) == 20
    assert len(examples.validation) == 1


def test_texts_end_at_the_longest_length() -> None:
    """`max_length` counts words, and is part of the configuration."""
    examples = prepare_texts(TEXTS, LABELS, max_length=2, min_frequency=1)
    assert examples.train.corpus.lengths.max() == 2
    assert examples.config().max_length == 2


def test_the_configuration_fits_the_texts() -> None:
    """Labels and vocabulary come from the texts, sizes from the caller or the defaults."""
    examples = prepare_texts(TEXTS, LABELS, min_frequency=1)
    config = examples.config("rnn_tanh", hidden_size=7)
    assert (config.cell, config.hidden_size, config.embedding_size) == ("rnn_tanh", 7, 100)
    assert config.labels == ("no", "yes")
    assert config.vocab_size == len(examples.tokenizer)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["10", "2", "1"], ("1", "2", "10")),
        (["0.5", "-1", "10"], ("-1", "0.5", "10")),
        (["10", "2", "x"], ("10", "2", "x")),
    ],
)
def test_labels_are_sorted(labels: list[str], names: tuple[str, ...]) -> None:
    """Numbers go by value, anything else by the alphabet."""
    assert label_names(labels) == names


@pytest.mark.parametrize(
    ("texts", "labels", "validation", "message"),
    [
        (["a"] * 3, ["x", "y"], 0.5, "the training part: found 2 labels for 3 rows"),
        (["a"] * 4, ["x"] * 4, 0.5, r"found 1 label\(s\) \(x\) in 4 rows, expected at least 2"),
        ([], [], 0.5, r"found 0 label\(s\)"),
        (["a"] * 4, ["x", "y", " ", "x"], 0.5, "row 3 has the label ' ', expected one of"),
        (
            ["a a"] * 4,
            ["x", "y"] * 2,
            (["b"], ["z"]),
            "validation part: row 1 has the label 'z', expected one of 'x', 'y'",
        ),
        (["a a"] * 4, ["x", "y"] * 2, (["b"], []), "the validation part: found 0 labels for 1 rows"),
        (["a a"] * 4, ["x", "y"] * 2, 2.0, r"the validation share is 2\.0"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    texts: list[str], labels: list[str], validation: float | tuple[list[str], list[str]], message: str
) -> None:
    """Errors name what was found, where, and what was expected."""
    with pytest.raises(ValueError, match=message):
        prepare_texts(texts, labels, validation=validation)


def test_many_classes_are_not_all_listed() -> None:
    """An error stays readable with a thousand classes."""
    names = [f"c{i}" for i in range(1000)]
    with pytest.raises(ValueError, match="expected one of 'c0'") as caught:
        class_indices(["other"], names, "file.csv", 1)
    assert len(str(caught.value)) < 200
