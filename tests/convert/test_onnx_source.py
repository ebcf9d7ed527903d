"""Graphs of ONNX, as exporters write them, become models that compute the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
import onnx
from onnx import TensorProto, helper, numpy_helper

import tidegate
from tidegate.convert import ConversionError, convert
from tidegate.convert.onnx import backend as onnx_backend
from tidegate.convert.onnx import source as onnx_source

TOLERANCE = 1e-5
G = {"RNN": 1, "GRU": 3, "LSTM": 4}
I, H, C = 3, 4, 2


class Graph:
    """A graph under construction; its constants are random numbers."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.rng = np.random.default_rng(0)

    def add(self, operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        """Adds a node."""
        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))

    def constant(self, name: str, value: Any) -> str:
        """Adds a constant."""
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def random(self, name: str, *shape: int) -> str:
        """Adds a constant of random numbers."""
        return self.constant(name, (0.5 * self.rng.standard_normal(shape)).astype(np.float32))

    def recurrent(
        self, operator: str, x: str, name: str, inputs: int = I, directions: int = 1, **attributes: Any
    ) -> None:
        """Adds a recurrent node, whose outputs are called by its name, `.h` and `.c`."""
        g = G[operator]
        weights = [
            self.random(f"{name}.W", directions, g * H, inputs),
            self.random(f"{name}.R", directions, g * H, H),
            self.random(f"{name}.B", directions, 2 * g * H),
        ]
        outputs = [name, f"{name}.h", f"{name}.c"][: 3 if operator == "LSTM" else 2]
        self.add(operator, [x, *weights], outputs, hidden_size=H, **attributes)

    def head(self, x: str, size: int = H, activation: str = "Softmax") -> None:
        """Adds a linear layer, and what follows it."""
        self.add("Gemm", [x, self.random("head.W", C, size), self.random("head.B", C)], ["scores"], transB=1)
        self.add(activation, ["scores"], ["out"], **({"axis": 1} if activation.endswith("oftmax") else {}))

    def save(self, path: Path, inputs: dict[str, Any], outputs: dict[str, Any] | None = None) -> Path:
        """Writes the file; inputs have a type and a shape."""
        values = [helper.make_tensor_value_info(name, *facts) for name, facts in inputs.items()]
        found = [helper.make_tensor_value_info(n, 1, s) for n, s in (outputs or {"out": ["B", C]}).items()]
        graph = helper.make_graph(self.nodes, "g", values, found, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path.write_bytes(model.SerializeToString())
        return path


VECTORS = {"x": (TensorProto.FLOAT, ["B", "T", I])}


def two_layers(graph: Graph) -> dict[str, Any]:
    """Two GRUs between transpositions, as torch writes them, and the last output."""
    graph.add("Transpose", ["x"], ["X"], perm=[1, 0, 2])
    graph.recurrent("GRU", "X", "a", linear_before_reset=1)
    graph.add("Squeeze", ["a", graph.constant("one", np.array([1]))], ["A"])
    graph.recurrent("GRU", "A", "b", H, linear_before_reset=1)
    graph.add("Squeeze", ["b.h", graph.constant("zero", np.array([0]))], ["last"])
    graph.head("last")
    return VECTORS


def mean_of_both_directions(graph: Graph) -> dict[str, Any]:
    """An LSTM in both directions, time first, the mean of its outputs, and logits without activation."""
    graph.recurrent("LSTM", "x", "a", directions=2, direction="bidirectional")
    graph.add("Transpose", ["a"], ["turned"], perm=[0, 2, 1, 3])
    graph.add("Reshape", ["turned", graph.constant("shape", np.array([0, 0, 2 * H]))], ["y"])
    graph.add("ReduceMean", ["y"], ["mean"], axes=[0], keepdims=0)
    graph.head("mean", 2 * H, "Identity")
    return {"x": (TensorProto.FLOAT, ["T", "B", I])}


def two_nodes_for_two_directions(graph: Graph) -> dict[str, Any]:
    """One node forward and one backwards that read the same, with their last states side by side."""
    graph.add("Transpose", ["x"], ["X"], perm=[1, 0, 2])
    graph.recurrent("RNN", "X", "a")
    graph.recurrent("RNN", "X", "b", direction="reverse")
    for name in "ab":
        graph.add("Squeeze", [f"{name}.h", graph.constant(f"zero{name}", np.array([0]))], [f"{name}.s"])
    graph.add("Concat", ["a.s", "b.s"], ["both"], axis=1)
    graph.head("both", 2 * H, "LogSoftmax")
    return VECTORS


def words(graph: Graph) -> dict[str, Any]:
    """An embedding, a GRU with the reset gate before the product, and the largest outputs."""
    graph.add("Gather", [graph.random("table", 20, I), "x"], ["vectors"])
    graph.add("Transpose", ["vectors"], ["X"], perm=[1, 0, 2])
    graph.recurrent("GRU", "X", "a")
    graph.add("Squeeze", ["a", graph.constant("one", np.array([1]))], ["y"])
    graph.add("ReduceMax", ["y"], ["largest"], axes=[0], keepdims=0)
    graph.head("largest")
    return {"x": (TensorProto.INT64, ["B", "T"])}


def every_step(graph: Graph) -> dict[str, Any]:
    """A linear layer at every step, as a product and a sum."""
    graph.add("Transpose", ["x"], ["X"], perm=[1, 0, 2])
    graph.recurrent("GRU", "X", "a")
    graph.add("Squeeze", ["a", graph.constant("one", np.array([1]))], ["y"])
    graph.add("MatMul", ["y", graph.random("w", H, C)], ["scores"])
    graph.add("Add", [graph.random("b", C), "scores"], ["sum"])
    graph.add("Softmax", ["sum"], ["probabilities"], axis=2)
    graph.add("Transpose", ["probabilities"], ["out"], perm=[1, 0, 2])
    return VECTORS


def computed_weights(graph: Graph) -> dict[str, Any]:
    """Weights that the graph computes of constants, lengths as an input, and a branch that is known."""
    graph.add("Concat", [graph.random("w1", 1, 2 * H, I), graph.random("w2", 1, 2 * H, I)], ["W"], axis=1)
    graph.add("Transpose", [graph.random("r", 1, H, 4 * H)], ["R"], perm=[0, 2, 1])
    inner = helper.make_graph(
        [helper.make_node("Mul", ["R", "R"], ["inner"])], "then", [], [helper.make_tensor_value_info("inner", 1, None)]
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["R"], ["otherwise"])],
        "else",
        [],
        [helper.make_tensor_value_info("otherwise", 1, None)],
    )
    graph.add("If", [graph.constant("yes", np.array(True))], ["R2"], then_branch=inner, else_branch=other)
    graph.add("Transpose", ["x"], ["X"], perm=[1, 0, 2])
    graph.add("LSTM", ["X", "W", "R2", "", "steps"], ["", "h"], hidden_size=H)
    graph.add("Squeeze", ["h", graph.constant("zero", np.array([0]))], ["last"])
    graph.head("last")
    return VECTORS | {"steps": (TensorProto.INT32, ["B"])}


GRAPHS: dict[Callable[[Graph], dict[str, Any]], str] = {
    two_layers: "last",
    mean_of_both_directions: "mean",
    two_nodes_for_two_directions: "last",
    words: "max",
    every_step: "last",
    computed_weights: "last",
}


@pytest.fixture(params=["onnxruntime", "reference"])
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With ONNX Runtime, and without."""
    if request.param == "onnxruntime":
        pytest.importorskip("onnxruntime")
    else:
        monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    return str(request.param)


@pytest.mark.parametrize("make", GRAPHS, ids=lambda make: make.__name__)
def test_graphs_become_models(tmp_path: Path, runtime: str, make: Callable[[Graph], dict[str, Any]]) -> None:
    """What becomes of the outputs is found by comparing, with ONNX Runtime or with the reference."""
    graph = Graph()
    path = graph.save(tmp_path / "m.onnx", make(graph), {"out": None} if make is every_step else None)
    model, certificate = convert(path)
    assert model.config.summary == GRAPHS[make]
    assert runtime in certificate.against
    assert model.metrics["conversion"]["error"] == certificate.error <= TOLERANCE


def test_a_model_answers_as_the_graph(tmp_path: Path) -> None:
    """After saving and loading, probabilities are those of the graph, whatever the number of rows and steps."""
    graph = Graph()
    path = graph.save(tmp_path / "m.onnx", two_layers(graph))
    convert(path, labels=["no", "yes"]).model.save(tmp_path / "m.safetensors")
    model = tidegate.load(tmp_path / "m.safetensors")
    x = np.random.default_rng(1).standard_normal((5, 11, I)).astype(np.float32)
    (theirs,) = onnx_backend.run_model(onnx.load(path), [x])
    np.testing.assert_allclose(model.predict_proba(x), theirs, atol=TOLERANCE)
    assert set(model.predict(x)) <= {"no", "yes"}


@pytest.mark.filterwarnings("ignore")  # of an exporter that is about to go
def test_packed_rows_of_torchs_older_exporter_have_their_lengths(tmp_path: Path) -> None:
    """It writes `sequence_lens` for a packed sequence, which are an input of the file and read as such."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")

    class Packed(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = torch.nn.GRU(I, H), torch.nn.Linear(H, C)

        def forward(self, x: Any, lengths: Any) -> Any:
            y, _ = self.rnn(torch.nn.utils.rnn.pack_padded_sequence(x, lengths))
            return self.head(torch.nn.utils.rnn.pad_packed_sequence(y)[0].amax(0))

    path, axes = tmp_path / "m.onnx", {"x": {0: "T", 1: "B"}, "lengths": {0: "B"}}
    given = (torch.randn(6, 3, I), torch.tensor([6, 4, 2]))
    torch.onnx.export(Packed().eval(), given, path, dynamo=False, input_names=[*axes], dynamic_axes=axes)
    (node,) = (node for node in onnx.load(path).graph.node if node.op_type == "GRU")
    assert node.input[4]
    model, proof = convert(path, task="regression")
    assert model.config.summary == "max"  # not "last", which is the same for one step, as if rows were steps
    assert proof.error <= TOLERANCE


def test_ids_are_words_unless_a_vocabulary_is_given(tmp_path: Path) -> None:
    """A graph that reads ids becomes a model of texts."""
    graph = Graph()
    path = graph.save(tmp_path / "m.onnx", words(graph))
    model, _ = convert(path)
    (theirs,) = onnx_backend.run_model(onnx.load(path), [np.array([[3, 0, 19]])])
    np.testing.assert_allclose(model.predict_proba(["3 0 19"]), theirs, atol=TOLERANCE)


def batch_first(graph: Graph) -> dict[str, Any]:
    """A GRU of `layout=1`, which has the batch first in all that it reads and gives."""
    graph.recurrent("GRU", "x", "a", linear_before_reset=1, layout=1)
    graph.add("Squeeze", ["a.h", graph.constant("axis", np.array([1]))], ["last"])
    graph.head("last")
    return VECTORS


def test_a_file_that_onnx_runtime_does_not_load_is_compared_with_the_reference(tmp_path: Path) -> None:
    """ONNX Runtime has no `layout=1`; the file becomes a model, and the certificate says what it was compared with."""
    pytest.importorskip("onnxruntime")
    graph = Graph()
    path = graph.save(tmp_path / "m.onnx", batch_first(graph))
    model, certificate = convert(path)
    assert certificate.missing == "not compared with ONNX Runtime, which loads no recurrent operators of layout=1"
    assert (str(model.config.cell), model.config.summary) == ("gru", "last")
    x = np.random.default_rng(1).standard_normal((2, 7, I)).astype(np.float32)
    (expected,) = onnx_backend.prepare(onnx.load(path)).run([x])
    np.testing.assert_allclose(model.predict_proba(list(x)), expected, atol=TOLERANCE)


@pytest.mark.parametrize("part", ["model", "layers"])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("alpha", [0.2, 0.25, 1 / 6])
def test_a_hard_sigmoid_of_another_slope_is_in_the_weights(
    tmp_path: Path, part: str, directions: int, alpha: float
) -> None:
    """0.2·x + 0.5, which is ONNX's standard one and that of Keras 2, is the kernels' x/6 + 0.5 of 1.2·x."""
    graph = Graph()
    way = "bidirectional" if directions == 2 else "forward"
    hard: dict[str, Any] = {
        "activations": ["HardSigmoid", "Tanh"] * directions,
        "activation_alpha": [alpha] * directions,
    }
    graph.recurrent("GRU", "X", "a", directions=directions, direction=way, **hard)
    graph.add("Transpose", ["x"], ["X"], perm=[1, 0, 2])
    graph.nodes.reverse()
    graph.add("Transpose", ["a.h"], ["turned"], perm=[1, 0, 2])
    graph.add("Reshape", ["turned", graph.constant("flat", np.array([-1, directions * H]))], ["last"])
    graph.head("last", directions * H)
    model, certificate = convert(graph.save(tmp_path / "m.onnx", VECTORS), part=part)
    assert "gate=hard_sigmoid" in str(model.config.cell)
    assert certificate.error < TOLERANCE


def noisy(graph: Graph) -> dict[str, Any]:
    """A layer between input and recurrent node that no model has."""
    graph.add("Tanh", ["x"], ["t"])
    graph.add("Transpose", ["t"], ["X"], perm=[1, 0, 2])
    graph.recurrent("GRU", "X", "a")
    graph.add("Squeeze", ["a.h", graph.constant("zero", np.array([0]))], ["last"])
    graph.head("last")
    return VECTORS


def test_a_graph_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    """Operators that no model has are found by their effect, and the layers alone can still be taken."""
    graph = Graph()
    path = graph.save(tmp_path / "m.onnx", noisy(graph))
    with pytest.raises(ConversionError, match=r"do not compute what .* does: the source has operations besides"):
        convert(path)
    model, certificate = convert(path, part="layers")
    assert model.config.task == "encoding"
    assert certificate.error <= TOLERANCE


def lone(operator: str, graph: Graph, **attributes: Any) -> dict[str, Any]:
    """One recurrent node and its last state."""
    graph.add("Transpose", ["x"], ["X"], perm=[1, 0, 2])
    graph.recurrent(operator, "X", "a", **attributes)
    graph.add("Squeeze", ["a.h", graph.constant("zero", np.array([0]))], ["last"])
    graph.head("last")
    return VECTORS


def test_a_node_without_outputs_is_refused(tmp_path: Path) -> None:
    """A node that computes nothing is named, one whose name is no text too."""
    node = onnx.helper.make_node("GRU", ["x"], [], name="a")
    graph = onnx.helper.make_graph([node], "g", [], [])
    path = tmp_path / "m.onnx"
    for data in (b"GRU", b"G\xff\xff"):
        path.write_bytes(onnx.helper.make_model(graph).SerializeToString().replace(b"GRU", data))
        with pytest.raises(ConversionError, match=r"the node 'a' \(.*\) has \d+ inputs and 0 outputs"):
            convert(path)


@pytest.mark.parametrize("part", ["model", "layers"])
def test_what_no_model_has_is_named(tmp_path: Path, part: str) -> None:
    """A node with clip is refused with the way that runs it."""
    graph = Graph()
    path = graph.save(tmp_path / "m.onnx", lone("GRU", graph, clip=1.0))
    with pytest.raises(ConversionError, match=r"'a' .GRU. has clip, peepholes, .*onnx\.backend runs it"):
        convert(path, part=part)


def test_inputs_that_never_change_are_constants(tmp_path: Path) -> None:
    """A graph with an input that chooses a branch is read with that input given."""
    graph = Graph()
    inputs = two_layers(graph)
    graph.nodes[0].input[0] = "scaled"
    graph.nodes.insert(0, helper.make_node("Mul", ["x", "factor"], ["scaled"]))
    path = graph.save(tmp_path / "m.onnx", inputs | {"factor": (TensorProto.FLOAT, [1])})
    with pytest.raises(ConversionError, match="operations besides"):
        convert(path)
    assert convert(path, given={"factor": np.ones(1, np.float32)}).certificate.error <= TOLERANCE


def test_layers_are_loaded_with_what_they_are_told(tmp_path: Path) -> None:
    """The recurrent nodes of any graph can be looked at, with settings and weights."""
    graph = Graph()
    path = graph.save(tmp_path / "m.onnx", lone("LSTM", graph, direction="reverse", clip=2.0))
    (node,) = onnx_source.load_layers(path)
    assert node.settings.reverse == (True,)
    assert node.layers[0].weights.w_ih.shape == (4 * H, I)


def outside(model: Any) -> None:
    """Puts the numbers of a tensor outside the folder."""
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    tensor.external_data.add(key="location", value="../secret")
    tensor.ClearField("raw_data")


def missing(model: Any) -> None:
    """Puts the numbers of a tensor into a file that is not there."""
    outside(model)
    model.graph.initializer[0].external_data[0].value = "not-there"


def too_short(model: Any) -> None:
    """Says that more numbers are in a file than it has."""
    outside(model)
    model.graph.initializer[0].external_data[0].value = "m.onnx"
    model.graph.initializer[0].external_data.add(key="length", value=str(2**40))


def lying(model: Any) -> None:
    """Says that a tensor has more numbers than it has."""
    model.graph.initializer[0].dims[1] = 2**20


def huge(model: Any) -> None:
    """Says that a tensor has more numbers than any machine."""
    model.graph.initializer[0].dims[1] = 2**50


def growing(model: Any) -> None:
    """Computes a constant that would take all memory."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([2**40, 2**20]), "sizes"))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["sizes"], ["large"]))


def unknown_weights(model: Any) -> None:
    """Takes the weights from an input."""
    model.graph.node[1].input[1] = "x"


def no_weights(model: Any) -> None:
    """Gives a recurrent node its input alone."""
    del model.graph.node[1].input[1:]


def half_a_product(model: Any) -> None:
    """Puts a product of one matrix behind the recurrent node."""
    model.graph.node.append(helper.make_node("MatMul", ["y"], ["z"]))


def quantized(model: Any) -> None:
    """Leaves an LSTM of integers alone."""
    del model.graph.node[1:]
    model.graph.node.append(helper.make_node("DynamicQuantizeLSTM", ["X"], ["Y"], domain="com.microsoft"))


def nothing_recurrent(model: Any) -> None:
    """Leaves the recurrent nodes out."""
    del model.graph.node[1:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (outside, "external data of 'a.W' is at '../secret', outside the folder of the model"),
        (missing, "external data of 'a.W' is missing: there is no file 'not-there'"),
        (too_short, "external data of 'a.W' ends at byte 1099511627776, but the file has"),
        (lying, "the tensor 'a.W' is damaged"),
        (huge, r"the tensor 'a.W' has the shape \[1, 1125899906842624, 3\]"),
        (growing, "makes a constant of more than 268,435,456 numbers"),
        (unknown_weights, "'a' .GRU. has W that depends on inputs of the graph, expected constants"),
        (no_weights, "the node .* .GRU. has 1 inputs and"),
        (half_a_product, ".MatMul. has 1 inputs and 1 outputs"),
        (nothing_recurrent, "the graph has no recurrent node"),
        (quantized, "it has a DynamicQuantizeLSTM, whose weights are integers"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_hostile_files_are_refused(tmp_path: Path, change: Callable[[Any], None], message: str) -> None:
    """Lying sizes and files outside are one clear error each, before memory is taken."""
    graph = Graph()
    path = graph.save(tmp_path / "m.onnx", lone("GRU", graph))
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ConversionError, match=message):
        convert(path)


@pytest.mark.parametrize(
    "content", [b"", b"\x08\x07", b"hello, world", b"\x3a\xff\xff\xff\x7f", b"%PDF-1.7", b"<!doctype html>"]
)
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    """Files of other kinds are named, as far as they are known."""
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ConversionError, match=r"m.onnx is (no file of ONNX|a PDF document|a page of the web)"):
        convert(tmp_path / "m.onnx")


def test_external_data_beside_the_model_are_read(tmp_path: Path) -> None:
    """A model with its numbers in a file beside it is the same model."""
    graph = Graph()
    path = graph.save(tmp_path / "m.onnx", lone("GRU", graph))
    first, _ = convert(path)
    model = onnx.load(path)
    onnx.save(model, tmp_path / "e.onnx", save_as_external_data=True, location="numbers.bin", size_threshold=0)
    second, _ = convert(tmp_path / "e.onnx")
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(second.arrays[name], array)
