"""Tests of the configuration: its limits, its JSON, and the arrays that follow from it."""

import json
from typing import Any

import numpy as np
import pytest

from tidegate.models.architecture import cell_names
from tidegate.models.config import NetworkConfig, TextConfig
from tidegate.models.files.metadata import parse_object
from tidegate.ops.cells import CELLS, Cell

GOOD: dict[str, Any] = {
    "cell": "gru",
    "labels": ("no", "yes"),
    "vocab_size": 9,
    "embedding_size": 4,
    "hidden_size": 8,
}


def make_arrays(config: TextConfig) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of zeros as the configuration wants them."""
    return {name: np.zeros(shape, np.float32) for name, shape in config.shapes().items()}


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
    assert TextConfig(**GOOD | changes).summary_size == size


WRONG_VALUES: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "cell": ({"cell": "mgu"}, ValueError, "cell is 'mgu', expected one of 'gru', 'lstm', 'rnn_tanh', 'rnn_relu', 'ave"),
    "cell of another type": ({"cell": ["gru"]}, ValueError, r"cell is \['gru'\], expected one of"),
    "reset": ({"cell": "gru reset=on"}, ValueError, "reset is 'on', expected one of 'after', 'before', 'off'"),
    "choice of an RNN": (
        {"cell": "rnn_tanh gate=hard_sigmoid"},
        ValueError,
        "cell is 'rnn_tanh gate=hard_sigmoid', exp",
    ),
    "choice of a mean": ({"cell": "average update=off"}, ValueError, "cell is 'average update=off', expected one of"),
    "task": (
        {"task": "translation"},
        ValueError,
        "task is 'translation', expected one of 'classification', 'multi-label', 'regression'",
    ),
    "labels without a head": ({"task": "encoding"}, ValueError, "labels has 2 names, expected 0..0 for encoding"),
    "classes in a list": ({"classes": [0, 1]}, TypeError, r"classes is \[0, 1\], expected a tuple of hashable values"),
    "too few classes": ({"classes": (0,)}, ValueError, "classes has 1 values, expected one for each label"),
    "classes of numbers": ({"task": "regression", "classes": (0, 1)}, ValueError, "classes has 2 values, expected one"),
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
        TextConfig(**GOOD | changes)


def test_json_gives_back_the_same_configuration() -> None:
    """Every value survives, labels of any script included."""
    config = TextConfig(
        **GOOD
        | {"labels": ("1", "ja ✓", "\ud800", ""), "max_length": 400, "cell": "compound", "rate": 0.5, "bias": False}
    )
    assert TextConfig.from_json(config.to_json()) == config


def test_the_cell_is_one_text() -> None:
    """What is chosen of a cell stands in its text, in the same form however it was given; the standard is not named."""
    for cell in ("gru candidate=relu reset=off gate=sigmoid", Cell.of("gru", reset="off", candidate="relu")):
        config = TextConfig(**GOOD | {"cell": cell})
        assert config.cell == "gru reset=off candidate=relu"
        assert config.recurrent_cell == config.reader == Cell.of("gru", reset="off", candidate="relu")
        assert TextConfig.from_json(config.to_json()) == config


def test_earlier_files_named_choices_one_by_one() -> None:
    """A configuration whose choices stand beside the cell is read as one whose cell is one text."""
    values = json.loads(TextConfig(**GOOD).to_json()) | {"reset": "off", "candidate": "relu"}
    assert TextConfig.from_json(json.dumps(values)) == TextConfig(**GOOD | {"cell": "gru reset=off candidate=relu"})
    for wrong in ({"cell": "rnn_tanh", "reset": "off"}, {"reset": "none"}, {"reset": ["off"]}, {"cell": "average"}):
        with pytest.raises(ValueError, match=r"candidate is|reset is|cell is"):
            TextConfig.from_json(json.dumps(values | wrong))


def test_what_is_standard_is_not_written() -> None:
    """The JSON of a classifier of texts names neither task nor classes, so that earlier versions read it."""
    assert not {"task", "classes"} & json.loads(TextConfig(**GOOD).to_json()).keys()
    config = TextConfig(**GOOD | {"classes": (0, 1)})
    assert TextConfig.from_json(config.to_json()) == config
    with pytest.raises(TypeError, match="classes are of type tuple, but a model file holds texts, numbers, True"):
        TextConfig(**GOOD | {"classes": ((0, 1), (1, 0))}).to_json()


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(cell="lstm", labels=("a", "b", "c"), input_size=3, hidden_size=4),
        NetworkConfig(cell="gru reset=before", labels=("speed",), input_size=3, hidden_size=4, task="regression"),
        NetworkConfig(cell="rnn_relu", input_size=3, hidden_size=4, task="encoding", num_layers=2),
        NetworkConfig(cell="average", labels=("a", "b"), input_size=3),
    ],
    ids=str,
)
def test_a_network_of_vectors_is_configured(config: NetworkConfig) -> None:
    """Its JSON gives it back, its arrays have no embedding, and only networks with a head have one."""
    assert NetworkConfig.from_json(config.to_json()) == config
    shapes = config.shapes()
    assert "embedding.weight" not in shapes
    assert ("head.weight" in shapes) == config.has_head
    if config.recurrent:
        assert shapes["rnn.weight_ih_l0"] == (config.recurrent_cell.G * 4, 3)
    config.check_arrays({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})


def as_json(**changes: Any) -> str:
    """The JSON of a good configuration with some changes; None takes a key away."""
    values = json.loads(TextConfig(**GOOD).to_json()) | changes
    return json.dumps({key: value for key, value in values.items() if value != "absent"})


WRONG_JSON: dict[str, tuple[str, str]] = {
    "nothing": ("", "config is '', expected a JSON object"),
    "a list": ("[1]", r"config is '\[1\]', expected a JSON object"),
    "half an object": ('{"cell": ', "config is not JSON: Expecting value"),
    "a nest": ('{"cell": ' + "[" * 100_000, "config is not JSON"),
    "a missing key": (as_json(cell="absent"), "config lacks 'cell', expected for this version of tidegate"),
    "an unknown key": (as_json(colour="red"), "config has 'colour', not expected for this version of tidegate"),
    "no number": (as_json(rate=float("nan")), "rate is nan, expected a finite number or None"),
    "a rate of nothing": (as_json(rate=0.5), "rate is 0.5, the growth factor of compounding, but the cell is 'gru'"),
    "labels by number": (as_json(labels={"0": "no"}), "labels is {'0': 'no'}, expected a tuple of texts"),
    "a large number": (as_json(hidden_size=10**30), "hidden_size is 10{30}, expected 1..65536"),
}


@pytest.mark.parametrize(("text", "message"), WRONG_JSON.values(), ids=WRONG_JSON.keys())
def test_wrong_json_is_named(text: str, message: str) -> None:
    """An error names what is wrong with the text."""
    with pytest.raises((ValueError, TypeError), match=message):
        TextConfig.from_json(text)


def test_an_object_is_parsed() -> None:
    """`parse_object` gives a dictionary, in which JSON's own extensions NaN and Infinity are numbers."""
    assert parse_object("metrics", '{"loss": Infinity}') == {"loss": float("inf")}


@pytest.mark.parametrize("cell", cell_names())
@pytest.mark.parametrize(
    "changes", [{}, {"num_layers": 3, "bidirectional": True, "bias": False, "summary": "mean+max"}]
)
def test_good_arrays_pass(cell: str, changes: dict[str, Any]) -> None:
    """Arrays of the expected names and shapes are accepted, and a missing one is not."""
    config = TextConfig(**GOOD | changes | {"cell": cell})
    arrays = make_arrays(config)
    config.check_arrays(arrays)
    for name in arrays:
        with pytest.raises(ValueError, match=f"the model lacks '{name}', expected for cell '{cell}'"):
            config.check_arrays({other: array for other, array in arrays.items() if other != name})


def test_a_rate_is_one_number_or_one_for_each_feature() -> None:
    """`rate` may be [1] or [E], and nothing else."""
    config = TextConfig(**GOOD | {"cell": "compound"})
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
    config = TextConfig(**GOOD)
    with pytest.raises(kind, match=message):
        config.check_arrays(make_arrays(config) | {name: array})


def test_every_cell_can_be_configured() -> None:
    """The names are those of the declared cells, and the two poolings."""
    assert cell_names() == (*CELLS, "average", "compound")
