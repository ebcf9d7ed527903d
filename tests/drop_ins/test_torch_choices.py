"""GRUs that torch has not: natively, by torch's own operations, differentiated again, compiled and transformed."""

import copy
import pickle
from itertools import product
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.func import functional_call, grad, jacfwd, vmap
from torch.nn.utils import rnn

from tidegate.ops import reference
from tidegate.ops.cells import CELLS, Cell
from tidegate.torch import GRU, RNN, convert

T, B, I, H = 6, 4, 3, 5
LENGTHS = [2, 6, 0, 5]
Choices = dict[str, str]
CHOICES = CELLS["gru"].choices
EVERY = [Cell.of("gru", **dict(zip(CHOICES, chosen, strict=True))) for chosen in product(*CHOICES.values())][1:]
SOME: list[Choices] = [
    {"reset": "off", "candidate": "relu"},
    {"update": "off", "gate": "hard_sigmoid"},
    {"reset": "before"},
]

every_choice = pytest.mark.parametrize("cell", EVERY, ids=str)
some_choices = pytest.mark.parametrize("choices", SOME, ids=str)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's compiler's


def layer_of(choices: Any, **options: Any) -> GRU:
    torch.manual_seed(0)
    return GRU(I, H, **choices, **options)


def inputs(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*(shape or (T, B, I)), generator=torch.Generator().manual_seed(seed))


def results(layer: Any, x: Any, hx: Tensor | None = None, **options: Any) -> list[Tensor]:
    """Outputs, and the gradients of their squares by inputs and parameters."""
    data = (x.data if isinstance(x, rnn.PackedSequence) else x).detach().requires_grad_()
    y, h_n = layer(x._replace(data=data) if isinstance(x, rnn.PackedSequence) else data, hx, **options)
    y = y.data if isinstance(y, rnn.PackedSequence) else y
    return [y, h_n, *torch.autograd.grad(y.square().sum() + h_n.square().sum(), [data, *layer.parameters()])]


def close(actual: Any, expected: Any, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance, check_dtype=False)


@every_choice
def test_torchs_operations_equal_the_reference(cell: Cell) -> None:
    """In float64 a layer has the values and gradients of the specification, ragged rows and both directions."""
    layer = layer_of(cell.options).double()
    x = inputs().double()
    assert not layer.route(x)
    y, h_n, dx, *dweights = results(layer, x, lengths=LENGTHS)
    specified = reference.Layer(cell, *[weight.detach().numpy() for weight in layer.parameters()])
    out = specified.forward(x.numpy(), lengths=LENGTHS)
    gradients = specified.backward(x.numpy(), out, 2 * out.y, 2 * out.h_n, lengths=LENGTHS)
    close([y, h_n[0]], [torch.tensor(out.y), torch.tensor(out.h_n)], 1e-12)
    for found, expected in zip([dx, *dweights], [gradients.dx, *gradients[2:]], strict=True):
        assert expected is not None
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


FORMS: dict[str, Any] = {
    "batch first": (lambda x: x.transpose(0, 1), {"batch_first": True}, {}),
    "one sequence": (lambda x: x[:, 0], {}, {}),
    "lengths": (lambda x: x, {}, {"lengths": LENGTHS}),
    "episode_starts": (
        lambda x: x,
        {},
        {"episode_starts": torch.arange(T * B).reshape(T, B) % 5 == 2, "episode_state": "h0"},
    ),
    "packed": (lambda x: rnn.pack_padded_sequence(x, [2, 6, 1, 5], enforce_sorted=False), {}, {}),
}


@some_choices
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("state", [False, True], ids=["", "h0"])
def test_both_ways_agree(choices: Choices, form: str, state: bool) -> None:
    """Natively and by torch's operations, any form of input has the same values and gradients."""
    make, constructor, call = FORMS[form]
    layer = layer_of(choices, num_layers=2, bidirectional=True, **constructor)
    exact = copy.deepcopy(layer).double()
    hx = inputs(4, *(() if form == "one sequence" else (B,)), H, seed=2) if state else None
    x = make(inputs())
    assert layer.route(x, hx)
    double = x._replace(data=x.data.double()) if form == "packed" else x.double()
    found = results(layer, x, hx, **call)
    close(found, results(exact, double, None if hx is None else hx.double(), **call))
    with torch.no_grad():
        y, h_n = layer(x, hx, **call)
        close([y.data if form == "packed" else y, h_n], found[:2], 0)


@some_choices
def test_derivatives_pass_torchs_checks(choices: Any) -> None:
    """Gradients and their gradients equal finite differences, in float64."""
    layer = GRU(2, 2, **choices, bidirectional=True).double()
    names = list(dict(layer.named_parameters()))

    def run(x: Tensor, hx: Tensor, *values: Tensor) -> Any:
        return functional_call(layer, dict(zip(names, values, strict=True)), (x, hx), {"lengths": [2, 3]})

    x, hx = inputs(3, 2, 2).double().requires_grad_(), inputs(2, 2, 2, seed=3).double().requires_grad_()
    tensors = (x, hx, *(value.detach().requires_grad_() for value in layer.parameters()))
    assert torch.autograd.gradcheck(run, tensors)
    assert torch.autograd.gradgradcheck(run, tensors)


@some_choices
def test_second_derivatives_of_the_native_way(choices: Choices) -> None:
    """A penalty on the gradient has, in float32, the gradients that it has in float64."""
    penalties = []
    for dtype in (torch.float32, torch.float64):
        layer, x = layer_of(choices, num_layers=2).to(dtype), inputs().to(dtype).requires_grad_()
        (first,) = torch.autograd.grad(layer(x, lengths=LENGTHS)[0].square().sum(), x, create_graph=True)
        penalties.append([first, *torch.autograd.grad(first.square().sum(), [x, *layer.parameters()])])
    close(penalties[0], penalties[1], 2e-5)


@some_choices
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_and_exported(choices: Choices, dtype: torch.dtype) -> None:
    """A compiled layer has the values and gradients of the layer itself, in one graph; an exported one its values."""
    torch.compiler.reset()
    layer, x = layer_of(choices, num_layers=2, bidirectional=True).to(dtype), inputs(2, B, I).to(dtype)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    expected = results(layer, x)
    found = compiled(x)
    close(
        [*found, *torch.autograd.grad(found[0].square().sum() + found[1].square().sum(), [*layer.parameters()])],
        expected[:2] + expected[3:],
    )
    exported = torch.export.export(layer, (x,)).module()
    close(exported(x), layer(x))


@some_choices
def test_transforms_of_torch_func(choices: Choices) -> None:
    """Gradients of each sample, of weights and inputs, and forward-mode Jacobians pass through."""
    layer = layer_of(choices)
    values = {name: value.detach() for name, value in layer.named_parameters()}

    def loss(values: dict[str, Tensor], x: Tensor) -> Tensor:
        total: Tensor = functional_call(layer, values, (x,))[0].square().sum()
        return total

    batched = vmap(grad(loss), in_dims=(None, 1))(values, inputs())
    for b in range(B):
        single = torch.autograd.grad(layer(inputs()[:, b])[0].square().sum(), list(layer.parameters()))
        close([gradients[b] for gradients in batched.values()], list(single))
    x = inputs()[:2, :1]
    forward, reverse = jacfwd(lambda x: layer(x)[1])(x), torch.func.jacrev(lambda x: layer(x)[1])(x)
    close(forward, reverse)
    twice = grad(lambda x: grad(loss, argnums=1)(values, x).square().sum())(x)
    exact = {name: value.double() for name, value in values.items()}
    close(twice, grad(lambda x: grad(loss, argnums=1)(exact, x).square().sum())(x.double()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_gates_it_is_the_vanilla_network(dtype: torch.dtype) -> None:
    """With r = 1 and z = 0 a GRU gives what torch.nn.RNN gives with the candidate's weights."""
    layer = layer_of({"reset": "off", "update": "off"}, bidirectional=True).to(dtype)
    vanilla = torch.nn.RNN(I, H, bidirectional=True, dtype=dtype)
    vanilla.load_state_dict({name: value[2 * H :] for name, value in layer.state_dict().items()})
    x = inputs().to(dtype)
    close(layer(x), vanilla(x), 1e-6)


def test_the_choices_are_seen() -> None:
    """They are attributes, stand in the repr and survive copies; what is standard has torch's repr and state_dict."""
    layer = layer_of({"reset": "off", "candidate": "identity"}, num_layers=2)
    for other in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert (other.reset, other.update, other.candidate, other.gate) == ("off", "on", "identity", "sigmoid")
        assert repr(other) == "GRU(3, 5, num_layers=2, reset='off', candidate='identity')"
    assert repr(GRU(I, H, reset="after")) == repr(torch.nn.GRU(I, H))
    assert layer.state_dict().keys() == torch.nn.GRU(I, H, num_layers=2).state_dict().keys()


def test_wrong_choices_are_refused() -> None:
    """An unknown word, or a choice of an RNN, raises an error that names it."""
    with pytest.raises(ValueError, match="reset is 'never', expected one of 'after', 'before', 'off'"):
        GRU(I, H, reset="never")
    with pytest.raises(TypeError, match="reset"):
        RNN(I, H, reset="off")


WRONG = {
    "features": lambda layer: layer(torch.zeros(T, B, I + 1, dtype=torch.float64)),
    "rows of hx": lambda layer: layer(inputs().double(), torch.zeros(1, B + 1, H).double()),
    "axes": lambda layer: layer(torch.zeros(1, 2, 3, 4).double()),
    "no steps": lambda layer: layer(torch.zeros(0, B, I).double()),
    "features, packed": lambda layer: layer(rnn.pack_sequence([torch.zeros(2, I + 1).double()])),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_inputs_raise_torchs_errors(case: str) -> None:
    """Off the native way too, shapes are refused in torch's words."""
    with pytest.raises((RuntimeError, ValueError)) as expected:
        WRONG[case](torch.nn.GRU(I, H).double())
    with pytest.raises(type(expected.value)) as found:
        WRONG[case](layer_of({"reset": "off"}).double())
    assert str(found.value) == str(expected.value)


def test_convert_leaves_what_torch_has_not() -> None:
    """A GRU that torch has not stays what it is, with a warning; the others are turned back."""
    model = torch.nn.ModuleList([GRU(I, H), GRU(I, H, update="off")])
    with pytest.warns(UserWarning, match=r"1 is GRU\(3, 5, update='off'\), which torch has not: it is left as it is"):
        convert(model, to="torch")
    assert [type(module) for module in model] == [torch.nn.GRU, GRU]


def test_autocast_and_other_devices() -> None:
    """Under autocast and on the meta device torch's operations run the cell too."""
    layer, x = layer_of({"reset": "off", "gate": "hard_sigmoid"}), inputs()
    with torch.autocast("cpu"):
        y, _ = layer(x)
    assert torch.allclose(y.float(), layer(x)[0], atol=0.05)
    assert layer.to("meta")(x.to("meta"))[0].shape == (T, B, H)
