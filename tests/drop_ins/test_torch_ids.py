"""The drop-ins read words by their numbers: what `layer(embedding(ids))` gives, with fewer products."""

from itertools import product
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.autograd import gradgradcheck
from torch.nn.utils.rnn import pack_sequence

from tidegate.ops.batch import Batch
from tidegate.ops.cells import Cell
from tidegate.torch import GRU, LSTM, RNN
from tidegate.torch.native import NativeLayer, Plan, sizes_of
from tidegate.torch.rows import look_up

V, I, H = 11, 3, 5
OPTIONS = [
    {"num_layers": L, "bidirectional": bidirectional, "batch_first": batch_first}
    for L, bidirectional, batch_first in product((1, 2), (False, True), (False, True))
]


def words(*shape: int) -> tuple[torch.nn.Embedding, Tensor]:
    """An embedding, and numbers of words."""
    torch.manual_seed(0)
    return torch.nn.Embedding(V, I), torch.randint(V, shape)


@pytest.mark.parametrize("kind", [GRU, LSTM, RNN])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shape", [(7, 4), (7,)], ids=["batch", "single"])
def test_it_is_the_layer_of_the_embedded_words(kind: Any, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    """States are the same to the bit, gradients of weights and embedding but for rounding."""
    embedding, ids = words(*shape)
    layer, results = kind(I, H, **options), []
    inputs = [embedding.weight, *layer.parameters()]
    rows = {"lengths": [1, 0, 7, 3][: shape[0]] if len(shape) > 1 else None}
    if options["batch_first"] and len(shape) > 1:
        ids, rows = ids.T, {"lengths": [1, 0, 7, 3]}
    hx = torch.utils._pytree.tree_map(torch.randn_like, layer(embedding(ids))[1])
    for y, finals in (layer(embedding(ids), hx, **rows), layer(embedding.weight, hx, ids=ids, **rows)):
        h_n = torch.stack(finals) if isinstance(finals, tuple) else finals
        results.append([y, h_n, *torch.autograd.grad(y.sin().sum() + h_n.cos().sum(), inputs)])
    for n, (expected, found) in enumerate(zip(*results, strict=True)):
        torch.testing.assert_close(found, expected, rtol=0, atol=0 if n < 2 else 1e-5)


@pytest.mark.parametrize("batch_first", [False, True])
def test_ids_may_be_of_any_integer_kind(batch_first: bool) -> None:
    """Tensors and arrays of integers, as corpora keep them, with gradients or without."""
    embedding, ids = words(7, 4)
    layer = GRU(I, H, batch_first=batch_first)
    expected = layer(embedding(ids))[0]
    arrays = (ids.numpy().astype(np.int32), ids.numpy().astype(">i8"), ids.numpy()[::-1, ::-1].copy()[::-1, ::-1])
    for given in (ids.int(), ids.T.contiguous().T, ids.tolist(), *arrays):
        assert torch.equal(layer(embedding.weight, ids=given)[0], expected)
        with torch.inference_mode():
            assert torch.equal(layer(embedding.weight, ids=given)[0], expected)


def test_the_layer_reads_the_table_itself() -> None:
    """What is kept for the backward pass is the table and no embedded words; a frozen table has no gradient."""
    embedding, ids = words(7, 4)
    layer = GRU(I, H)
    y, _ = layer(embedding.weight, ids=ids)
    assert y.grad_fn.saved_tensors[0] is embedding.weight
    frozen = embedding.weight.detach()
    found = []
    inputs: Any = ((frozen[ids], {}), (frozen, {"ids": ids}))
    for x, options in inputs:
        y, _ = layer(x, episode_starts=torch.arange(28).view(7, 4) % 5 == 0, **options)
        found.append(torch.autograd.grad(y.sin().sum(), list(layer.parameters()))[0])
    torch.testing.assert_close(*found, rtol=0, atol=1e-5)


def test_traces_are_those_of_the_words() -> None:
    """Gates can be returned as ever."""
    embedding, ids = words(7, 4)
    layer = GRU(I, H, num_layers=2)
    found = layer(embedding.weight, ids=ids, return_trace=True)[2]
    for one, other in zip(found, layer(embedding(ids), return_trace=True)[2], strict=True):
        assert torch.equal(one.update, other.update)


def test_gates_are_computed_again() -> None:
    """The gates of a segment are made of the table's rows."""
    embedding, ids = words(40, 4)
    layer = GRU(I, H, recompute_every=7)
    grads = [
        torch.autograd.grad(y.sin().sum(), embedding.weight)[0]
        for y, _ in (layer(embedding(ids)), layer(embedding.weight, ids=ids))
    ]
    torch.testing.assert_close(*grads, rtol=0, atol=1e-5)


def test_second_derivatives() -> None:
    """They go through torch's own operations, from the table on."""
    embedding, ids = words(4, 2)
    layer = GRU(I, 2)
    found = []
    for y, _ in (layer(embedding(ids)), layer(embedding.weight, ids=ids)):
        (first,) = torch.autograd.grad(y.sin().sum(), embedding.weight, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), embedding.weight)[0])
    torch.testing.assert_close(*found)
    double = layer.double()
    table = embedding.weight.detach().double().requires_grad_()
    assert gradgradcheck(lambda table: double(table, ids=ids)[0].sum(), (table,))


def test_what_cannot_run_natively_embeds_first() -> None:
    """Other dtypes, compiled graphs and torch.func know no table, and give the same."""
    embedding, ids = words(7, 4)
    layer = GRU(I, H)
    expected = layer(embedding(ids))[0]
    assert layer.route(embedding.weight, ids=ids)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(embedding.weight, ids=ids)[0], expected)

    def summed(table: Tensor) -> Tensor:
        total: Tensor = layer(table, ids=ids)[0].sin().sum()
        return total

    (by_autograd,) = torch.autograd.grad(summed(embedding.weight), embedding.weight)
    torch.testing.assert_close(torch.func.grad(summed)(embedding.weight.detach()), by_autograd)
    route = layer.double().route(embedding.weight.double(), ids=ids)
    assert not route
    assert "float64" in route.reason
    torch.testing.assert_close(layer(embedding.weight.double(), ids=ids)[0], expected.double(), rtol=0, atol=1e-5)


class Reader(torch.nn.Module):
    """A layer behind an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.layer = words()[0], GRU(I, H)

    def forward(self, ids: Tensor, lengths: Tensor | None = None, episode_starts: Tensor | None = None) -> Tensor:
        y: Tensor = self.layer(self.embedding.weight, ids=ids, lengths=lengths, episode_starts=episode_starts)[0]
        return y


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_traces_of_torch_jit_read_other_words() -> None:
    """The ids stay an argument of what is traced; lengths and episode starts, which could not, are refused."""
    reader, (_, ids) = Reader(), words(7, 4)
    traced: Any = torch.jit.trace(reader, (ids,))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(traced((ids + 1) % V), reader((ids + 1) % V))
    rows = {"lengths": torch.tensor([7, 1, 2, 3]), "episode_starts": torch.zeros(7, 4, dtype=torch.bool)}
    for name, value in rows.items():
        with pytest.raises(ValueError, match=f"{name} given while torch.jit traces"):
            torch.jit.trace(reader, example_kwarg_inputs={"ids": ids, name: value})  # type: ignore[no-untyped-call]


def test_a_table_of_inference_mode_trains_the_layer() -> None:
    """Autograd keeps no tensor of inference mode, so its rows are laid out."""
    embedding, ids = words(7, 4)
    layer = GRU(I, H)
    with torch.inference_mode():
        table = embedding.weight.clone()
    layer(table, ids=ids)[0].sum().backward()
    found = layer.weight_ih_l0.grad
    layer.zero_grad()
    layer(embedding.weight.detach(), ids=ids)[0].sum().backward()
    torch.testing.assert_close(found, layer.weight_ih_l0.grad)


@pytest.mark.parametrize("rows", [V - 1, V + 1, 1000 * V])
@pytest.mark.parametrize("words", [1, 100])
def test_a_table_of_other_rows_than_were_checked(words: int, rows: int) -> None:
    """A table that another thread gives other rows, once the ids are checked, is refused in both passes."""
    table, ids = torch.zeros(V, I), torch.full((words, 2), V - 1)
    _, lookup = look_up(table, ids, transformed=False)
    assert lookup is not None
    plan, weights = Plan(Cell.of("gru"), lookup.add_to(Batch(words, 2), False)), list(GRU(I, H).parameters())
    layer, inputs = NativeLayer(plan, sizes_of(weights), 0), (table, *weights)
    y, *_ = layer.run(inputs, 0)
    table.data = torch.zeros(rows, I)
    with pytest.raises(RuntimeError, match="not what native kernels read"):
        layer.run(inputs, 0)
    for need_dx in (False, True):
        with pytest.raises(RuntimeError, match=rf"came back as float32 \[{rows}, {I}\]"):
            layer.gradients((*inputs, y, None), [torch.ones_like(y), None], [need_dx])


@pytest.mark.parametrize("rows", [0, 2])
def test_a_batch_of_no_rows(rows: int) -> None:
    """There may be nothing to read, and even nothing to read from."""
    assert GRU(I, H)(torch.zeros(rows, I), ids=torch.zeros(4, 0, dtype=torch.int64))[0].shape == (4, 0, H)


@pytest.mark.parametrize(
    ("table", "ids", "error", "message"),
    [
        (torch.zeros(V, I), torch.zeros(2, 2), TypeError, "ids has dtype float32, expected integers"),
        (torch.zeros(V, I), torch.tensor([[1, V]]), ValueError, r"ids\[0, 1\] is 11, expected 0..10: V=11 comes from"),
        (torch.zeros(V, I), torch.tensor([[[1]]]), ValueError, "ids has 3 axes, expected 2, or 1"),
        (torch.zeros(2, 2, I), torch.tensor([[1]]), ValueError, "ids given with an input of 3 axes"),
        (pack_sequence([torch.zeros(2, I)]), torch.tensor([[1]]), TypeError, "expected a tensor: a table"),
        (torch.nn.Embedding(V, I), torch.tensor([[1]]), TypeError, "input a Embedding, expected its weight"),
        (torch.zeros(V, I), torch.tensor([[1j]]), TypeError, "ids has dtype complex64, expected integers"),
        (torch.zeros(V, I), pack_sequence([torch.ones(2)]), TypeError, "ids is a PackedSequence, expected integers"),
        (torch.zeros(V, I).double(), torch.tensor([[-1]]), ValueError, r"ids\[0, 0\] is -1, expected 0..10"),
        (torch.zeros(V, 4), torch.tensor([[1]]), RuntimeError, "Expected 3, got 4"),
    ],
)
def test_mistakes_are_named(table: Any, ids: Tensor, error: type[Exception], message: str) -> None:
    """The input is a table, ids are integers within it."""
    with pytest.raises(error, match=message):
        GRU(I, H)(table, ids=ids)
