"""Conversion of models: which modules are swapped, what they keep, and back."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from tidegate.torch import GRU, LSTM, RNN, convert

T, B, I, H = 5, 4, 3, 4


class Nested(torch.nn.Module):
    """Recurrent modules at several depths, one of them in two places."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.GRU(I, H, bidirectional=True)
        self.rest = torch.nn.ModuleList([torch.nn.Sequential(torch.nn.RNN(2 * H, H, nonlinearity="relu"))])
        self.cell = torch.nn.GRUCell(H, H)
        self.shared = self.first

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.first(x)
        y, _ = self.rest[0](y)
        states: Tensor = self.cell(y[-1])
        return states


def inputs() -> Tensor:
    return torch.randn(T, B, I, generator=torch.Generator().manual_seed(1))


def classes(model: torch.nn.Module) -> list[type]:
    return [type(module) for module in model.modules()]


def test_every_recurrent_module_is_swapped_and_back() -> None:
    """Nested and shared modules become drop-ins, others stay, outputs are the same; and back again."""
    model = Nested()
    before, expected = classes(model), model(inputs())
    assert convert(model) is model
    assert isinstance(model.first, GRU)
    assert model.shared is model.first
    assert type(model.get_submodule("rest.0.0")) is RNN
    assert type(model.cell) is torch.nn.GRUCell
    assert model.first.route(inputs())
    torch.testing.assert_close(model(inputs()), expected)
    assert classes(convert(convert(model), to="torch")) == before
    torch.testing.assert_close(model(inputs()), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "make", [torch.nn.GRU, torch.nn.LSTM, lambda *sizes: torch.nn.RNN(*sizes, nonlinearity="relu"), torch.nn.RNN]
)
def test_a_bare_module_is_swapped(make: Callable[..., Any]) -> None:
    """A recurrent module that is itself the model is converted in place, and copied and pickled as a drop-in."""
    layer = make(I, H)
    kind, expected = type(layer), layer(inputs())
    convert(layer)
    assert type(layer) in {GRU, LSTM, RNN}
    assert isinstance(layer, kind)
    for clone in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(clone) is type(layer)
        torch.testing.assert_close(clone(inputs()), expected)
    assert type(convert(layer, to="torch")) is kind


def test_parameters_mode_and_hooks_are_kept() -> None:
    """The same Parameter objects, training mode, dtype and hooks are there, so that an optimizer goes on working."""
    model = Nested().eval()
    model.rest.double()
    parameters = dict(model.named_parameters())
    optimizer = torch.optim.SGD(model.first.parameters(), lr=0.1)
    calls: list[str] = []
    model.first.register_forward_hook(lambda *_: calls.append("forward"))
    convert(model)
    assert all(parameters[name] is parameter for name, parameter in model.named_parameters())
    assert not any(module.training for module in model.modules())
    assert {parameter.dtype for parameter in model.rest.parameters()} == {torch.float64}
    before = model.first(inputs())[0]
    before.sum().backward()
    optimizer.step()
    assert calls == ["forward"]
    assert not torch.equal(model.first(inputs())[0], before)


class Halved(torch.nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * 0.5


def test_parametrizations_are_kept() -> None:
    """A parametrized module goes both ways with its parametrization, which can still be removed."""
    layer = torch.nn.GRU(I, H)
    parametrize.register_parametrization(layer, "weight_hh_l0", Halved())
    expected = layer(inputs())
    convert(layer)
    assert isinstance(layer, GRU)
    assert parametrize.is_parametrized(layer, "weight_hh_l0")
    torch.testing.assert_close(layer(inputs()), expected)
    convert(layer, to="torch")
    assert isinstance(layer, torch.nn.GRU)
    torch.testing.assert_close(convert(layer)(inputs()), expected)
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert type(layer) is GRU
    torch.testing.assert_close(layer(inputs()), expected)


class Own(torch.nn.GRU):
    """A user's subclass, whose methods a conversion would lose."""


class OwnLSTM(torch.nn.LSTM):
    """Another one."""


class OwnDropIn(GRU):
    """The same of a drop-in."""


@pytest.mark.parametrize(("kind", "to"), [(Own, "tidegate"), (OwnDropIn, "torch"), (OwnLSTM, "tidegate")])
def test_subclasses_are_left_with_a_warning(kind: type, to: str) -> None:
    """A module of a user's own class is left as it is, and the warning names it."""
    model = torch.nn.Sequential(torch.nn.Linear(I, I), kind(I, H))
    with pytest.warns(UserWarning, match=f"^1 is a {kind.__name__}, a class of its own: it is left as it is$"):
        convert(model, to=to)
    assert type(model[1]) is kind


@pytest.mark.parametrize(("kind", "to"), [(Own, "torch"), (OwnDropIn, "tidegate")])
def test_what_is_there_already_is_no_reason_to_warn(kind: type, to: str) -> None:
    """Subclasses and modules that are what is wanted stay, in silence."""
    model = torch.nn.Sequential(kind(I, H), LSTM(I, H) if to == "tidegate" else torch.nn.LSTM(I, H))
    before = classes(model)
    assert classes(convert(model, to=to)) == before


def test_unknown_targets_are_refused() -> None:
    """A target that is neither of the two is refused by name, and nothing is changed."""
    model = Nested()
    before = classes(model)
    with pytest.raises(ValueError, match="to is 'keras', expected one of 'tidegate', 'torch'"):
        convert(model, to="keras")
    assert classes(model) == before
