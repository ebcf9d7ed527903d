"""Tests of the specification: its gradients against finite differences, its values against torch, its identities."""

from collections.abc import Callable
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate.ops import reference
from tidegate.ops.cells import GRU, Cell
from tidegate.ops.cells.activations import sigmoid

Array = npt.NDArray[np.float64]

CELLS = ["gru", "rnn_tanh", "rnn_relu", "lstm", "gru reset=before"]
PARAMETERS = ("w_ih", "w_hh", "b_ih", "b_hh")


def draw(
    cell: str,
    T: int = 5,
    B: int = 4,
    I: int = 3,
    H: int = 3,
    bias: bool = True,
    h0: bool = True,
    lengths: Any = None,
    reverse: bool = False,
) -> dict[str, Any]:
    """Draws the arguments of a layer and its forward pass in float64, weights as torch draws them."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> Array:
        return np.asarray(random.uniform(-1, 1, shape) / np.sqrt(H))

    G, S = Cell.of(cell).G, Cell.of(cell).S
    return {
        "cell": cell,
        "x": random.normal(size=(T, B, I)),
        "w_ih": weights(G * H, I),
        "w_hh": weights(G * H, H),
        "b_ih": weights(G * H) if bias else None,
        "b_hh": weights(G * H) if bias else None,
        "h0": random.normal(size=(B, H) if S == 1 else (S, B, H)) if h0 else None,
        "lengths": lengths,
        "reverse": reverse,
    }


def layer_of(arguments: dict[str, Any]) -> reference.Layer:
    choices = {name: arguments[name] for name in ("reset", "update") if name in arguments}
    return reference.Layer(arguments["cell"], *(arguments[name] for name in PARAMETERS), **choices)


def forward(**arguments: Any) -> reference.Forward:
    """Runs the layer of the arguments that `draw` draws."""
    return layer_of(arguments).forward(*(arguments[name] for name in ("x", "h0", "lengths", "reverse")))


def backward(*, forward: reference.Forward, dy: Any, dh_n: Any, **arguments: Any) -> reference.Gradients:
    """Walks it backwards."""
    return layer_of(arguments).backward(arguments["x"], forward, dy, dh_n, arguments["lengths"], arguments["reverse"])


def draw_output_gradients(out: reference.Forward) -> tuple[Array, Array]:
    random = np.random.default_rng(1)
    return random.normal(size=out.y.shape), random.normal(size=out.h_n.shape)


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "without bias": {"bias": False},
    "without h0": {"h0": False},
    "reverse": {"reverse": True},
    "ragged": {"lengths": [3, 0, 5, 1]},
    "ragged, reverse": {"lengths": [3, 0, 5, 1], "reverse": True},
    "ragged, reverse, bare": {"lengths": [0, 4, 2, 5], "reverse": True, "bias": False, "h0": False},
    "one of everything": {"T": 1, "B": 1, "I": 1, "H": 1},
}
every_cell = pytest.mark.parametrize("cell", CELLS)
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def difference_quotients(loss: Callable[[], float], array: Array, step: float = 1e-5) -> Array:
    """Measures the slope of loss() along each element of an array that it reads, by central differences."""
    slopes = np.empty_like(array)
    for index, value in np.ndenumerate(array):
        array[index] = value + step
        above = loss()
        array[index] = value - step
        slopes[index] = (above - loss()) / (2 * step)
        array[index] = value
    return slopes


@every_cell
@every_case
def test_gradients_equal_finite_differences(cell: str, case: dict[str, Any]) -> None:
    """Every gradient of every cell equals the central difference quotient of a loss on y and h_n to 1e-7."""
    arguments = draw(cell, **case)
    out = forward(**arguments)
    dy, dh_n = draw_output_gradients(out)

    def loss() -> float:
        y, h_n, _ = forward(**arguments)
        return float((dy * y).sum() + (dh_n * h_n).sum())

    gradients = backward(**arguments, forward=out, dy=dy, dh_n=dh_n)
    for name in ("x", "h0", *PARAMETERS):
        if arguments[name] is not None:
            expected = difference_quotients(loss, arguments[name])
            np.testing.assert_allclose(getattr(gradients, f"d{name}"), expected, rtol=0, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("chosen", list(product(*GRU.choices.values()))[1:], ids=" ".join)
def test_gradients_of_every_choice_equal_finite_differences(chosen: tuple[str, ...]) -> None:
    """So do those of a GRU of whatever gates and candidate, and the rows of a gate that is off have none."""
    cell = GRU(*chosen)
    test_gradients_equal_finite_differences(str(cell), CASES["ragged, reverse"])
    arguments = draw(str(cell))
    out = forward(**arguments)
    gradients = backward(**arguments, forward=out, dy=out.y, dh_n=None)
    for gate, off in enumerate((cell.reset == "off", cell.update == "off")):
        for name in PARAMETERS:
            rows = np.split(getattr(gradients, f"d{name}"), 3)[gate]
            assert rows.any() != off


@every_cell
def test_gradient_of_an_absent_h0_is_that_of_zeros(cell: str) -> None:
    """Without h0 the layer starts at 0, and the gradient by that 0 is still given."""
    without = draw(cell, h0=False)
    zeros = without | {"h0": np.zeros((4, 3) if Cell.of(cell).S == 1 else (2, 4, 3))}
    out = forward(**without)
    dy, dh_n = draw_output_gradients(out)
    for arguments in (without, zeros):
        np.testing.assert_array_equal(forward(**arguments).y, out.y)
    np.testing.assert_array_equal(
        backward(**without, forward=out, dy=dy, dh_n=dh_n).dh0,
        backward(**zeros, forward=out, dy=dy, dh_n=dh_n).dh0,
    )


@every_cell
def test_absent_biases_equal_zeros_and_have_no_gradient(cell: str) -> None:
    """Without bias the values are those of a bias of 0, and the gradients of the biases are None."""
    without = draw(cell, bias=False)
    zeros = without | {name: np.zeros(Cell.of(cell).G * 3) for name in ("b_ih", "b_hh")}
    out = forward(**without)
    np.testing.assert_array_equal(out.y, forward(**zeros).y)
    dy, dh_n = draw_output_gradients(out)
    gradients = backward(**without, forward=out, dy=dy, dh_n=dh_n)
    assert gradients.db_ih is None
    assert gradients.db_hh is None
    expected = backward(**zeros, forward=out, dy=dy, dh_n=dh_n)
    np.testing.assert_array_equal(gradients.dw_hh, expected.dw_hh)


@every_cell
def test_absent_output_gradients_are_zeros(cell: str) -> None:
    """The gradients for dy and for dh_n alone add up to those for both."""
    arguments = draw(cell, lengths=[3, 0, 5, 1])
    out = forward(**arguments)
    dy, dh_n = draw_output_gradients(out)
    both = backward(**arguments, forward=out, dy=dy, dh_n=dh_n)
    first = backward(**arguments, forward=out, dy=dy, dh_n=None)
    second = backward(**arguments, forward=out, dy=None, dh_n=dh_n)
    for name, expected in both._asdict().items():
        total = getattr(first, name) + getattr(second, name)
        np.testing.assert_allclose(total, expected, rtol=0, atol=1e-12, err_msg=name)


def torch_layer(torch: ModuleType, arguments: dict[str, Any]) -> Any:
    """Builds the torch layer with the same parameters."""
    H, I = arguments["w_hh"].shape[1], arguments["w_ih"].shape[1]
    options = {"bias": arguments["b_ih"] is not None, "dtype": torch.float64}
    if arguments["cell"] in {"gru", "lstm"}:
        layer = getattr(torch.nn, arguments["cell"].upper())(I, H, **options)
    else:
        layer = torch.nn.RNN(I, H, nonlinearity=arguments["cell"].removeprefix("rnn_"), **options)
    names = {"w_ih": "weight_ih_l0", "w_hh": "weight_hh_l0", "b_ih": "bias_ih_l0", "b_hh": "bias_hh_l0"}
    state = {names[name]: torch.tensor(arguments[name]) for name in PARAMETERS if arguments[name] is not None}
    layer.load_state_dict(state)
    return layer


def torch_row(torch: ModuleType, layer: Any, arguments: dict[str, Any], b: int) -> tuple[Array, Array]:
    """Runs row b alone through a torch layer, turned around for reverse, and returns its y and h_n."""
    length = arguments["x"].shape[0] if arguments["lengths"] is None else arguments["lengths"][b]
    x = torch.tensor(arguments["x"][:length, b])
    h0 = None if arguments["h0"] is None else as_torch_has_them(torch.tensor(arguments["h0"][..., b, None, :]))
    y, states = layer(x.flip(0) if arguments["reverse"] else x, h0)
    h_n = torch.stack(states)[:, 0] if isinstance(states, tuple) else states[0]
    return (y.flip(0) if arguments["reverse"] else y).detach().numpy(), h_n.detach().numpy()


def as_torch_has_them(states: Any) -> Any:
    """Returns the states of an LSTM as a pair."""
    return tuple(states) if states.dim() == 3 else states


every_cell_of_torch = pytest.mark.parametrize("cell", CELLS[:-1])


@every_cell_of_torch
@every_case
def test_forward_equals_torch_in_float64(cell: str, case: dict[str, Any]) -> None:
    """Each row equals torch.nn.GRU or torch.nn.RNN on that row alone to 1e-12."""
    torch = pytest.importorskip("torch")
    arguments = draw(cell, **({"T": 5, "B": 4, "I": 9, "H": 17} | case))
    layer = torch_layer(torch, arguments)
    y, h_n, _ = forward(**arguments)
    for b in range(y.shape[1]):
        length = len(y) if arguments["lengths"] is None else arguments["lengths"][b]
        if length == 0:
            continue
        expected_y, expected_h_n = torch_row(torch, layer, arguments, b)
        np.testing.assert_allclose(y[:length, b], expected_y, rtol=0, atol=1e-12)
        np.testing.assert_allclose(h_n[..., b, :], expected_h_n, rtol=0, atol=1e-12)


@every_cell_of_torch
def test_gradients_equal_torch_in_float64(cell: str) -> None:
    """A batch of realistic width has torch's gradients to 1e-11."""
    torch = pytest.importorskip("torch")
    arguments = draw(cell, T=12, B=6, I=20, H=33)
    layer = torch_layer(torch, arguments)
    x, h0 = (torch.tensor(arguments[name], requires_grad=True) for name in ("x", "h0"))
    y, states = layer(x, tuple(h0[:, None]) if cell == "lstm" else h0[None])
    h_n = torch.cat(states) if cell == "lstm" else states[0]
    out = forward(**arguments)
    dy, dh_n = draw_output_gradients(out)
    torch.autograd.backward([y, h_n], [torch.tensor(dy), torch.tensor(dh_n)])
    gradients = backward(**arguments, forward=out, dy=dy, dh_n=dh_n)
    expected = (x, h0, layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
    for name, tensor in zip(gradients._fields, expected, strict=True):
        np.testing.assert_allclose(getattr(gradients, name), tensor.grad.numpy(), rtol=0, atol=1e-11, err_msg=name)


@every_cell
@pytest.mark.parametrize("reverse", [False, True])
def test_padding_is_zero_and_never_read(cell: str, reverse: bool) -> None:
    """Beyond a row's length y, trace and dx are 0 whatever x and dy hold there, NaN included."""
    lengths = np.array([3, 0, 5, 1])
    clean = draw(cell, lengths=lengths, reverse=reverse)
    padding = np.arange(5)[:, None] >= lengths
    poisoned = clean | {"x": np.where(padding[..., None], np.nan, clean["x"])}
    out = forward(**clean)
    dy, dh_n = draw_output_gradients(out)
    gradients = backward(**clean, forward=out, dy=dy, dh_n=dh_n)

    out_poisoned = forward(**poisoned)
    dy = np.where(padding[..., None], np.nan, dy)
    gradients_poisoned = backward(**poisoned, forward=out_poisoned, dy=dy, dh_n=dh_n)
    for array in (out_poisoned.y, gradients_poisoned.dx, *out_poisoned.trace.values()):
        assert (array[padding] == 0).all()
    np.testing.assert_array_equal(out_poisoned.h_n, out.h_n)
    for name, gradient in zip(gradients._fields, gradients_poisoned, strict=True):
        np.testing.assert_array_equal(gradient, getattr(gradients, name), err_msg=name)


@every_cell
@pytest.mark.parametrize("reverse", [False, True])
def test_a_row_of_length_zero_keeps_h0(cell: str, reverse: bool) -> None:
    """A row without steps ends where it starts, and its gradient passes straight through."""
    arguments = draw(cell, lengths=[3, 0, 5, 1], reverse=reverse)
    out = forward(**arguments)
    dy, dh_n = draw_output_gradients(out)
    gradients = backward(**arguments, forward=out, dy=dy, dh_n=dh_n)
    np.testing.assert_array_equal(out.h_n[..., 1, :], arguments["h0"][..., 1, :])
    np.testing.assert_array_equal(gradients.dh0[..., 1, :], dh_n[..., 1, :])


@every_cell
def test_no_steps_at_all(cell: str) -> None:
    """With T = 0 the final state is h0 and no parameter has a gradient."""
    arguments = draw(cell, T=0)
    out = forward(**arguments)
    assert out.y.shape == (0, 4, 3)
    np.testing.assert_array_equal(out.h_n, arguments["h0"])
    gradients = backward(**arguments, forward=out, dy=None, dh_n=out.h_n)
    np.testing.assert_array_equal(gradients.dh0, out.h_n)
    assert not gradients.dw_hh.any()


@every_cell
def test_arguments_are_left_unchanged(cell: str) -> None:
    """Neither forward nor backward writes to its arguments."""
    arguments = draw(cell, lengths=np.array([3, 0, 5, 1]))
    copies = {name: np.copy(value) for name, value in arguments.items()}
    out = forward(**arguments)
    dy, dh_n = draw_output_gradients(out)
    kept = [np.copy(array) for array in (out.y, out.h_n, dy, dh_n)]
    backward(**arguments, forward=out, dy=dy, dh_n=dh_n)
    for name, copy in copies.items():
        np.testing.assert_array_equal(arguments[name], copy, err_msg=name)
    for array, copy in zip((out.y, out.h_n, dy, dh_n), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_an_unknown_cell_is_refused() -> None:
    """No other name is taken for one of the cells."""
    with pytest.raises(ValueError, match="cell is 'mlp', expected one of 'gru'"):
        forward(**draw("gru") | {"cell": "mlp"})


def with_gate_bias(arguments: dict[str, Any], **biases: float) -> dict[str, Any]:
    """Adds a bias to whole gates of a gru: r, z or n."""
    gates = {name: arguments["b_ih"].reshape(3, -1)[i].copy() for i, name in enumerate("rzn")}
    return arguments | {"b_ih": np.concatenate([gates[name] + biases.get(name, 0) for name in "rzn"])}


def test_update_gate_one_copies_state_and_gradient() -> None:
    """Where z = 1 the state at every step is h0 exactly, and the gradient at h0 is the sum of those on the way."""
    arguments = with_gate_bias(draw("gru"), z=1000)
    out = forward(**arguments)
    dy, dh_n = draw_output_gradients(out)
    gradients = backward(**arguments, forward=out, dy=dy, dh_n=dh_n)
    np.testing.assert_array_equal(out.y, np.broadcast_to(arguments["h0"], out.y.shape))
    np.testing.assert_array_equal(gradients.dh0, sum(dy[::-1], start=dh_n))
    assert not gradients.dx.any()
    assert not gradients.dw_hh.any()


def test_reset_gate_zero_makes_the_candidate_independent_of_the_state() -> None:
    """Where r = 0 two different states lead to the same candidate."""
    arguments = with_gate_bias(draw("gru"), r=-1000)
    one = forward(**arguments)
    other = forward(**arguments | {"h0": arguments["h0"] + 1})
    np.testing.assert_array_equal(one.trace["candidate"], other.trace["candidate"])
    assert (one.trace["hidden_before"] != other.trace["hidden_before"]).all()


def test_open_reset_and_closed_update_gate_is_the_vanilla_network() -> None:
    """Where r = 1 and z = 0 the gru is rnn_tanh with the candidate's weights."""
    arguments = with_gate_bias(draw("gru"), r=1000, z=-1000)
    vanilla = arguments | {name: arguments[name][6:] for name in PARAMETERS} | {"cell": "rnn_tanh"}
    np.testing.assert_allclose(forward(**arguments).y, forward(**vanilla).y, rtol=4 * np.finfo(float).eps)


def test_a_closed_update_gate_alone_does_not_forget() -> None:
    """Where z = 0 the new state still depends on the old one, through the candidate."""
    arguments = with_gate_bias(draw("gru", T=1), z=-1000)
    one = forward(**arguments)
    other = forward(**arguments | {"h0": arguments["h0"] + 1})
    assert not one.trace["update"].any()
    assert (np.abs(one.y - other.y) > 1e-3).all()


def test_gates_that_are_off_are_the_limits_of_gates() -> None:
    """Choosing r = 1 and z = 0 is the same as biases that drive the gates there."""
    arguments = draw("gru")
    chosen = forward(**arguments, reset="off", update="off")
    np.testing.assert_array_equal(chosen.y, forward(**with_gate_bias(arguments, r=1000, z=-1000)).y)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_final_state_is_the_sum_of_what_is_left_of_the_deposits(reverse: bool) -> None:
    """The final state is Σ_t (Π_{s>t} z_s)(1 − z_t) n_t + (Π_s z_s) h0, over each row's own steps."""
    arguments = draw("gru", T=9, lengths=[9, 0, 4, 1], reverse=reverse)
    out = forward(**arguments)
    for b, length in enumerate(arguments["lengths"]):
        z, n = (out.trace[name][:length, b] for name in ("update", "candidate"))
        if reverse:
            z, n = z[::-1], n[::-1]
        left = [np.prod(z[t + 1 :], axis=0) * (1 - z[t]) * n[t] for t in range(length)]
        total = sum(left, start=np.prod(z, axis=0) * arguments["h0"][b])
        np.testing.assert_allclose(out.h_n[b], total, rtol=0, atol=1e-14)


@every_cell
def test_pieces_of_a_sequence_equal_the_whole(cell: str) -> None:
    """Running on from the final state of the first part gives the rest of the outputs."""
    arguments = draw(cell, T=7)
    whole = forward(**arguments)
    first = forward(**arguments | {"x": arguments["x"][:3]})
    second = forward(**arguments | {"x": arguments["x"][3:], "h0": first.h_n})
    np.testing.assert_array_equal(np.concatenate([first.y, second.y]), whole.y)
    np.testing.assert_array_equal(second.h_n, whole.h_n)


def test_sigmoid_reaches_its_limits_without_overflow() -> None:
    """Far from 0 the sigmoid is exactly 0 or 1 and raises no warning, and NaN stays NaN."""
    a = np.array([-np.inf, -1000, 0, 1000, np.inf, np.nan])
    np.testing.assert_array_equal(sigmoid(a), [0, 0, 0.5, 1, 1, np.nan])
