"""Tests of recurrent stacks on numpy arrays, against the reference and against torch."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate.ops import CELLS, reference
from tidegate.ops.cells import Cell
from tidegate.ops.compressed import Compressed
from tidegate.ops.names import parameter_letters, parameter_names
from tidegate.sequences import padding
from tidegate.sequences.recurrent import Recurrent
from tidegate.sequences.summaries import SUMMARIES, summarize

Array = npt.NDArray[np.float32]
Weights = dict[str, Array]

TOLERANCE = 1e-5
I, H = 5, 7
LENGTHS = np.array([4, 0, 9, 1, 9])


def make_weights(cell: str, num_layers: int = 1, bidirectional: bool = False, bias: bool = True) -> Weights:
    """Random weights of torch's size and names."""
    rng = np.random.default_rng(11)
    sizes = {"G": CELLS[cell]().G, "H": H, "I": I, "D": 1 + bidirectional}
    return {
        name: rng.uniform(
            -(H**-0.5), H**-0.5, [np.prod([sizes[letter] for letter in axis.split("·")]) for axis in letters.split()]
        ).astype(np.float32)
        for name, letters in parameter_letters(num_layers, bidirectional, bias).items()
    }


def make_input(lengths: Any = LENGTHS) -> Array:
    """Random numbers [T, B, I], padding included: none of it may leak."""
    return np.random.default_rng(12).standard_normal((max(lengths), len(lengths), I)).astype(np.float32)


def by_reference(cell: str, weights: Weights, x: Array, lengths: Any, h0: Array | None = None) -> tuple[Any, Any]:
    """The stack in float64, layer by layer."""
    bidirectional, bias = "weight_ih_l0_reverse" in weights, "bias_ih_l0" in weights
    y: Any = x
    finals: list[Any] = []
    for layer in range(sum(name.startswith("weight_ih") for name in weights) // (1 + bidirectional)):
        outs = []
        for reverse in (False, True)[: 1 + bidirectional]:
            w_ih, w_hh, *biases = (weights[name] for name in parameter_names(layer, reverse, bias))
            b_ih, b_hh = biases or (None, None)
            start = None if h0 is None else h0[..., len(finals), :, :]
            outs.append(reference.Layer(cell, w_ih, w_hh, b_ih, b_hh).forward(y, start, lengths, reverse))
            finals.append(outs[-1].h_n)
        y = np.concatenate([out.y for out in outs], axis=2)
    return y, np.stack(finals, axis=-3)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_equal_the_reference(cell: str, num_layers: int, bidirectional: bool, bias: bool) -> None:
    """Outputs and final states of ragged rows, with initial states, are those of the specification."""
    weights = make_weights(cell, num_layers, bidirectional, bias)
    x = make_input()
    states = [CELLS[cell]().S, num_layers * (1 + bidirectional), 5, H][CELLS[cell]().S == 1 :]
    h0 = np.random.default_rng(13).standard_normal(states).astype(np.float32)
    for start in (None, h0):
        y, h_n = Recurrent(weights, cell).outputs(x, LENGTHS, start)
        y_expected, h_n_expected = by_reference(cell, weights, x, LENGTHS, start)
        assert y.dtype == h_n.dtype == np.float32
        assert y == pytest.approx(y_expected, abs=TOLERANCE)
        assert h_n == pytest.approx(h_n_expected, abs=TOLERANCE)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [True, False])
def test_a_state_dict_of_torch_gives_the_numbers_of_torch(
    cell: str, num_layers: int, bidirectional: bool, bias: bool
) -> None:
    """The weights of a torch layer go in as they are, and the same numbers come out."""
    torch = pytest.importorskip("torch")
    options = {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias}
    if cell in {"gru", "lstm"}:
        layer = getattr(torch.nn, cell.upper())(I, H, **options)
    else:
        layer = torch.nn.RNN(I, H, nonlinearity=cell.removeprefix("rnn_"), **options)
    recurrent = Recurrent({name: tensor.numpy() for name, tensor in layer.state_dict().items()}, cell)
    x = make_input()
    with torch.no_grad():
        y_expected, states = layer(torch.from_numpy(x))
    h_n_expected = torch.stack(states) if cell == "lstm" else states
    y, h_n = recurrent.outputs(x)
    assert y == pytest.approx(y_expected.numpy(), abs=TOLERANCE)
    assert h_n == pytest.approx(h_n_expected.numpy(), abs=TOLERANCE)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("summary", SUMMARIES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_ragged_sequences_are_summarised_in_their_order(cell: str, summary: str, bidirectional: bool) -> None:
    """A list of sequences of any length gives the summaries of the padded batch, row by row."""
    weights, x = make_weights(cell, 2, bidirectional), make_input()
    recurrent = Recurrent(weights, cell, summary)
    result = recurrent([x[:length, b] for b, length in enumerate(LENGTHS)])
    expected = summarize(*by_reference(cell, weights, x, LENGTHS), LENGTHS, summary)
    assert result.shape == (5, recurrent.summary_size)
    assert result.dtype == np.float32
    assert result == pytest.approx(expected, abs=TOLERANCE)


def test_an_empty_sequence_has_summary_zero() -> None:
    """Length 0 leaves the state at 0, in company, alone, and written as an empty list."""
    recurrent = Recurrent(make_weights("gru"), summary="last")
    assert not recurrent([np.zeros((0, I))]).any()
    assert not recurrent([[], make_input()[:, 0]])[0].any()
    assert recurrent([]).shape == (0, H)
    assert recurrent(np.zeros((0, 3, I))).shape == (0, H)


def test_a_sequence_has_the_same_bits_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A summary depends neither on the other sequences nor on how they are cut into batches."""
    recurrent = Recurrent(make_weights("gru", 2, bidirectional=True), summary="mean+max")
    rng = np.random.default_rng(14)
    sequences = [rng.standard_normal((length, I)) for length in rng.integers(0, 40, 50)]
    together = recurrent(sequences)
    assert together.tobytes() == np.concatenate([recurrent([sequence]) for sequence in sequences]).tobytes()
    monkeypatch.setattr(padding, "STEPS_PER_BATCH", 100)
    assert together.tobytes() == recurrent(sequences).tobytes()


def test_sequences_and_weights_of_other_dtypes_are_converted() -> None:
    """Integers and float64 are taken as float32, in sequences and in weights, whatever their memory order."""
    weights = make_weights("rnn_tanh")
    expected = Recurrent(weights, "rnn_tanh")([np.ones((3, I), np.float32)])
    doubles = {name: np.asfortranarray(array, np.float64) for name, array in weights.items()}
    assert Recurrent(doubles, "rnn_tanh")([np.ones((3, I), np.int64)]).tobytes() == expected.tobytes()


def test_weights_are_copied() -> None:
    """Changing the caller's array afterwards changes nothing."""
    weights = make_weights("gru")
    recurrent, x = Recurrent(weights), make_input()
    before = recurrent.outputs(x)[0].tobytes()
    for array in weights.values():
        array[:] = 9
    assert recurrent.outputs(x)[0].tobytes() == before


def test_a_batch_first_array_is_read_without_a_copy_of_other_numbers() -> None:
    """A transposed view [T, B, I] of a batch-first array gives the same bits as its copy."""
    recurrent, x = Recurrent(make_weights("gru", 2)), make_input()
    view = np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    assert recurrent.outputs(view, LENGTHS)[0].tobytes() == recurrent.outputs(x, LENGTHS)[0].tobytes()


@pytest.mark.parametrize("num_layers", [1, 3])
def test_steps_make_the_sequence(num_layers: int) -> None:
    """Step by step, the outputs are those of the whole sequence to the bit."""
    layer, x = Recurrent(make_weights("gru", num_layers)), make_input([6, 6])
    y, h_n = layer.outputs(x)
    h = np.zeros((num_layers, 2, H), np.float32)
    for t in range(6):
        assert layer.step(x[t], h, out=h) is h
        np.testing.assert_array_equal(h[-1], y[t])
    np.testing.assert_array_equal(h, h_n)
    with pytest.raises(ValueError, match="a stack in both directions takes no steps"):
        Recurrent(make_weights("gru", bidirectional=True)).step(x[0], h)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_inputs_may_be_rows_of_a_table(num_layers: int) -> None:
    """Only the first layer reads the table; the outputs are those of the rows laid out, to the bit."""
    rng = np.random.default_rng(5)
    layer = Recurrent(make_weights("gru", num_layers, bidirectional=True))
    table, ids = rng.standard_normal((7, I)).astype(np.float32), rng.integers(0, 7, (9, 4))
    for one, other in zip(
        layer.outputs(table, [9, 0, 4, 1], ids=ids), layer.outputs(table[ids], [9, 0, 4, 1]), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match=r"^ids\[0, 0\] is 7, expected 0..6: V=7 comes from x$"):
        layer.outputs(table, ids=np.full((1, 1), 7))


def test_a_stack_shows_what_it_is() -> None:
    """Sizes are read off the weights and shown."""
    recurrent = Recurrent(make_weights("gru", 2, bidirectional=True), summary="mean+max")
    assert (recurrent.input_size, recurrent.hidden_size, recurrent.num_layers) == (I, H, 2)
    assert recurrent.summary_size == 4 * H
    assert repr(recurrent) == (
        "Recurrent(5, 7, cell='gru', num_layers=2, bidirectional=True, bias=True, summary='mean+max')"
    )


def changed(**arrays: Any) -> dict[str, Any]:
    """Good GRU weights of two layers with some of them replaced."""
    return make_weights("gru", 2) | arrays


WRONG_WEIGHTS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "the cell": ({"weights": changed(), "cell": "mlp"}, ValueError, "cell is 'mlp', expected one of 'gru', 'lstm'"),
    "the summary": ({"weights": changed(), "summary": "sum"}, ValueError, "summary is 'sum', expected one of 'last'"),
    "weights of another cell": (
        {"weights": changed(), "cell": "rnn_tanh"},
        ValueError,
        r"weight_hh_l0 has shape \(21, 7\), expected \[G·H, H\] = \(7, 7\): G=1 comes from cell 'rnn_tanh'",
    ),
    "a state weight of another size": (
        {"weights": changed(weight_hh_l1=np.zeros((9, 3), np.float32))},
        ValueError,
        r"weight_hh_l1 has shape \(9, 3\), expected \[G·H, H\] = \(21, 7\): .*H=7 comes from weight_hh_l0",
    ),
    "an input weight of another size": (
        {"weights": changed(weight_ih_l1=np.zeros((21, 5), np.float32))},
        ValueError,
        r"weight_ih_l1 has shape \(21, 5\), expected \[G·H, D·H\] = \(21, 7\)",
    ),
    "a bias with two axes": (
        {"weights": changed(bias_ih_l0=np.zeros((21, 1), np.float32))},
        ValueError,
        r"bias_ih_l0 has shape \(21, 1\), expected 1 axes \[G·H\]",
    ),
    "words": (
        {"weights": changed(bias_ih_l0=np.array(["a"] * 21))},
        TypeError,
        "bias_ih_l0 has dtype <U1, expected real numbers",
    ),
    "a missing one": (
        {"weights": {name: array for name, array in changed().items() if name != "bias_hh_l1"}},
        ValueError,
        "weights lacks 'bias_hh_l1', expected for a stack of 2 layers",
    ),
}


@pytest.mark.parametrize(("arguments", "kind", "message"), WRONG_WEIGHTS.values(), ids=WRONG_WEIGHTS.keys())
def test_wrong_weights_are_named(arguments: dict[str, Any], kind: type[Exception], message: str) -> None:
    """An error says which weight has what, what was expected, and why."""
    with pytest.raises(kind, match=message):
        Recurrent(**arguments)


WRONG_INPUTS: dict[str, tuple[tuple[Any, ...], type[Exception], str]] = {
    "a list": (([[[1.0]]],), TypeError, "x is a list, expected a numpy array of float32"),
    "float64": ((np.zeros((2, 3, I)),), TypeError, "x has dtype float64, expected float32"),
    "other features": (
        (np.zeros((2, 3, 4), np.float32),),
        ValueError,
        r"x has shape \(2, 3, 4\), expected \[T, B, I\] = \(2, 3, 5\): I=5 comes from weight_ih_l0",
    ),
    "lengths of other rows": ((make_input(), [1, 2]), ValueError, r"lengths has shape \(2,\), expected \[B\] = \(5,\)"),
    "a length beyond T": ((make_input(), [1, 2, 10, 1, 1]), ValueError, r"lengths\[2\] is 10, expected 0..9"),
    "h0 of one layer too few": (
        (make_input(), None, np.zeros((1, 5, H), np.float32)),
        ValueError,
        r"h0 has shape \(1, 5, 7\), expected \[L·D, B, H\] = \(2, 5, 7\): L=2 comes from the weights",
    ),
}


@pytest.mark.parametrize(("arguments", "kind", "message"), WRONG_INPUTS.values(), ids=WRONG_INPUTS.keys())
def test_wrong_inputs_are_named(arguments: tuple[Any, ...], kind: type[Exception], message: str) -> None:
    """An error says what the argument is, what was expected, and where that comes from."""
    with pytest.raises(kind, match=message):
        Recurrent(make_weights("gru", 2)).outputs(*arguments)


def test_sequences_of_other_features_are_named() -> None:
    """A sequence whose features do not fit the weights is refused with its position."""
    with pytest.raises(ValueError, match=r"sequences\[1\] has shape \(2, 3\), expected \[T, I\] with I=5"):
        Recurrent(make_weights("gru"))([np.zeros((2, I)), np.zeros((2, 3))])


@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda stack: pickle.loads(pickle.dumps(stack))])
def test_a_copy_of_a_compressed_stack_is_compressed(copied: Callable[[Recurrent], Recurrent], dtype: str) -> None:
    """Its weights have the same types and bits, and so have its results."""
    small = Recurrent(make_weights("gru"), summary="mean").compressed(dtype)
    again = copied(small)
    assert again.stored.keys() == small.stored.keys()
    for name, kept in small.stored.items():
        other = again.stored[name]
        assert type(other) is type(kept)
        for a, b in zip(parts_of(kept), parts_of(other), strict=True):
            assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())
    x = np.random.default_rng(0).standard_normal((2, 7, I))
    assert again(x).tobytes() == small(x).tobytes()


def parts_of(kept: Any) -> list[npt.NDArray[Any]]:
    """The arrays of a weight as it is kept."""
    parts = [kept.values, kept.scales] if isinstance(kept, Compressed) else [kept]
    return [part for part in parts if part is not None]


@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
@pytest.mark.parametrize("cell", ["gru", "gru reset=before", "lstm", "rnn_tanh"])
def test_a_compressed_stack_does_what_the_whole_one_does(cell: str, dtype: str) -> None:
    """Summaries, steps, traces and gradients are those of its expanded weights, but for the rounding of int8's rows."""
    G, rng = Cell.of(cell).G, np.random.default_rng(0)
    shapes = {f"weight_ih_l{i}": (G * 40, (5, 40)[i]) for i in (0, 1)} | {
        f"weight_hh_l{i}": (G * 40, 40) for i in (0, 1)
    }
    weights = {name: rng.uniform(-0.3, 0.3, shape) for name, shape in shapes.items()}
    small = Recurrent(weights, cell).compressed(dtype)
    large, again = Recurrent(small.weights, cell), Recurrent(small.stored, cell)
    x, tolerance = rng.standard_normal((6, 2, 5)).astype(np.float32), 0 if dtype == "bfloat16" else 3e-4
    y, h_n = small.outputs(x)
    np.testing.assert_allclose(y, large.outputs(x)[0], rtol=0, atol=tolerance)
    np.testing.assert_array_equal(again.outputs(x)[0], y)
    state = np.zeros_like(h_n)
    for row in x:
        state = small.step(row, state)
    np.testing.assert_array_equal(state, h_n)
    traces = small.trace(x)
    np.testing.assert_array_equal(traces[-1].y, y)
    gradient, expected = (
        small.input_gradient(x, traces, np.ones_like(y)),
        large.input_gradient(x, large.trace(x), np.ones_like(y)),
    )
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=30 * tolerance)
    assert np.abs(small(x.swapaxes(0, 1)) - Recurrent(weights, cell)(x.swapaxes(0, 1))).max() < 0.05
