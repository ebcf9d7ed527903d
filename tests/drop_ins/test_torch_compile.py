"""Compiled and exported models run the same kernels as others, with and without gradients, for any shape."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch._inductor import config as inductor
from torch.export import Dim
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import rnn

from tidegate.torch import GRU, LSTM, RNN, Route
from tidegate.torch.operation import recurrent_layer, recurrent_layer_backward
from tidegate.torch.options import Options

T, B, I, H = 6, 4, 3, 5
LENGTHS = [2, 6, 0, 5]
WRAPPER = {"gru": GRU, "lstm": LSTM, "rnn_tanh": RNN}

# What torch's own compiler does with itself.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Tagger(torch.nn.Module):
    """A model that holds a drop-in: features to scores of the rows."""

    def __init__(self, cell: str = "gru", **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn = WRAPPER[cell](I, H, num_layers=2, bidirectional=True, **options)
        self.head = torch.nn.Linear(2 * H, 2)

    def forward(self, x: Tensor, lengths: Any = None) -> Tensor:
        y, hx = self.rnn(x, lengths=lengths)
        scores: Tensor = self.head(y.sum(0))
        for state in hx if isinstance(hx, tuple) else (hx,):
            scores = scores + state.sum()
        return scores


@pytest.fixture(autouse=True)
def _fresh_compiler() -> None:
    torch.compiler.reset()


def inputs(steps: int = T, rows: int = B) -> Tensor:
    return torch.randn(steps, rows, I, generator=torch.Generator().manual_seed(1))


def values_and_gradients(call: Any, model: Tagger, x: Tensor, lengths: Any) -> list[Tensor]:
    x = x.clone().requires_grad_()
    scores = call(x, lengths)
    return [scores, *torch.autograd.grad(scores.square().mean(), [x, *model.parameters()])]


@pytest.mark.parametrize(
    ("cell", "lengths"),
    [("gru", None), ("gru", LENGTHS), ("gru", torch.tensor(LENGTHS)), ("lstm", torch.tensor(LENGTHS)), ("lstm", None)],
)
def test_a_compiled_model_gives_the_same(cell: str, lengths: Any) -> None:
    """In one graph, a model gives the values and gradients that it gives uncompiled, for any form of lengths."""
    model = Tagger(cell)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    results = [values_and_gradients(call, model, inputs(), lengths) for call in (compiled, model)]
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-6)
    with torch.no_grad():
        torch.testing.assert_close(compiled(inputs(), lengths), model(inputs(), lengths), rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:dynamo_pgo force disabled:UserWarning")
def test_inductor_runs_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler of torch makes one graph of the model around the layer, under CI too, where it is stricter."""
    monkeypatch.setenv("CI", "true")
    model = Tagger()
    compiled = torch.compile(model, fullgraph=True)
    quick = {"compile_threads": 1, "cpp.vec_isa_ok": True}  # neither a pool of processes nor probes of the compiler
    fresh = torch.compiler.config.patch(force_disable_caches=True)  # type: ignore[attr-defined]
    with fresh, inductor.patch(quick):
        results = [values_and_gradients(call, model, inputs(), None) for call in (compiled, model)]
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


def test_shapes_may_change() -> None:
    """With dynamic shapes, what was compiled for some numbers of steps and rows serves any others."""
    model = Tagger()
    compiled_at_first = 0
    graphs = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(model, backend=graphs, fullgraph=True, dynamic=True)
    for steps, rows in ((6, 4), (9, 7), (11, 8), (13, 10)):
        x, lengths = inputs(steps, rows), torch.arange(rows) % steps
        torch.testing.assert_close(compiled(x, lengths), model(x, lengths), rtol=1e-6, atol=1e-6)
        compiled_at_first = graphs.frame_count if steps == 9 else compiled_at_first
    assert graphs.frame_count == compiled_at_first


def test_dropout_and_single_sequences_are_compiled() -> None:
    """Dropout between layers draws torch's numbers in a graph too, and inputs of two axes are taken."""
    model = Tagger(dropout=0.5)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.manual_seed(3)
    expected = model(inputs())
    torch.manual_seed(3)
    torch.testing.assert_close(compiled(inputs()), expected, rtol=1e-6, atol=1e-6)
    layer = GRU(I, H, batch_first=True)
    x = inputs()[:, 0]
    torch.testing.assert_close(torch.compile(layer, backend="aot_eager", fullgraph=True)(x), layer(x), rtol=0, atol=0)
    torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x), layer(x), rtol=0, atol=0)


def test_wrong_lengths_are_refused_when_the_graph_runs() -> None:
    """The numbers of lengths are checked at each call of a graph, with the message of an uncompiled call."""
    compiled = torch.compile(Tagger(), backend="aot_eager", fullgraph=True)
    compiled(inputs(), torch.tensor(LENGTHS))
    with pytest.raises(ValueError, match=r"lengths\[1\] is 7, expected 0..6: T=6 comes from x"):
        compiled(inputs(), torch.tensor([1, 7, 2, 3]))


def test_path_in_a_graph() -> None:
    """Inside a graph, `route` answers as outside: float32 is native, other dtypes and packed sequences are not."""
    layer = GRU(I, H)

    @torch.compile(backend="aot_eager", fullgraph=True)
    def ask(x: Tensor) -> tuple[Tensor, Route]:
        return x + 1, layer.route(x)

    assert ask(inputs())[1] == Route(native=True, reason="float32 on the CPU")
    assert not ask(inputs().double())[1]


def test_what_is_not_native_is_compiled_too() -> None:
    """A float64 module, and a packed sequence, run torch's own operations in compiled code."""
    layer = GRU(I, H)
    exact = GRU(I, H, dtype=torch.float64)
    x = inputs().double()
    torch.testing.assert_close(torch.compile(exact, backend="aot_eager")(x), exact(x))
    packed = rnn.pack_padded_sequence(inputs(), [6, 5, 2, 1])
    actual, expected = torch.compile(layer, backend="aot_eager")(packed), layer(packed)
    torch.testing.assert_close([actual[0].data, actual[1]], [expected[0].data, expected[1]])


def test_a_compiled_model_sees_its_weights_change() -> None:
    """A step of an optimizer, and one number changed through .data, are seen."""
    model = Tagger().eval()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    with torch.no_grad():
        compiled(inputs())
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    with torch.no_grad():
        torch.testing.assert_close(compiled(inputs()), model(inputs()), rtol=0, atol=1e-6)
        next(model.rnn.parameters()).data[0, 0] += 3
        torch.testing.assert_close(compiled(inputs()), model(inputs()), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("cell", "strict"), [("gru", False), ("gru", True), ("lstm", False)])
def test_an_exported_model_gives_the_same(cell: str, strict: bool) -> None:
    """A model exported with dynamic shapes holds the layer as one operation, and computes the same for other shapes."""
    model = Tagger(cell)
    steps, rows = Dim("steps"), Dim("rows")
    program = torch.export.export(
        model,
        (inputs(), torch.tensor(LENGTHS)),
        dynamic_shapes={"x": {0: steps, 1: rows}, "lengths": {0: rows}},
        strict=strict,
    )
    targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert targets.count("tidegate.recurrent_layer.default") == 2
    calls = [node for node in program.graph.nodes if node.target is torch.ops.tidegate.recurrent_layer.default]
    assert all(len(call.args[1]) == model.rnn.cell.S for call in calls)  # AOTInductor would lose an empty list
    x, lengths = inputs(9, 3), torch.tensor([9, 0, 4])
    results = [values_and_gradients(call, model, x, lengths) for call in (program.module(), model)]
    torch.testing.assert_close(results[0][:2], results[1][:2], rtol=1e-6, atol=1e-6)


def test_a_traced_function_holds_the_operation() -> None:
    """make_fx, which records under a dispatch mode, finds the operation and computes the same."""
    layer = GRU(I, H)
    graph = make_fx(lambda x: layer(x)[0])(inputs())
    assert any(node.target is torch.ops.tidegate.recurrent_layer.default for node in graph.graph.nodes)
    torch.testing.assert_close(graph(inputs()), layer(inputs())[0], rtol=0, atol=0)


def operation_inputs(cell: str, *, keep: bool, given: bool, requires_grad: bool = True) -> tuple[Any, ...]:
    """Arguments of the operation, with states, lengths and episodes or without."""
    layer = WRAPPER[cell](I, H, bidirectional=True).requires_grad_(requires_grad)
    x = inputs().requires_grad_(requires_grad)
    states = [torch.ones(2, B, H, requires_grad=requires_grad) for _ in layer.cell.states] if given else []
    lengths = torch.tensor(LENGTHS) if given else None
    return x, states, [*layer.parameters()], lengths, None, Options(cell, keep=keep).text


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # torch 2.14's own
@pytest.mark.parametrize("cell", WRAPPER)
@pytest.mark.parametrize(("keep", "given"), [(True, True), (False, False)])
def test_the_operations_keep_torchs_rules(cell: str, keep: bool, given: bool) -> None:
    """The opcheck of torch finds schema, fake tensors, autograd and tracing of both operations as they must be."""
    torch.library.opcheck(recurrent_layer, operation_inputs(cell, keep=keep, given=given))
    args = operation_inputs(cell, keep=keep, given=given, requires_grad=False)
    y, finals, saved = recurrent_layer(*args)
    output_gradients = [torch.ones_like(y), *[None for _ in finals]]
    torch.library.opcheck(recurrent_layer_backward, (*args, [y, saved], output_gradients))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_what_was_not_saved_is_computed_again(cell: str) -> None:
    """Gradients are the same whether or not the forward pass saved gates, and cell states."""
    results = []
    for keep in (True, False):
        torch.manual_seed(0)
        args = operation_inputs(cell, keep=keep, given=True)
        y, finals, saved = recurrent_layer(*args)
        assert bool(saved.numel()) is keep
        loss = y.square().sum() + sum(final.sum() for final in finals)
        results.append(torch.autograd.grad(loss, [args[0], *args[1], *args[2]]))
    torch.testing.assert_close(*results, rtol=0, atol=0)


WRONG: dict[str, tuple[int, Callable[[Any], Any], type[Exception], str]] = {
    "features": (0, lambda x: x[..., :2], ValueError, r"x has shape \(6, 4, 2\), expected \[T, B, I\] = \(6, 4, 3\)"),
    "dtype": (0, lambda x: x.double(), TypeError, "x has dtype float64, expected float32"),
    "state": (
        1,
        lambda states: [states[0][:1]],
        ValueError,
        r"states\[0\] has shape \(1, 4, 5\), expected \[D, B, H\] = \(2, 4, 5\)",
    ),
    "number of states": (1, lambda states: states * 2, ValueError, "states are 2, expected the 1 of the cell 'gru'"),
    "weights": (2, lambda ws: [w.double() for w in ws], TypeError, "w_hh has dtype float64, expected float32"),
    "one weight": (2, lambda ws: ws[:1], ValueError, "weights are 1, expected those of one or two directions, 2 each"),
    "three directions": (
        2,
        lambda ws: ws[:4] * 3,
        ValueError,
        "weights are 12, expected those of one or two directions",
    ),
    "two sizes": (
        2,
        lambda ws: [*ws[:4], *[torch.zeros(3, 1), torch.zeros(3, 1), torch.zeros(3), torch.zeros(3)]],
        ValueError,
        "the weights of the two directions have different shapes",
    ),
    "lengths": (3, lambda lengths: lengths + 9, ValueError, r"lengths\[0\] is 11, expected 0..6"),
    "episode_starts": (4, lambda _: torch.zeros(T, B), TypeError, "episode_starts has dtype float32, expected bool"),
    "cell": (5, lambda _: "abc", ValueError, "cell is 'abc', expected one of 'gru'"),
    "episode_state": (
        5,
        lambda _: "gru, episode_state=ones",
        ValueError,
        "episode_state is 'ones', expected one of 'zeros', 'h0'",
    ),
    "recompute_every": (5, lambda _: "gru, recompute_every=0", ValueError, "recompute_every is 0, expected 1 or more"),
    "keep": (5, lambda _: "gru, keep=yes", ValueError, "keep is 'yes', expected one of 'True', 'False'"),
    "option": (5, lambda _: "gru, speed=9", ValueError, "an option is 'speed', expected one of 'episode_state'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_of_the_operation(case: str) -> None:
    """The operation, which anyone can call, refuses what does not fit, with the value found and the one expected."""
    position, spoil, error, message = WRONG[case]
    args = list(operation_inputs("gru", keep=False, given=True))
    args[position] = spoil(args[position])
    operation: Any = recurrent_layer
    with torch.no_grad(), pytest.raises(error, match=message):
        operation(*args)


KEPT: dict[str, tuple[int, str]] = {
    "y": (0, r"y has shape \(5, 4, 10\), expected \[T, B, D·H\] = \(6, 4, 10\)"),
    "saved": (1, r"saved has shape \(1, 6, 4, 4, 5\), expected \[D, T, B, K, H\] = \(2, 6, 4, 4, 5\)"),
    "dy": (2, r"dy has shape \(5, 4, 10\), expected"),
    "dh_n": (3, r"dstates\[0\] has shape \(1, 4, 5\), expected"),
}


@pytest.mark.parametrize("case", KEPT)
def test_wrong_arguments_of_the_backward_operation(case: str) -> None:
    """So does the backward operation: what the forward pass saved, and the gradients, must have their shapes."""
    position, message = KEPT[case]
    args = operation_inputs("gru", keep=True, given=True)
    forward: Any = recurrent_layer
    backward: Any = torch.ops.tidegate.recurrent_layer_backward
    with torch.no_grad():
        y, (h_n,), saved = forward(*args)
        given = [y, saved, torch.ones_like(y), torch.ones_like(h_n)]
        given[position] = given[position][1:]
        with pytest.raises(ValueError, match=message):
            backward(*args, given[:2], given[2:])
