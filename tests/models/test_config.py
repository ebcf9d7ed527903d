"""Tests of the configuration: its limits, its JSON, and the arrays that follow from it."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from tidegate.models.config import CELLS, Config, parse_object
from tidegate.ops.cells import CHOICES, GATES

GOOD: dict[str, Any] = {
    "cell": "gru",
    "labels": ("no", "yes"),
    "vocab_size": 9,
    "embedding_size": 4,
    "hidden_size": 8,
}


def make_arrays(config: Config) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of zeros as the configuration wants them."""
    sizes = {
        "V": config.vocab_size,
        "E": config.embedding_size,
        "H": config.hidden_size,
        "G": 3 if config.cell == "gru" else 1,
        "D": 1 + config.bidirectional,
        "C": len(config.labels),
        "F": config.summary_size,
        "R": 1,
    }
    return {
        name: np.zeros([np.prod([sizes[letter] for letter in axis.split("·")]) for axis in shape.split()], np.float32)
        for name, shape in config.letters().items()
    }


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, 8),
        ({"bidirectional": True}, 16),
        ({"summary": "mean+max"}, 16),
        ({"summary": "mean+max", "bidirectional": True}, 32),
        ({"cell": "average", "bidirectional": True, "summary": "mean+max"}, 4),
        ({"cell": "compound"}, 4),
    ],
)
def test_the_summary_size_follows(changes: dict[str, Any], size: int) -> None:
    """F is H for each direction and each half of the summary; without a recurrent stack it is E."""
    assert Config(**GOOD | changes).summary_size == size


WRONG_VALUES: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "cell": ({"cell": "lstm"}, ValueError, "cell is 'lstm', expected one of 'gru', 'rnn_tanh', 'rnn_relu', 'average'"),
    "cell of another type": ({"cell": ["gru"]}, ValueError, r"cell is \['gru'\], expected one of"),
    "reset": ({"reset": "before"}, ValueError, "reset is 'before', expected one of 'after', 'off'"),
    "choice of an RNN": (
        {"cell": "rnn_tanh", "gate": "hard_sigmoid"},
        ValueError,
        "gate is 'hard_sigmoid' for the cell",
    ),
    "choice of a mean": ({"cell": "average", "update": "off"}, ValueError, "update is 'off' for the cell 'average'"),
    "summary": ({"summary": "sum"}, ValueError, "summary is 'sum', expected one of"),
    "hidden size of 0": ({"hidden_size": 0}, ValueError, "hidden_size is 0, expected 1..65536"),
    "hidden size": ({"hidden_size": 65_537}, ValueError, "hidden_size is 65537, expected 1..65536"),
    "layers": ({"num_layers": 65}, ValueError, "num_layers is 65, expected 1..64"),
    "embedding": ({"embedding_size": -1}, ValueError, "embedding_size is -1, expected 1..65536"),
    "vocabulary": ({"vocab_size": 2**40}, ValueError, "vocab_size is 1099511627776, expected 1..16777216"),
    "size as a fraction": ({"hidden_size": 8.0}, TypeError, "hidden_size is 8.0, expected an integer"),
    "size as a truth value": ({"num_layers": True}, TypeError, "num_layers is True, expected an integer"),
    "max_length": ({"max_length": 0}, ValueError, "max_length is 0, expected 1.."),
    "direction": ({"bidirectional": 1}, TypeError, "bidirectional is 1, expected True or False"),
    "rate": ({"rate": "fast"}, TypeError, "rate is 'fast', expected a finite number or None"),
    "infinite rate": ({"rate": float("inf")}, TypeError, "rate is inf, expected a finite number or None"),
    "one label": ({"labels": ("yes",)}, ValueError, "labels has 1 names, expected 2..65536"),
    "equal labels": ({"labels": ("a", "b", "a")}, ValueError, "labels has 'a' twice, expected distinct names"),
    "a label that is a number": ({"labels": ("a", 1)}, TypeError, r"labels is \('a', 1\), expected a tuple of texts"),
    "labels in a text": ({"labels": "ab"}, TypeError, "labels is ab, expected a tuple of texts"),
}


@pytest.mark.parametrize(("changes", "kind", "message"), WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
def test_wrong_values_are_named(changes: dict[str, Any], kind: type[Exception], message: str) -> None:
    """An error names the value, what it is, and what was expected; in JSON it is the same."""
    with pytest.raises(kind, match=message):
        Config(**GOOD | changes)


def test_json_gives_back_the_same_configuration() -> None:
    """Every value survives, labels of any script included."""
    config = Config(**GOOD | {"labels": ("1", "ja ✓", "\ud800", ""), "max_length": 400, "rate": 0.5, "bias": False})
    assert Config.from_json(config.to_json()) == config


def test_choices_are_written_only_where_they_are_made() -> None:
    """The JSON of a standard cell names no choice, so that earlier versions read it; others name theirs alone."""
    assert not CHOICES.keys() & json.loads(Config(**GOOD).to_json()).keys()
    config = Config(**GOOD | {"reset": "off", "candidate": "relu"})
    assert {name: value for name, value in json.loads(config.to_json()).items() if name in CHOICES} == {
        "reset": "off",
        "candidate": "relu",
    }
    assert Config.from_json(config.to_json()) == config
    assert str(config.recurrent_cell) == "gru reset=off candidate=relu"


def as_json(**changes: Any) -> str:
    """The JSON of a good configuration with some changes; None takes a key away."""
    values = asdict(Config(**GOOD)) | changes
    return json.dumps({key: value for key, value in values.items() if value != "absent"})


WRONG_JSON: dict[str, tuple[str, str]] = {
    "nothing": ("", "config is '', expected a JSON object"),
    "a list": ("[1]", r"config is '\[1\]', expected a JSON object"),
    "half an object": ('{"cell": ', "config is no JSON: Expecting value"),
    "a nest": ('{"cell": ' + "[" * 100_000, "config is no JSON"),
    "a missing key": (as_json(cell="absent"), "config lacks 'cell', expected for this version of tidegate"),
    "an unknown key": (as_json(colour="red"), "config has 'colour', not expected for this version of tidegate"),
    "no number": (as_json(rate=float("nan")), "rate is nan, expected a finite number or None"),
    "labels by number": (as_json(labels={"0": "no"}), "labels is {'0': 'no'}, expected a tuple of texts"),
    "a large number": (as_json(hidden_size=10**30), "hidden_size is 10{30}, expected 1..65536"),
}


@pytest.mark.parametrize(("text", "message"), WRONG_JSON.values(), ids=WRONG_JSON.keys())
def test_wrong_json_is_named(text: str, message: str) -> None:
    """An error names what is wrong with the text."""
    with pytest.raises((ValueError, TypeError), match=message):
        Config.from_json(text)


def test_an_object_is_parsed() -> None:
    """`parse_object` gives a dictionary, in which JSON's own extensions NaN and Infinity are numbers."""
    assert parse_object("metrics", '{"loss": Infinity}') == {"loss": float("inf")}


@pytest.mark.parametrize("cell", ["gru", "rnn_tanh", "rnn_relu", "average", "compound"])
@pytest.mark.parametrize(
    "changes", [{}, {"num_layers": 3, "bidirectional": True, "bias": False, "summary": "mean+max"}]
)
def test_good_arrays_pass(cell: str, changes: dict[str, Any]) -> None:
    """Arrays of the expected names and shapes are accepted, and a missing one is not."""
    config = Config(**GOOD | changes | {"cell": cell})
    arrays = make_arrays(config)
    config.check_arrays(arrays)
    for name in arrays:
        with pytest.raises(ValueError, match=f"the model lacks '{name}', expected for cell '{cell}'"):
            config.check_arrays({other: array for other, array in arrays.items() if other != name})


def test_a_rate_is_one_number_or_one_for_each_feature() -> None:
    """`rate` may be [1] or [E], and nothing else."""
    config = Config(**GOOD | {"cell": "compound"})
    for size in (1, 4):
        config.check_arrays(make_arrays(config) | {"rate": np.ones(size, np.float32)})
    with pytest.raises(
        ValueError, match=r"rate has shape \(3,\), expected \[E\] = \(4,\): E=4 comes from embedding_size"
    ):
        config.check_arrays(make_arrays(config) | {"rate": np.ones(3, np.float32)})


WRONG_ARRAYS: dict[str, tuple[str, Any, type[Exception], str]] = {
    "an embedding of fewer words": (
        "embedding.weight",
        np.zeros((8, 4), np.float32),
        ValueError,
        r"embedding.weight has shape \(8, 4\), expected \[V, E\] = \(9, 4\): V=9 comes from vocab_size",
    ),
    "a head of more classes": (
        "head.bias",
        np.zeros(3, np.float32),
        ValueError,
        r"head.bias has shape \(3,\), expected \[C\] = \(2,\): C=2 comes from the number of labels",
    ),
    "a stack of another size": (
        "rnn.weight_hh_l0",
        np.zeros((24, 9), np.float32),
        ValueError,
        r"rnn.weight_hh_l0 has shape \(24, 9\), expected \[G·H, H\] = \(24, 8\): G=3 comes from cell 'gru', H=8 comes",
    ),
    "float64": ("head.bias", np.zeros(2), TypeError, "head.bias has dtype float64, expected float32"),
    "a list": ("head.bias", [0.0, 0.0], TypeError, "head.bias is a list, expected a numpy array"),
    "a second layer": (
        "rnn.bias_ih_l1",
        np.zeros(24, np.float32),
        ValueError,
        "the model has 'rnn.bias_ih_l1', not exp",
    ),
}


@pytest.mark.parametrize(("name", "array", "kind", "message"), WRONG_ARRAYS.values(), ids=WRONG_ARRAYS.keys())
def test_wrong_arrays_are_named(name: str, array: Any, kind: type[Exception], message: str) -> None:
    """An error names the array, what it is, what was expected, and where that comes from."""
    config = Config(**GOOD)
    with pytest.raises(kind, match=message):
        config.check_arrays(make_arrays(config) | {name: array})


def test_every_recurrent_cell_can_be_configured() -> None:
    """The names of cells are those of the kernels, and the two summaries without weights."""
    assert (*GATES, "average", "compound") == CELLS
