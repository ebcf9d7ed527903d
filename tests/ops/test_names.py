"""Tests of the names and shapes of a stack's parameters."""

import pytest

from tidegate.ops import CELLS
from tidegate.ops.names import layout, parameter_letters


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_names_and_shapes_are_those_of_torch(num_layers: int, bidirectional: bool, bias: bool) -> None:
    """Names, their order and their shapes equal those in the `state_dict` of torch's layers."""
    nn = pytest.importorskip("torch.nn")
    for cell, module in [("gru", nn.GRU), ("rnn_tanh", nn.RNN)]:
        sizes = {"G": CELLS[cell]().G, "H": 5, "I": 3, "D": 1 + bidirectional}
        layer = module(3, 5, num_layers, bias=bias, bidirectional=bidirectional)
        shapes = {
            name: [eval(axis.replace("·", "*"), {}, sizes) for axis in letters.split()]
            for name, letters in parameter_letters(num_layers, bidirectional, bias).items()
        }
        assert list(shapes.items()) == [(name, list(array.shape)) for name, array in layer.state_dict().items()]
        assert layout(shapes.keys()) == (num_layers, bidirectional, bias)


WRONG_NAMES = {
    "nothing": (set(), "weights lacks 'weight_ih_l0', 'weight_hh_l0', expected for a stack of 1 layers, without bias"),
    "a prefix": (
        {"rnn.weight_ih_l0"},
        "weights lacks 'weight_ih_l0', 'weight_hh_l0', expected .* found 'rnn.weight_ih_l0' instead",
    ),
    "a gap": (
        {"weight_ih_l0", "weight_hh_l0", "weight_ih_l2", "weight_hh_l2"},
        "weights lacks 'weight_ih_l1', 'weight_hh_l1', expected for a stack of 2 layers, without bias",
    ),
    "half a bias": ({"weight_ih_l0", "weight_hh_l0", "bias_ih_l0"}, "weights lacks 'bias_hh_l0'"),
    "half a direction": ({"weight_ih_l0", "weight_hh_l0", "weight_ih_l0_reverse"}, "lacks 'weight_hh_l0_reverse'"),
    "a projection": (
        {"weight_ih_l0", "weight_hh_l0", "weight_hr_l0"},
        "weights has 'weight_hr_l0', not expected for a stack of 1 layers, without bias",
    ),
    "many": ({f"x{i}" for i in range(9)}, r"found 'x\d', 'x\d', 'x\d', 'x\d' and 5 more instead"),
}


@pytest.mark.parametrize(("names", "message"), WRONG_NAMES.values(), ids=WRONG_NAMES.keys())
def test_missing_and_unknown_weights_are_named(names: set[str], message: str) -> None:
    """An error names the weights that are missing or left over, and the stack that the names speak of."""
    with pytest.raises(ValueError, match=message):
        layout(names)
