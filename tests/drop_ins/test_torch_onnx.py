"""Models exported to ONNX give in ONNX Runtime what they give in torch, for other numbers of steps and rows too."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.export import Dim

from tidegate.ops.onnx import FORMS
from tidegate.torch import GRU, LSTM, RNN, convert

T, B, I, H = 6, 4, 3, 5
TOLERANCE = 1e-5
STEPS, ROWS = Dim("steps", min=1), Dim("rows", min=1)

pytestmark = pytest.mark.filterwarnings(  # all of them torch's own
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::torch.jit.TracerWarning",
    "ignore:.*The axis name:UserWarning",
    "ignore:Exporting a model to ONNX with a batch_size other than 1:UserWarning",
)

LAYERS: dict[str, Callable[[], Any]] = {
    "gru of two layers, both directions": lambda: GRU(I, H, num_layers=2, bidirectional=True, dropout=0.5),
    "lstm, both directions": lambda: LSTM(I, H, bidirectional=True),
    "lstm without bias, batch first": lambda: LSTM(I, H, bias=False, batch_first=True),
    "rnn tanh of two layers": lambda: RNN(I, H, num_layers=2),
    "rnn relu, both directions": lambda: RNN(I, H, nonlinearity="relu", bidirectional=True),
    "converted, batch first": lambda: convert(nn.GRU(I, H, batch_first=True)),
}
VARIANTS: dict[str, Callable[[], Any]] = {
    "reset before, hard_sigmoid": lambda: GRU(I, H, reset="before", gate="hard_sigmoid", bidirectional=True),
    "reset off, relu": lambda: GRU(I, H, reset="off", candidate="relu"),
    "update off, identity, no bias": lambda: GRU(I, H, update="off", candidate="identity", bias=False),
}


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def states_of(layer: Any, rows: int) -> Any:
    """Initial states of a layer."""
    shape = (layer.num_layers * (1 + layer.bidirectional), rows, H)
    h0 = drawn(*shape, seed=2)
    return (h0, drawn(*shape, seed=3)) if isinstance(layer, nn.LSTM) else h0


class Reader(nn.Module):
    """A model of several layers that read the same, each with states of its own."""

    def __init__(self, makers: dict[str, Callable[[], Any]]) -> None:
        super().__init__()
        torch.manual_seed(0)
        rnns = [make() for make in makers.values()]
        self.rnns, self.number_of_layers = nn.ModuleList(rnns), sum(rnn.num_layers for rnn in rnns)

    def forward(self, x: Tensor, states: Any = None, lengths: Any = None) -> Any:
        rows = {} if lengths is None else {"lengths": lengths}
        outputs = []
        for i, rnn in enumerate(self.rnns):
            y, finals = rnn(x.transpose(0, 1) if rnn.batch_first else x, None if states is None else states[i], **rows)
            outputs += [y, finals]
        return outputs

    def inputs(self, steps: int = T, rows: int = B) -> tuple[Tensor, list[Any]]:
        """What it reads, and initial states."""
        return drawn(steps, rows, I, seed=1), [states_of(rnn, rows) for rnn in self.rnns]

    def shapes(self) -> tuple[Any, Any]:
        """Which sizes of these may change."""
        return {0: STEPS, 1: ROWS}, [
            ({1: ROWS}, {1: ROWS}) if isinstance(rnn, nn.LSTM) else {1: ROWS} for rnn in self.rnns
        ]


def flat(values: Any) -> list[Tensor]:
    return [values] if isinstance(values, Tensor) else [tensor for value in values for tensor in flat(value)]


def exported(model: Any, args: tuple[Any, ...], shapes: Any = None) -> bytes:
    """The file of a model, by the default exporter of torch."""
    program: Any = torch.onnx.export(model, args, dynamic_shapes=shapes, verbose=False)
    file = io.BytesIO()
    program.save(file)
    return file.getvalue()


def exported_by_tracing(model: Any, args: tuple[Any, ...], names: Sequence[str], axes: Any) -> bytes:
    """The same by the older exporter."""
    file: Any = io.BytesIO()
    torch.onnx.export(model, args, file, dynamo=False, input_names=names, dynamic_axes=axes)
    written: bytes = file.getvalue()
    return written


def operators(file: bytes) -> list[str]:
    """The recurrent operators of a file."""
    names = {form.operator for form in FORMS.values()}
    return [node.op_type for node in onnx.load_from_string(file).graph.node if node.op_type in names]


def check(model: nn.Module, file: bytes, *args: Any) -> None:
    """Runs a file in ONNX Runtime."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    feeds = {given.name: value.numpy() for given, value in zip(session.get_inputs(), flat(args), strict=True)}
    actual = [torch.from_numpy(output) for output in session.run(None, feeds)]
    with torch.no_grad():
        torch.testing.assert_close(actual, flat(model(*args)), rtol=0, atol=TOLERANCE)


def test_a_layer_becomes_one_operator_for_any_sizes() -> None:
    """Every kind of layer, with states, is one operator of ONNX each, and runs with other numbers of steps and rows."""
    model = Reader(LAYERS | VARIANTS).eval()
    file = exported(model, model.inputs(), model.shapes())
    assert len(operators(file)) == model.number_of_layers
    for sizes in ((T, B), (9, 2), (1, 1)):
        check(model, file, *model.inputs(*sizes))


def test_rows_of_several_lengths() -> None:
    """Lengths are an input of the file; a row without steps gives no output and keeps its states."""
    model = Reader(LAYERS).eval()
    file = exported(model, (*model.inputs(), torch.tensor([2, 6, 0, 5])), (*model.shapes(), {0: ROWS}))
    check(model, file, *model.inputs(), torch.tensor([2, 6, 0, 5]))
    check(model, file, *model.inputs(9, 2), torch.tensor([9, 0]))


class Words(nn.Module):
    """A model that reads words of a table, and the first row of them again as one sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.rnn, self.single = nn.Embedding(9, I), GRU(I, H), LSTM(I, H, batch_first=True)

    def forward(self, words: Tensor) -> Any:
        return self.rnn(self.embedding.weight, ids=words), self.single(self.embedding(words[:, 0]))


def test_words_by_id_and_single_sequences() -> None:
    """A table is looked up before the operator; an input of two axes is one sequence; no states are zeros."""
    model, words = Words().eval(), torch.randint(9, (T, B), generator=torch.Generator().manual_seed(4))
    check(model, exported(model, (words,)), words)


def test_what_was_exported_before() -> None:
    """A program of torch.export, which holds our operation, is written too; elsewhere the operation stays."""
    layer = GRU(I, H, num_layers=2).eval()
    x = drawn(T, B, I, seed=1)
    program = torch.export.export(layer, (x,)).run_decompositions()
    targets = [node.target for node in program.graph.nodes]
    assert targets.count(torch.ops.tidegate.recurrent_layer.default) == 2
    file = exported(program, ())
    assert operators(file) == ["GRU", "GRU"]
    check(layer, file, x)


@pytest.mark.parametrize("given", [False, True], ids=["no states", "states"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_older_exporter_takes_a_layer(name: str, given: bool) -> None:
    """With dynamo=False too a layer alone runs for any sizes."""
    layer = LAYERS[name]().eval()
    axes = {0: "rows", 1: "steps"} if layer.batch_first else {0: "steps", 1: "rows"}

    def args(steps: int, rows: int) -> tuple[Any, ...]:
        x = drawn(*((rows, steps) if layer.batch_first else (steps, rows)), I, seed=1)
        return (x, states_of(layer, rows)) if given else (x,)

    names = ["x", "h0", "c0"][: len(flat(args(T, B)))]
    named = {name: axes if name == "x" else {1: "rows"} for name in names}
    file = exported_by_tracing(layer, args(T, B), names, named)
    check(layer, file, *args(T, B))
    check(layer, file, *args(9, 2))


def test_the_older_exporter_takes_a_model() -> None:
    """With dynamo=False too, layers inside a model become one operator each."""
    model = Reader(LAYERS).eval()
    x, _ = model.inputs()
    file = exported_by_tracing(model, (x,), ["x"], {"x": {0: "steps", 1: "rows"}})
    assert len(operators(file)) == model.number_of_layers
    check(model, file, x)
    check(model, file, model.inputs(9, 2)[0])


class Episodes(nn.Module):
    """A model of rows that hold several episodes."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = GRU(I, H)

    def forward(self, x: Tensor, marks: Tensor) -> Any:
        return self.rnn(x, episode_starts=marks)


def test_what_onnx_has_not_is_one_error() -> None:
    """Episodes are refused, with what can be done."""
    marks = torch.zeros(T, B, dtype=torch.bool)
    with pytest.raises(Exception, match="ONNX has no operator for a layer that is given episode_starts") as caught:
        exported(Episodes().eval(), (drawn(T, B, I, seed=1), marks))
    assert 'tidegate.torch.convert(model, to="torch")' in str(caught.value)
