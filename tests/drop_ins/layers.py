"""What tests of the layers share: pairs of a drop-in and torch's own module, and the forms in which inputs come."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

pytest.importorskip("torch")
import torch
from torch import Tensor
from torch.nn.utils import rnn

from tidegate.torch import GRU, LSTM, RNN
from tidegate.torch.modules import DropIn

T, B, I, H = 6, 4, 3, 5

LENGTHS = [2, 6, 0, 5]

Outputs = tuple[Tensor, Any]

Call = Callable[[Any, Tensor, Any], Outputs]

CELLS: dict[str, tuple[Any, Any, dict[str, str]]] = {
    "gru": (GRU, torch.nn.GRU, {}),
    "lstm": (LSTM, torch.nn.LSTM, {}),
    "tanh": (RNN, torch.nn.RNN, {"nonlinearity": "tanh"}),
    "relu": (RNN, torch.nn.RNN, {"nonlinearity": "relu"}),
}


def twins(cell: str = "gru", *sizes: int, **options: Any) -> tuple[Any, Any]:
    """A drop-in and torch's own module with the same parameters."""
    ours, theirs, kind = CELLS[cell]
    sizes = sizes or (I, H)
    torch.manual_seed(0)
    reference = theirs(*sizes, **kind, **options)
    layer = ours(*sizes, **kind, **options)
    layer.load_state_dict(reference.state_dict())
    return layer, reference


def by_torch(call: Callable[[], Any]) -> Any:
    """What torch's own code gives, which has no LSTM in bfloat16 on processors without AVX-512."""
    try:
        return call()
    except RuntimeError as error:
        if "could not create a primitive descriptor" not in str(error):
            raise
        pytest.skip("torch has no LSTM in bfloat16 for this processor")


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def states(layer: Any, *rows: int) -> Any:
    """Initial states as torch takes them: one tensor, or two of an LSTM."""
    shape = (layer.num_layers * (2 if layer.bidirectional else 1), *rows, H)
    return (leaf(*shape, seed=1), leaf(*shape, seed=2)) if isinstance(layer, torch.nn.LSTM) else leaf(*shape, seed=1)


def flat(*values: Any) -> list[Tensor]:
    """The tensors of outputs or inputs, those of tuples too."""
    return [tensor for tensor in torch.utils._pytree.tree_leaves(values) if tensor is not None]


def padded(layer: Any) -> Tensor:
    return leaf(*((B, T) if layer.batch_first else (T, B)), I)


def dense(layer: Any, x: Tensor, hx: Any) -> Outputs:
    y, h_n = layer(x, hx)
    return y, h_n


def packed_sorted(layer: Any, x: Tensor, hx: Any) -> Outputs:
    packed = rnn.pack_padded_sequence(x, [6, 5, 2, 1], batch_first=layer.batch_first)
    y, h_n = layer(packed, hx)
    return y.data, h_n


def packed_unsorted(layer: Any, x: Tensor, hx: Any) -> Outputs:
    packed = rnn.pack_padded_sequence(x, [2, 6, 1, 5], batch_first=layer.batch_first, enforce_sorted=False)
    y, h_n = layer(packed, hx)
    assert isinstance(y, rnn.PackedSequence)
    return rnn.pad_packed_sequence(y, batch_first=layer.batch_first)[0], h_n


def with_lengths(layer: Any, x: Tensor, hx: Any) -> Outputs:
    """Ragged rows; torch's own module, which takes no lengths, runs each row alone."""
    if isinstance(layer, DropIn):
        y, h_n = layer(x, hx, lengths=LENGTHS)
        return y, h_n
    directions = 2 if layer.bidirectional else 1
    rows = []
    for b, length in enumerate(LENGTHS):
        row = x[b] if layer.batch_first else x[:, b]
        own = flat(states(layer, B))
        starts = [state[:, b] for state in (map(torch.zeros_like, own) if hx is None else flat(hx))]
        h0 = tuple(starts) if len(starts) > 1 else starts[0]
        rest = x.new_zeros(T - length, H * directions)
        y_row, h_row = layer(row[:length], h0) if length else (x.new_zeros(0, H * directions), h0)
        rows.append((torch.cat([y_row, rest]), *flat(h_row)))
    outputs, *finals = zip(*rows, strict=True)
    found = tuple(torch.stack(final, 1) for final in finals)
    return torch.stack(outputs, 0 if layer.batch_first else 1), found if len(found) > 1 else found[0]


INPUTS = {
    "dense": (dense, padded, (B,)),
    "unbatched": (dense, lambda layer: leaf(T, I), ()),
    "packed": (packed_sorted, padded, (B,)),
    "packed unsorted": (packed_unsorted, padded, (B,)),
    "lengths": (with_lengths, padded, (B,)),
}


def values_and_gradients(layer: Any, call: Call, x: Tensor, hx: Any) -> list[Tensor]:
    """Outputs, and the gradients of a random linear function of them by inputs and parameters."""
    outputs = flat(*call(layer, x, hx))
    loss = torch.stack([(output * leaf(*output.shape, seed=i).detach()).sum() for i, output in enumerate(outputs)])
    return [*outputs, *torch.autograd.grad(loss.sum(), flat(x, hx, *layer.parameters()))]


def assert_close(actual: Sequence[Any], expected: Sequence[Any], *, tolerance: float = 1e-5) -> None:
    actual, expected = flat(*actual), flat(*expected)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        torch.testing.assert_close(a, e, rtol=tolerance, atol=tolerance, check_dtype=False)
