"""Chrono initialisation: the memories that units start with."""

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from tidegate.torch import GRU, LSTM, RNN

T_MAX = 50
PARTS: list[dict[str, str]] = [{}, {"gate": "hard_sigmoid"}, {"reset": "off", "candidate": "relu"}]


def memories(layer: GRU) -> Tensor:
    """How many steps each unit remembers: what is left of h = 1 after a step with x = 0 and no candidate is z."""
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            (parameter[2 * layer.hidden_size :] if "bias" in name else parameter).zero_()
        h = torch.ones(layer.num_layers * (1 + layer.bidirectional), 1, layer.hidden_size)
        z: Tensor = layer(torch.zeros(1, 1, layer.input_size), h)[1][:, 0]
    return 1 / (1 - z)


@pytest.mark.parametrize("choices", PARTS, ids=str)
@pytest.mark.parametrize("again", [False, True], ids=["new", "reset_parameters"])
def test_memories_are_spread_over_the_range(choices: Any, again: bool) -> None:
    """At input and weights 0, 1/(1 − z) of every layer and direction lies in 2..T, evenly: also after a reset."""
    torch.manual_seed(0)
    layer = GRU(3, 2000, num_layers=1, bidirectional=True, chrono=T_MAX, **choices)
    if again:
        layer.reset_parameters()
    for row in memories(layer):
        assert 2 - 1e-4 <= row.min() < 2.2
        assert T_MAX - 1 < row.max() <= T_MAX * (1 + 1e-4)
        assert row.mean() == pytest.approx((2 + T_MAX) / 2, rel=0.05)
        assert row.quantile(0.25) == pytest.approx(2 + (T_MAX - 2) / 4, rel=0.1)


def test_only_the_biases_of_the_update_gate_are_set() -> None:
    """All other parameters are drawn as without it; the bias goes to bias_ih, and 0 to bias_hh."""
    torch.manual_seed(1)
    plain = dict(GRU(3, 7, num_layers=2, bidirectional=True).named_parameters())
    torch.manual_seed(1)
    layer = GRU(3, 7, num_layers=2, bidirectional=True, chrono=10)
    for name, parameter in layer.named_parameters():
        update = torch.zeros(21, dtype=torch.bool)
        update[7:14] = "bias" in name
        torch.testing.assert_close(parameter[~update], plain[name][~update], rtol=0, atol=0)
        if name.startswith("bias_hh"):
            assert not parameter[update].any()
        elif name.startswith("bias_ih"):
            assert (parameter[update] >= 0).all()
            assert len(set(parameter[update].tolist())) == 7
    assert repr(layer) == "GRU(3, 7, num_layers=2, bidirectional=True, chrono=10)"


def test_an_lstm_forgets_and_writes_by_turns() -> None:
    """Its forget gate has the memories, its input gate the rest: i = 1 − f; other parameters are drawn as without."""
    torch.manual_seed(1)
    plain = dict(LSTM(3, 2000, bidirectional=True).named_parameters())
    torch.manual_seed(1)
    layer = LSTM(3, 2000, bidirectional=True, chrono=T_MAX)
    for name, parameter in layer.named_parameters():
        i, f, g, o = parameter.detach().chunk(4)
        own = (g, o) if "bias" in name else (i, f, g, o)
        theirs = plain[name].chunk(4)[4 - len(own) :]
        assert all(torch.equal(*pair) for pair in zip(own, theirs, strict=True))
        if name.startswith("bias_ih"):
            torch.testing.assert_close(i.sigmoid(), 1 - f.sigmoid())
            memory = 1 / (1 - f.sigmoid())
            assert 2 - 1e-4 <= memory.min() < 2.2
            assert T_MAX - 1 < memory.max() <= T_MAX * (1 + 1e-4)
            assert memory.mean() == pytest.approx((2 + T_MAX) / 2, rel=0.05)
        elif name.startswith("bias_hh"):
            assert not i.any()
            assert not f.any()
    assert repr(layer) == "LSTM(3, 2000, bidirectional=True, chrono=50)"


def test_the_shortest_range_is_one_memory() -> None:
    """With T = 2 every unit starts with a memory of 2 steps: z = 1/2."""
    bias = dict(GRU(3, 5, chrono=2).named_parameters())["bias_ih_l0"]
    assert not bias[5:10].any()
    assert bias[:5].all()


TEXT: Any = "10"
WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "too short": (lambda: GRU(3, 4, chrono=1), ValueError, "chrono is 1, expected 2 or more"),
    "infinite": (lambda: GRU(3, 4, chrono=float("inf")), ValueError, "chrono is inf, expected 2 or more"),
    "nan": (lambda: GRU(3, 4, chrono=float("nan")), ValueError, "chrono is nan, expected 2 or more"),
    "text": (lambda: GRU(3, 4, chrono=TEXT), TypeError, "chrono is '10', expected a number of steps"),
    "truth value": (lambda: GRU(3, 4, chrono=True), TypeError, "chrono is True, expected a number of steps"),
    "no bias": (lambda: GRU(3, 4, bias=False, chrono=9), ValueError, "chrono is 9 for a layer without bias"),
    "no gate": (lambda: GRU(3, 4, update="off", chrono=9), ValueError, "chrono is 9 for the cell 'gru update=off'"),
    "no bias of an lstm": (lambda: LSTM(3, 4, bias=False, chrono=9), ValueError, "the forget gate's is what it sets"),
    "rnn": (lambda: RNN(3, 4, chrono=9), TypeError, "chrono"),
}


@pytest.mark.parametrize(("make", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_ranges_are_named(make: Any, error: type[Exception], message: str) -> None:
    """What is no range, and layers without a bias or an update gate, are refused."""
    with pytest.raises(error, match=message):
        make()
