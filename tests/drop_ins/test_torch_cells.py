"""A cell that torch has no module of needs one class: its parameters, checks and torch's operations follow."""

import copy
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.nn.utils import rnn

from tidegate.ops import reference
from tidegate.ops.cells import CELLS, GRU, Cell
from tidegate.torch.cells import torch_function
from tidegate.torch.modules import MODULES, CellModule

T, B, I, H = 6, 4, 3, 5
LENGTHS = [2, 6, 0, 5]


@dataclass(frozen=True)
class MGUCell(Cell):
    """The minimal gated unit of Zhou et al. 2016, with a cell state beside it, so that it has two."""

    title = "minimal gated unit"
    blocks = ("forget", "candidate")
    states = ("hidden", "cell_state")
    trace = blocks
    symbols = {"forget": "f", "candidate": "n", "hidden": "h", "cell_state": "c"}  # noqa: RUF012 - a declaration
    gates = ("forget",)
    keeps = "forget"

    def step(self, a: Any, recur: Any, states: Any, functions: Any, note: Any) -> tuple[Any, ...]:
        """Takes one step."""
        h, c = states
        f = note("forget", functions["sigmoid"](a[0] + recur(h)[0]))
        n = note("candidate", functions["tanh"](a[1] + recur(f * h)[1]))
        return f * h + (1 - f) * n, c + h


class MGU(CellModule):
    """Its module."""

    name = "mgu"


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(MGUCell, "name", "mgu")
    monkeypatch.setitem(CELLS, "mgu", MGUCell)
    yield
    Cell.of.__globals__["_cell"].cache_clear()


def layer_of(**options: Any) -> MGU:
    torch.manual_seed(0)
    return MGU(I, H, dtype=torch.float64, **options)


def inputs() -> Tensor:
    return torch.randn(T, B, I, generator=torch.Generator().manual_seed(1)).double()


def test_it_has_torchs_parameters_for_its_blocks() -> None:
    """The state_dict has torch's names, in the shapes of two blocks, drawn as torch draws them."""
    layer = layer_of(num_layers=2, bidirectional=True)
    assert layer.state_dict().keys() == torch.nn.GRU(I, H, num_layers=2, bidirectional=True).state_dict().keys()
    assert layer.weight_ih_l1_reverse.shape == (2 * H, 2 * H)
    assert all(0 < parameter.abs().max() <= H**-0.5 for parameter in layer.parameters())
    assert repr(layer) == "MGU(3, 5, num_layers=2, bidirectional=True)"
    for clone in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(clone(inputs()), layer(inputs()), rtol=0, atol=0)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_it_runs_the_equations_of_its_cell(lengths: Any) -> None:
    """Outputs, both final states and the trace are those of the specification."""
    layer, x = layer_of(), inputs()
    hx = (torch.full((1, B, H), 0.5).double(), torch.full((1, B, H), -0.25).double())
    y, finals, (trace,) = layer(x, hx, lengths=lengths, return_trace=True)
    specified = reference.Layer(MGUCell(), *[weight.detach().numpy() for weight in layer.parameters()])
    out = specified.forward(x.numpy(), torch.cat(hx).numpy(), lengths)
    np.testing.assert_allclose(y.detach(), out.y, rtol=0, atol=1e-12)
    np.testing.assert_allclose(torch.cat(finals).detach(), out.h_n, rtol=0, atol=1e-12)
    assert list(trace.values) == ["hidden", "forget", "candidate", "cell_state"]
    assert not layer.route(x)


def test_every_form_of_input_gives_the_same() -> None:
    """Packed, one sequence, several episodes and torch.compile agree with the padded batch."""
    layer, x = layer_of(bidirectional=True), inputs()
    y, finals = layer(x, lengths=[6, 5, 2, 1])
    packed, packed_finals = layer(rnn.pack_padded_sequence(x, [6, 5, 2, 1]))
    torch.testing.assert_close((rnn.pad_packed_sequence(packed)[0], packed_finals), (y, finals))
    alone = layer(x[:5, 1])
    torch.testing.assert_close((alone[0], torch.cat(alone[1])), (y[:5, 1], torch.cat(finals)[:, 1]))
    starts = torch.zeros(T, B, dtype=torch.bool)
    starts[3] = True
    torch.testing.assert_close(layer(x, episode_starts=starts)[0], torch.cat([layer(x[:3])[0], layer(x[3:])[0]]))


def test_derivatives_pass_torchs_checks() -> None:
    """Gradients, also of both states, equal finite differences."""
    layer = MGU(2, 2, dtype=torch.float64)
    x, *hx = (torch.randn(*shape).double().requires_grad_() for shape in ((3, 2, 2), (1, 2, 2), (1, 2, 2)))

    def run(x: Tensor, *hx: Tensor) -> Any:
        y, finals = layer(x, hx, lengths=[2, 3])
        return y, *finals

    assert torch.autograd.gradcheck(run, (x, *hx))


WRONG: dict[str, tuple[Callable[[MGU], Any], str]] = {
    "features": (lambda layer: layer(inputs()[..., :2]), r"input.size\(-1\) must be equal to input_size"),
    "axes": (lambda layer: layer(inputs()[None]), "input must have 3 dimensions, got 4"),
    "rows": (lambda layer: layer(inputs(), (torch.zeros(1, B + 1, H),) * 2), "Expected hidden size"),
    "states": (lambda layer: layer(inputs(), torch.zeros(1, B, H)), "hx is None or 2 tensors"),
    "no steps": (lambda layer: layer(inputs()[:0]), "expected 1 step or more"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_inputs_are_named(case: str) -> None:
    """What does not fit is refused, in torch's words where it has them."""
    call, message = WRONG[case]
    with pytest.raises((RuntimeError, ValueError), match=message):
        call(layer_of())


def test_a_cell_is_not_confused_with_what_torch_calls_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell whose name is an attribute of torch runs by its own equations all the same."""
    monkeypatch.setattr(MGUCell, "name", "relu")
    assert torch_function(MGUCell()) is None
    assert torch_function(GRU()) is torch.gru
    assert torch_function(GRU(reset="off")) is None


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_has_a_module(name: str) -> None:
    """The table of modules makes a drop-in of each cell, in its standard form and with every choice."""
    kind = CELLS[name]
    for cell in [kind(), *(kind(**{choice: words[-1]}) for choice, words in kind.choices.items())]:
        assert MODULES[name](2, 3, **cell.options).cell == cell
