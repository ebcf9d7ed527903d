"""Tests of networks that read sequences of vectors, without torch."""

import copy
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate.inspection.attribution import METHODS, Method, occlusion
from tidegate.inspection.network import Inspectable
from tidegate.models.config import NetworkConfig, TextConfig
from tidegate.models.loading import load
from tidegate.models.metrics.quantiles import quantile_labels
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel
from tidegate.ops import checks
from tidegate.sequences import padding
from tidegate.sequences.pooling import average, compound
from tidegate.sequences.recurrent import Recurrent

LENGTHS = (7, 1, 0, 40, 3)
SEQUENCES = [np.random.default_rng(length).standard_normal((length, 3)) for length in LENGTHS]
CELLS = ["gru", "gru reset=before", "lstm", "rnn_relu", "average", "compound"]


def make_network(cell: str = "gru", **changes: Any) -> Network:
    """A network with random weights."""
    fields: dict[str, Any] = {"labels": ("a", "b", "c"), "input_size": 3, "hidden_size": 5} | changes
    config = NetworkConfig(cell=cell, **fields)
    rng = np.random.default_rng(5)
    arrays = {name: rng.uniform(-0.7, 0.7, shape).astype(np.float32) for name, shape in config.shapes().items()}
    return Network(config, arrays, {"accuracy": 0.5})


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("changes", [{}, {"summary": "mean+max", "bidirectional": True, "num_layers": 2}], ids=str)
def test_encoding_is_that_of_its_parts(cell: str, changes: dict[str, Any]) -> None:
    """A summary vector is what the stack, or the pooling, gives for the sequence; logits are its linear head."""
    network = make_network(cell, **changes)
    if network.stack:
        weights = {name[4:]: array for name, array in network.arrays.items() if name.startswith("rnn.")}
        expected = Recurrent(weights, cell, network.config.summary)(SEQUENCES)
    else:
        sequences = [sequence.astype(np.float32) for sequence in SEQUENCES]
        expected = average(sequences) if cell == "average" else compound(sequences, network.arrays["rate"])
    vectors = network.encode(SEQUENCES)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    np.testing.assert_allclose(
        network.scores(SEQUENCES), vectors @ network.head_weight.T + network.head_bias, atol=1e-6
    )
    assert network.predict_proba(SEQUENCES).sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_has_the_same_bits_in_any_batch(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the other sequences of a call, nor their order, nor batches change a bit."""
    network = make_network(cell)
    together = network.scores(SEQUENCES)
    assert together.tobytes() == np.concatenate([network.scores([sequence]) for sequence in SEQUENCES]).tobytes()
    monkeypatch.setattr(padding, "STEPS_PER_BATCH", 10)
    assert together[::-1].tobytes() == network.scores(SEQUENCES[::-1]).tobytes()


def test_sequences_come_as_a_list_or_as_one_array() -> None:
    """An array [B, T, I], a list of its rows and nested lists are the same; no sequence gives no row."""
    network, x = make_network(), np.ones((4, 6, 3))
    assert network.scores(x).tobytes() == network.scores(list(x)).tobytes() == network.scores(x.tolist()).tobytes()
    assert network.scores([]).shape == (0, 3)


def test_classes_are_what_they_were_trained_with(tmp_path: Any) -> None:
    """Labels are names; where they stand for numbers, these are predicted, after saving too."""
    expected = make_network().predict(SEQUENCES)
    values = {"a": 10, "b": 20, "c": 30}
    network = make_network(classes=tuple(values.values()))
    predicted = network.predict(SEQUENCES)
    assert predicted.dtype == np.int64
    assert predicted.tolist() == [values[label] for label in expected]
    network.save(tmp_path / "network.safetensors")
    assert load(tmp_path / "network.safetensors").predict(SEQUENCES).tolist() == predicted.tolist()
    pairs = make_network(classes=((0, 1), (1, 0), None))
    assert set(pairs.predict(SEQUENCES)) <= {(0, 1), (1, 0), None}


@pytest.mark.parametrize(("labels", "shape"), [(("speed",), (5,)), (("x", "y"), (5, 2))])
def test_a_regression_predicts_numbers(labels: tuple[str, ...], shape: tuple[int, ...]) -> None:
    """Its predictions are the outputs of the head, one number or several; it has no probabilities."""
    network = make_network(task="regression", labels=labels)
    assert network.predict(SEQUENCES).shape == shape
    assert network.predict(SEQUENCES).tolist() == network.scores(SEQUENCES).reshape(shape).tolist()
    with pytest.raises(ValueError, match="this is a network for regression, expected one for classification"):
        network.predict_proba(SEQUENCES)


def test_the_numbers_of_a_regression_are_explained() -> None:
    """What each step adds to each number adds up to what is predicted; an encoder has nothing to explain."""
    network = make_network(task="regression", labels=("x", "y"))
    explained = network.explain(SEQUENCES[0])
    total = explained.bias + explained.initial + explained.contributions.sum(axis=0)
    np.testing.assert_allclose(total, network.predict(SEQUENCES[:1])[0], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="this is a network for encoding, expected one whose answers are explained"):
        make_network(task="encoding", labels=()).explain(SEQUENCES[0])


@pytest.mark.parametrize("method", METHODS)
def test_quantiles_that_cross_are_accounted_for_as_predicted(method: Method) -> None:
    """What is credited to each level adds up to what `predict` returns for it, where outputs cross too."""
    network = make_network(task="quantiles", labels=quantile_labels(["x", "y"], [0.1, 0.5, 0.9]))
    crossed = network.scores(SEQUENCES).reshape(-1, 2, 3)
    assert (np.diff(crossed, axis=2) < 0).any()
    for sequence, predicted in zip(SEQUENCES, network.predict(SEQUENCES), strict=True):
        if not len(sequence):
            continue
        view: Any = METHODS[method](network, sequence)
        np.testing.assert_allclose(view.logits, predicted, rtol=1e-5, atol=1e-6)
        if method == "ledger":
            total = view.bias + view.initial + view.contributions.sum(axis=0)
            np.testing.assert_allclose(total, predicted, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(view.after[-1], predicted, rtol=1e-5, atol=1e-6)
        elif method == "integrated-gradients":
            total = view.baseline + view.by_input.sum(axis=(0, 1))
            np.testing.assert_allclose(total, predicted, rtol=1e-3, atol=1e-3)
        assert view.towards(1).tolist() == view.contributions[:, 1].tolist()
        with pytest.raises(ValueError, match="numbers, which have no probabilities"):
            view.probabilities  # noqa: B018 - that it raises


def test_a_network_without_a_head_encodes() -> None:
    """Its result is the summary vectors; there is nothing to predict."""
    network = make_network("lstm", task="encoding", labels=())
    assert network.encode(SEQUENCES).shape == (5, 5)
    assert "head.weight" not in network.arrays
    assert repr(network).startswith("Network('lstm', encoding, ")
    with pytest.raises(ValueError, match="a network of the task 'encoding' has no head"):
        occlusion(network, SEQUENCES[0])
    with pytest.raises(ValueError, match="this network has no head"):
        network.predict(SEQUENCES)


@pytest.mark.parametrize("cell", CELLS)
def test_a_saved_network_comes_back_the_same(tmp_path: Any, cell: str) -> None:
    """After saving, pickling or copying, it is the same to the bit; it is no model that reads texts."""
    network, path = make_network(cell, num_layers=2), tmp_path / "network.safetensors"
    network.save(path)
    for other in (load(path), load(path, Network), pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert (other.config, other.metrics, other.versions) == (network.config, network.metrics, network.versions)
        assert other.scores(SEQUENCES).tobytes() == network.scores(SEQUENCES).tobytes()
    with pytest.raises(
        ValueError, match=r"network\.safetensors: it holds a network that reads vectors, expected a model"
    ):
        load(path, TextModel)


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "text": ("abc", TypeError, "has dtype <U1, expected real numbers"),
    "words": ([["a"]], TypeError, "has dtype <U1, expected real numbers"),
    "one sequence": (np.ones((4, 3)), ValueError, r"sequences has shape \(4, 3\), expected \[B, T, I\]"),
    "other features": ([np.ones((4, 2))], ValueError, r"expected \[T, I\] with I=3: it comes from the weights"),
    "no number": ([np.full((4, 3), np.nan)], ValueError, r"sequences\[0\] holds 12 numbers that are not finite"),
}


@pytest.mark.parametrize(("sequences", "kind", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_sequences_are_named(sequences: Any, kind: type[Exception], message: str) -> None:
    """An error says which sequence has what, and what was expected."""
    for method in (make_network().predict, make_network("average").encode):
        with pytest.raises(kind, match=message):
            method(sequences)


def test_one_sequence_or_several_are_embedded() -> None:
    """`embed` and `trace` take one sequence [T, I], a list, or one array [B, T, I]."""
    network = make_network(bidirectional=True)
    one = network.embed(SEQUENCES[0])
    assert (one.x.shape, one.lengths.tolist(), one.tokens) == ((7, 1, 3), [7], None)
    assert network.embed(one) is one
    assert network.embed(SEQUENCES).x.shape == network.embed(np.ones((5, 40, 3))).x.shape == (40, 5, 3)
    assert [trace.suffix for trace in network.trace(SEQUENCES)] == ["_l0", "_l0_reverse"]
    with pytest.raises(TypeError, match="source is 'text', expected one sequence"):
        network.embed("text")
    with pytest.raises(ValueError, match=r"source has shape \(7, 2\), expected \[T, I\] = \(7, 3\)"):
        network.embed(np.ones((7, 2)))


@pytest.mark.parametrize("cell", ["gru", "gru reset=before", "lstm"])
def test_a_network_can_be_looked_into(cell: str) -> None:
    """The verbs of inspection are methods: contributions add up, gates can be set, gradients and units measured."""
    network, x = make_network(cell), SEQUENCES[0]
    explanation = network.explain(x)
    np.testing.assert_allclose(
        explanation.bias + explanation.contributions.sum(axis=0), network.scores([x])[0], atol=1e-5
    )
    values: dict[str, Any] = {str(network.config.recurrent_cell.keeps): 1.0}
    changed = network.what_if(x, step=3, unit=0, **values)
    assert (changed.logits != changed.logits_before).any()
    (flow,) = network.gradient_flow(x)
    assert len(flow.log_frobenius) == len(x) + 1
    assert network.units(SEQUENCES).steps == sum(LENGTHS)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if make_network(cell).stack])
def test_a_stack_alone_is_a_network(tmp_path: Any, cell: str) -> None:
    """A recurrent stack is saved as a network without a head, and is the same to the bit when it comes back."""
    weights = {name[4:]: a for name, a in make_network(cell, num_layers=2).arrays.items() if name.startswith("rnn.")}
    stack = Recurrent(weights, cell, "mean+max")
    Network.of(stack).save(tmp_path / "stack.safetensors")
    loaded = load(tmp_path / "stack.safetensors")
    assert loaded.stack
    assert str(loaded.stack) == str(stack)
    for other in (loaded.encode, loaded.stack, pickle.loads(pickle.dumps(stack)), copy.deepcopy(stack)):
        assert other(SEQUENCES).tobytes() == stack(SEQUENCES).tobytes()


def arrays_of(config: Any) -> dict[str, npt.NDArray[np.float32]]:
    """Arrays of zeros as a configuration wants them."""
    return {name: np.zeros(shape, np.float32) for name, shape in config.shapes().items()}


def test_weights_are_checked_once_on_load(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's shapes are held against its configuration when its header is read, and never again."""
    path, seen = tmp_path / "network.safetensors", []
    make_network("lstm", num_layers=2).save(path)
    check = checks.check

    def counted(name: str, *rest: Any) -> Any:
        seen.append(name)
        return check(name, *rest)

    for place in ("tidegate.models.architecture", "tidegate.sequences.layers", "tidegate.ops.checks"):
        monkeypatch.setattr(f"{place}.check", counted)
    loaded = load(path)
    assert sorted(seen) == sorted(loaded.arrays)


def test_arrays_checked_for_another_configuration_are_checked_again() -> None:
    """What was found right for one configuration is not trusted by another."""
    small, large = (TextConfig(cell="average", labels=("a", "b"), vocab_size=3, embedding_size=E) for E in (2, 4))
    checked = small.checked(arrays_of(small))
    assert small.checked(checked) is checked
    with pytest.raises(ValueError, match=r"embedding.weight has shape \(3, 2\)"):
        large.checked(checked)


def test_models_have_what_inspection_asks_for() -> None:
    """Both kinds of model are networks as inspection declares them; mypy holds them against that declaration."""
    networks: list[Inspectable] = [make_network(), make_network("average")]
    kinds: list[type[Inspectable]] = [Network, TextModel]
    members = {name for name in dir(Inspectable) if not name.startswith("_")}
    assert all(members <= set(dir(network)) for network in networks)
    assert all(issubclass(kind, Network) for kind in kinds)
