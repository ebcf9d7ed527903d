"""The drop-ins are instances of torch's modules: what follows for tools that go by types."""

import copy
import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch.utils.flop_counter import FlopCounterMode

from tidegate.torch import GRU, LSTM, RNN, convert
from tidegate.torch.compiler import admit_drop_ins
from tidegate.torch.fallback import twice_differentiable

from .models import KINDS, B, H, I, Model, T, every_kind, inputs  # noqa: TID252 - pytest takes tests by their paths

pytestmark = pytest.mark.filterwarnings(  # all of them torch's own
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:torch.quantize_per_tensor:UserWarning"
)


@every_kind
def test_drop_ins_are_torchs_modules(kind: Any) -> None:
    """So are converted modules, copies and unpickled ones, and no drop-in is another one's."""
    layer = kind(I, H)
    for module in (layer, convert(KINDS[kind](I, H)), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(module) is kind
        assert [isinstance(module, theirs) for theirs in KINDS.values()] == [ours is kind for ours in KINDS]


def initialise(module: nn.Module) -> None:
    """What published code has."""
    if isinstance(module, nn.LSTM | nn.GRU | nn.RNN):
        for name, parameter in module.named_parameters():
            (nn.init.zeros_ if "bias" in name else nn.init.orthogonal_)(parameter)


@every_kind
def test_initialisers_by_type_find_them(kind: Any) -> None:
    """A function that is applied to a model and asks for types sets the parameters, and the next call uses them."""
    ours, theirs = Model(kind(I, H)), Model(KINDS[kind](I, H))
    ours(inputs())
    for model in (ours, theirs):
        torch.manual_seed(2)
        model.head.reset_parameters()
        model.apply(initialise)
    assert not ours.rnn.bias_ih_l0.any()
    torch.testing.assert_close(ours(inputs()), theirs(inputs()))


class Stateful(nn.Module):
    """A wrapper that carries the state from call to call, and asks by type what it is."""

    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn: Any = rnn
        self.state: Any = None

    def forward(self, x: Tensor) -> Tensor:
        y, state = self.rnn(x, self.state)
        self.state = tuple(s.detach() for s in state) if isinstance(self.rnn, nn.LSTM) else state.detach()
        result: Tensor = y
        return result


@every_kind
def test_wrappers_that_carry_states(kind: Any) -> None:
    """Chunk by chunk, a wrapper gives what one call over all steps gives."""
    layer = kind(I, H)
    wrapper = Stateful(layer)
    chunks = torch.cat([wrapper(chunk) for chunk in torch.split(inputs(), 2)])
    torch.testing.assert_close(chunks, layer(inputs())[0])


@every_kind
def test_hooks_by_type_see_them(kind: Any) -> None:
    """A hook on the recurrent layers of a model sees their outputs."""
    model, seen = Model(kind(I, H)), []
    for module in model.modules():
        if isinstance(module, KINDS[kind]):
            module.register_forward_hook(lambda module, args, output: seen.append(output[0].shape))
    model(inputs())
    assert seen == [(T, B, H)]


@every_kind
def test_dynamic_quantisation_changes_no_number_in_silence(kind: Any) -> None:
    """It leaves a drop-in as it is; torch's own module, once converted back, is quantised."""
    model = Model(kind(I, H)).eval()
    quantize: Any = torch.ao.quantization.quantize_dynamic
    with torch.no_grad():
        quantized = quantize(model, {nn.GRU, nn.LSTM, nn.RNN})
        assert type(quantized.rnn) is kind
        torch.testing.assert_close(quantized(inputs()), model(inputs()), rtol=0, atol=0)
        if kind is not RNN:  # which torch does not quantise
            quantized = quantize(convert(copy.deepcopy(model), to="torch"), {nn.GRU, nn.LSTM})
            assert type(quantized.rnn).__module__.startswith("torch.ao")
            torch.testing.assert_close(quantized(inputs()), model(inputs()), rtol=0, atol=0.05)


class Reader(nn.Module):
    """A model whose layer is given lengths and states."""

    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn: Any = rnn

    def forward(self, x: Tensor, hx: Any, lengths: Tensor) -> Tensor:
        y: Tensor = self.rnn(x, hx, lengths=lengths)[0]
        return y.sum(0)


@every_kind
def test_fx_takes_them_for_one_step(kind: Any) -> None:
    """A symbolic trace calls the layer as a module, with what it was given, and computes the same."""
    model = Model(kind(I, H))
    graph = torch.fx.symbolic_trace(model)
    assert [node.target for node in graph.graph.nodes if node.op == "call_module"] == ["rnn", "head"]
    assert graph.rnn is model.rnn
    torch.testing.assert_close(graph(inputs()), model(inputs()), rtol=0, atol=0)
    reader, lengths = Reader(kind(I, H)), torch.tensor([2, 6, 0, 5])
    hx: Any = torch.ones(1, B, H)
    hx = (hx, hx) if kind is LSTM else hx
    graph = torch.fx.symbolic_trace(reader)
    (node,) = [node for node in graph.graph.nodes if node.op == "call_module"]
    assert (len(node.args), [*node.kwargs]) == (2, ["lengths"])
    torch.testing.assert_close(graph(inputs(), hx, lengths), reader(inputs(), hx, lengths), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@every_kind
def test_scripted_models_hold_torchs_module(kind: Any) -> None:
    """torch.jit.script compiles torch's own module with the same parameters, and so does the trace of it all."""
    model = Model(kind(I, H))
    expected, weight = model(inputs()), model.rnn.weight_hh_l0
    traced: Any = torch.jit.trace(model, (inputs(),))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(traced(inputs()[:4]), model(inputs()[:4]))
    scripted = torch.jit.script(model)
    torch.testing.assert_close(scripted(inputs()), expected)
    assert type(model.rnn) is KINDS[kind]  # torch puts what it compiles in the place of what it was given
    assert model.rnn.weight_hh_l0 is weight
    assert type(convert(model).rnn) is kind


def test_what_torch_has_not_cannot_be_scripted() -> None:
    """A cell of which torch has no module is refused with what to do."""
    with pytest.raises(
        ValueError, match=r"torch.jit.script was given GRU\(3, 5, reset='before'\), which torch has not"
    ):
        torch.jit.script(Model(GRU(I, H, reset="before")))


class Halved(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * 0.5


class Own(LSTM):
    """A user's subclass."""


MODELS: dict[str, Callable[[], nn.Module]] = {
    "subclass": lambda: Own(I, H),
    "converted": lambda: convert(nn.LSTM(I, H)),
    "parametrized": lambda: nn.utils.parametrize.register_parametrization(GRU(I, H), "weight_hh_l0", Halved()),
}


@pytest.mark.parametrize("name", MODELS)
def test_compilers_take_every_kind_of_drop_in(name: str) -> None:
    """Subclasses, converted and parametrized modules are compiled in one graph, and exported."""
    torch.compiler.reset()
    model = Model(MODELS[name]())
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(inputs()), model(inputs()))
    exported = torch.export.export(model, (inputs(),)).module()
    torch.testing.assert_close(exported(inputs()), model(inputs()))


def test_compilers_treat_torchs_own_modules_as_ever() -> None:
    """torch.nn.LSTM breaks a graph as it did; drop-ins are let in once, whenever torch's compiler was imported."""
    torch.compiler.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="Attempted to wrap RNN, GRU, or LSTM"):
        torch.compile(Model(nn.LSTM(I, H)), backend="aot_eager", fullgraph=True)(inputs())
    builder: Any = sys.modules["torch._dynamo.variables.builder"].VariableBuilder
    admitted = builder.wrap_module
    admit_drop_ins()
    assert builder.wrap_module is admitted
    builder.wrap_module = admitted.__wrapped__
    try:
        admit_drop_ins()
        assert builder.wrap_module.__wrapped__ is admitted.__wrapped__
    finally:
        builder.wrap_module = admitted


def packed() -> PackedSequence:
    return pack_padded_sequence(inputs(), [2, 6, 1, 5], enforce_sorted=False)


COUNTED: dict[str, tuple[dict[str, Any], Callable[[], Any]]] = {
    "dense": ({}, inputs),
    "input with gradients": ({}, lambda: inputs().requires_grad_()),
    "single": ({}, lambda: inputs()[:, 0]),
    "packed": ({"bidirectional": True}, packed),
    "packed, layers": ({"num_layers": 2}, packed),
    "layers, directions": ({"num_layers": 2, "bidirectional": True}, inputs),
    "no bias, batch first": ({"bias": False, "batch_first": True}, inputs),
}


def counted(layer: Any, make: Callable[[], Any], *, backward: bool, hx: Any = None) -> int:
    """What the counter of torch counts of a layer."""
    x = make()
    with FlopCounterMode(display=False) as counter, twice_differentiable():  # torch's fused LSTM counts as nothing
        y = layer(x, hx)[0]
        if backward:
            (y.data if isinstance(y, PackedSequence) else y).sum().backward()
    total: int = counter.get_total_flops()
    return total


@every_kind
@pytest.mark.parametrize("name", COUNTED)
def test_flops_are_those_of_torch(kind: Any, name: str) -> None:
    """The counter of torch finds the products of a layer, forward and backward, as those of its own."""
    options, make = COUNTED[name]
    layer, reference = kind(I, H, **options), KINDS[kind](I, H, **options)
    for backward in (False, True):
        expected = counted(reference, make, backward=backward)
        assert counted(layer, make, backward=backward) == expected > 0


@every_kind
@pytest.mark.parametrize("needed", [False, True])
def test_flops_with_initial_states(kind: Any, needed: bool) -> None:
    """Gradients by initial states are counted where they are needed, and are right there."""
    layer, reference = kind(I, H), KINDS[kind](I, H)
    reference.load_state_dict(layer.state_dict())
    counts, gradients = [], []
    for module in (layer, reference):
        states = [torch.ones(1, B, H, requires_grad=needed) for _ in range(layer.cell.S)]
        hx = tuple(states) if kind is LSTM else states[0]
        counts.append(counted(module, inputs, backward=True, hx=hx))
        gradients.append([state.grad for state in states] if needed else [])
    assert counts[0] == counts[1] > 0
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)


def test_flops_of_projections() -> None:
    """A layer with projections runs torch's own code, and is counted as that."""
    expected = counted(nn.LSTM(I, H, proj_size=2), inputs, backward=True)
    assert counted(LSTM(I, H, proj_size=2), inputs, backward=True) == expected > 0
