"""Lengths of the rows of a padded batch: in any form, and never a step of padding."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from torch.nn.utils import rnn

from tidegate.torch import GRU

from .layers import (  # noqa: TID252 - pytest takes tests by their paths
    CELLS,
    LENGTHS,
    B,
    H,
    I,
    T,
    assert_close,
    leaf,
    padded,
    states,
    twins,
    values_and_gradients,
    with_lengths,
)


@pytest.mark.parametrize("form", [list, tuple, np.array, torch.tensor, lambda v: np.array(v, np.uint8)])
def test_lengths_come_in_any_form_of_integers(form: Callable[[Any], Any]) -> None:
    """Lists, arrays and tensors of lengths mean the same."""
    layer, _ = twins()
    x = leaf(T, B, I)
    assert_close(layer(x, lengths=form(LENGTHS)), layer(x, lengths=LENGTHS), tolerance=0)


@pytest.mark.parametrize("batch_first", [False, True])
def test_padding_is_never_read(batch_first: bool) -> None:
    """NaN beyond a row's length reaches neither outputs nor gradients, natively and on torch's own route."""
    for dtype in (torch.float32, torch.float64):
        layer = twins(batch_first=batch_first, bidirectional=True)[0].to(dtype)
        clean = padded(layer).detach().to(dtype)
        spoiled = clean.clone()
        for b, length in enumerate(LENGTHS):
            (spoiled[b] if batch_first else spoiled[:, b])[length:] = torch.nan
        results = [values_and_gradients(layer, with_lengths, x.requires_grad_(), None) for x in (clean, spoiled)]
        assert_close(*results, tolerance=0)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("lengths", [LENGTHS, [0, 0, 0, 0], [6, 6, 6, 6], [1, 0, 0, 3]])
def test_lengths_work_on_torchs_own_route(cell: str, lengths: list[int]) -> None:
    """Ragged rows in float64, which run torch's own code, give what the native route gives."""
    layer, _ = twins(cell, num_layers=2, bidirectional=True, batch_first=True)
    exact = copy.deepcopy(layer).double()
    x, hx = padded(layer), states(layer, B)
    assert not exact.route(x.double())
    double = torch.utils._pytree.tree_map(torch.Tensor.double, hx)
    assert_close(layer(x, hx, lengths=lengths), exact(x.double(), double, lengths=lengths))


@pytest.mark.parametrize("shape", [(0, B, I), (T, 0, I)])
def test_no_steps_and_no_rows_are_fine_with_lengths(shape: tuple[int, ...]) -> None:
    """A batch without steps or without rows, which torch refuses or packs badly, returns empty outputs."""
    layer, _ = twins()
    y, h_n = layer(torch.zeros(shape), lengths=[0] * shape[1])
    assert y.shape == (*shape[:2], H)
    assert h_n.shape == (1, shape[1], H)
    assert not h_n.any()


WRONG_LENGTHS = {
    "too long": ([1, 7, 2, 3], ValueError, r"lengths\[1\] is 7, expected 0..6: T=6 comes from input"),
    "negative": ([1, -1, 2, 3], ValueError, r"lengths\[1\] is -1, expected 0..6"),
    "too few": ([1, 2, 3], ValueError, r"lengths has shape \(3,\), expected \[B\] = \(4,\): B=4 comes from input"),
    "floats": ([1.0, 2.0, 3.0, 4.0], TypeError, "lengths has dtype float64, expected integers"),
}


@pytest.mark.parametrize("case", WRONG_LENGTHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wrong_lengths(case: str, dtype: torch.dtype) -> None:
    """Lengths that do not fit are refused with the value found and the value expected, on both routes."""
    lengths, error, message = WRONG_LENGTHS[case]
    with pytest.raises(error, match=message):
        GRU(I, H, dtype=dtype)(torch.zeros(T, B, I, dtype=dtype), lengths=lengths)


def test_lengths_need_a_padded_batch() -> None:
    """Lengths beside a packed sequence or a single sequence are refused."""
    layer = GRU(I, H)
    with pytest.raises(ValueError, match="lengths given with a packed sequence"):
        layer(rnn.pack_sequence([torch.zeros(2, I)]), lengths=[2])
    with pytest.raises(ValueError, match="lengths given with an input of 2 axes, expected 3"):
        layer(torch.zeros(T, I), lengths=[2])


# --- constructor, parameters, copies


def test_lengths_may_be_reused_before_the_backward_pass() -> None:
    """The backward pass uses the lengths that the forward pass was given, whatever has become of their array."""
    layer, x = GRU(3, 4), torch.randn(5, 2, 3)
    lengths = torch.tensor([5, 2])
    layer(x, lengths=lengths)[0].sum().backward()
    expected = layer.weight_hh_l0.grad
    layer.zero_grad()
    y, _ = layer(x, lengths=lengths)
    lengths.fill_(1)
    y.sum().backward()
    assert expected is not None
    assert layer.weight_hh_l0.grad is not None
    torch.testing.assert_close(layer.weight_hh_l0.grad, expected, rtol=0, atol=0)
