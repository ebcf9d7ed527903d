"""The drop-ins equal torch's layers in values and gradients, for any sizes, options and memory layouts."""

import itertools

import pytest

pytest.importorskip("torch")
import torch

from tidegate.torch import RNN

from .layers import (  # noqa: TID252 - pytest takes tests by their paths
    CELLS,
    INPUTS,
    B,
    H,
    I,
    T,
    assert_close,
    dense,
    leaf,
    packed_unsorted,
    states,
    twins,
    values_and_gradients,
)


@pytest.mark.parametrize("state", [False, True], ids=["", "h0"])
@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize(
    ("num_layers", "bias", "batch_first", "bidirectional"), list(itertools.product([1, 2], *[[True, False]] * 3))
)
@pytest.mark.parametrize("cell", CELLS)
def test_drop_in_equals_torch(
    cell: str, num_layers: int, bias: bool, batch_first: bool, bidirectional: bool, kind: str, state: bool
) -> None:
    """Outputs, final states and all gradients are torch's, for every option and form of input, on the native route."""
    layer, reference = twins(
        cell, num_layers=num_layers, bias=bias, batch_first=batch_first, bidirectional=bidirectional
    )
    call, make_input, rows = INPUTS[kind]
    x, hx = make_input(layer), states(layer, *rows) if state else None
    assert layer.route(x, hx)
    actual, expected = (values_and_gradients(module, call, x, hx) for module in (layer, reference))
    assert_close(actual, expected)

    with torch.no_grad():
        assert_close(call(layer.eval(), x, hx), expected[: 1 + layer.cell.S])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("inputs", "hidden"), [(1, 1), (16, 17), (33, 64), (100, 40)])
def test_drop_in_equals_torch_in_other_sizes(cell: str, inputs: int, hidden: int) -> None:
    """Sizes below, at and beyond multiples of the vector width give torch's numbers."""
    layer, reference = twins(cell, inputs, hidden, num_layers=2, bidirectional=True)
    x = leaf(7, 3, inputs)
    assert_close(*(values_and_gradients(module, dense, x, None) for module in (layer, reference)))


STRIDED = {
    "every second feature": lambda: leaf(T, B, 2 * I)[:, :, ::2],
    "features first": lambda: leaf(I, T, B).permute(1, 2, 0),
    "one row for all": lambda: leaf(T, 1, I).expand(T, B, I),
    "one number for all": lambda: leaf(1, 1, 1).expand(T, B, I),
    "negative bit": lambda: torch.complex(leaf(T, B, I), leaf(T, B, I, seed=2)).conj().imag,
}


@pytest.mark.parametrize("kind", STRIDED)
def test_any_memory_layout_is_read_right(kind: str) -> None:
    """Views with gaps, repeated or negated elements give torch's numbers, natively."""
    layer, reference = twins(bidirectional=True)
    x = STRIDED[kind]()
    assert layer.route(x)
    assert_close(*(values_and_gradients(module, dense, x, None) for module in (layer, reference)))


@pytest.mark.parametrize("kind", ["dense", "packed", "unbatched"])
def test_dropout_draws_the_same_numbers_as_torch(kind: str) -> None:
    """Between layers in training mode, a seed gives torch's own dropout; in eval mode there is none."""
    call, make_input, _ = INPUTS[kind]
    layer, reference = twins(num_layers=3, dropout=0.4, bidirectional=True)
    x = make_input(layer)
    results = []
    for module in (layer, reference):
        torch.manual_seed(11)
        results.append(values_and_gradients(module, call, x, None))
    assert_close(*results)
    assert_close(call(layer.eval(), x, None), call(reference.eval(), x, None))


def test_dropout_keeps_the_mean_with_lengths() -> None:
    """Averaged over many draws, the first layer's states reach the second one undiminished."""
    layer = RNN(1, 1, num_layers=2, nonlinearity="relu", dropout=0.5, bias=False)
    with torch.no_grad():
        for weight, value in zip(layer.parameters(), (1, 0, 1, 0), strict=True):
            weight.fill_(value)
    y, _ = layer(torch.ones(20_000, 2, 1), lengths=[20_000, 5])
    assert set(y[:, 0, 0].tolist()) == {0.0, 2.0}
    assert abs(y[:, 0].mean().item() - 1) < 0.05
    assert not y[5:, 1].any()


# --- autograd


def test_training_follows_torch() -> None:
    """Thirty steps of Adam on a ragged batch give torch's losses."""
    losses = []
    for module in twins(num_layers=2, bidirectional=True):
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        x, target = leaf(T, B, I).detach(), leaf(B, H, seed=8).detach().tanh()
        for _ in range(30):
            optimizer.zero_grad()
            _, h_n = packed_unsorted(module, x, None)
            loss = (h_n[-1] - target).square().mean()
            loss.backward()
            optimizer.step()
        losses.append(loss.detach())
    assert losses[0] < 0.3
    assert_close(losses[:1], losses[1:], tolerance=1e-4)


# --- routes
