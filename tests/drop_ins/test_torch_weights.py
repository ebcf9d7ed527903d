"""Tests of the store of packed weights: what it finds, what it notices, and what it forgets."""

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from tidegate.ops.cells import Cell
from tidegate.torch.weights import PackedWeights

I, H = 40, 33
GRU = Cell.of("gru")


def weights(seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes: list[Any] = [(3 * H, I), (3 * H, H), (3 * H,), (3 * H,)]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def test_weights_are_found_until_they_change() -> None:
    """The same weights, also through other tensors on their memory, are packed once; a change in place is seen."""
    store, layer = PackedWeights(), weights()
    first = store.get(GRU, layer)
    assert store.get(GRU, layer) is first
    assert store.get(GRU, [weight.detach() for weight in layer]) is first
    layer[0].add_(1)
    assert store.get(GRU, layer) is not first
    assert len(store.entries) == 1


@pytest.mark.parametrize("position", range(4))
def test_a_single_number_is_seen(position: int) -> None:
    """A change of any number of any weight that torch does not count is seen, if only a sign of 0 changes."""
    store, layer = PackedWeights(), weights()
    store.get(GRU, layer)
    numbers = layer[position].data.view(-1)
    for place in torch.randperm(len(numbers), generator=torch.Generator().manual_seed(1))[:40].tolist():
        before = store.get(GRU, layer)
        numbers[place] += 1
        after = store.get(GRU, layer)
        assert after is not before
        assert store.get(GRU, layer) is after
    numbers[-1] = 0.0
    before = store.get(GRU, layer)
    numbers[-1] = -0.0
    assert store.get(GRU, layer) is not before


def test_freed_weights_are_forgotten() -> None:
    """Weights that are freed leave the store at once, whichever of them goes first, and so does their memory."""
    store, layer = PackedWeights(), weights()
    store.get(GRU, layer)
    alias = layer[0].detach()
    del layer[0]
    assert len(store.entries) == 1
    del alias
    assert not store.entries


def test_the_store_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of layers the oldest makes room, as for many slices of one tensor."""
    monkeypatch.setattr("tidegate.torch.weights.MOST", 3)
    store = PackedWeights()
    stacked = [torch.stack([weight] * 5) for weight in weights()]
    for n in range(5):
        store.get(GRU, [weight[n] for weight in stacked])
    assert len(store.entries) == 3


def test_views_of_one_memory_are_told_apart() -> None:
    """Weights that begin at the same place but are seen in another shape or order are packed anew."""
    store = PackedWeights()
    square = torch.randn(3 * H, 3 * H)
    w_hh = weights()[1]
    plain = store.get(GRU, [square, w_hh])
    turned = store.get(GRU, [square.t(), w_hh])
    fewer = store.get(GRU, [square[:, :I], w_hh])
    assert plain is not turned
    assert turned is not fewer
    assert store.get(GRU, [square[:, :I], w_hh]) is fewer
    square[0, 0].data.add_(1)
    assert store.get(GRU, [square[:, :I], w_hh]) is not fewer
