"""A file of ONNX as a source: what runs it, and what its layers become."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from tidegate.convert.certificate import REFERENCE, Certificate, ConversionError
from tidegate.convert.found import Found, Wishes
from tidegate.convert.matching import NotRunError, Runtime, match, rows_of
from tidegate.convert.onnx import backend as onnx_backend
from tidegate.convert.onnx import layer as onnx_layer
from tidegate.convert.onnx.file import read
from tidegate.convert.onnx.graph import Node, found_in, layers_of, nodes_of, one_node_model
from tidegate.convert.onnx.own import own_model, own_pairs, own_texts
from tidegate.convert.onnx.values import Values
from tidegate.convert.samples import sequences
from tidegate.models.network import Network
from tidegate.sequences.padding import pad

Array = npt.NDArray[Any]


class Session(NamedTuple):
    """What runs a model, given names of outputs, None for all, and inputs by name.

    Its name follows, and why it is not ONNX Runtime, as `Certificate.missing`.
    """

    run: Callable[[Sequence[str] | None, dict[str, Array]], Any]
    name: str
    missing: str = ""


_LENGTHS = (9, 1, 14, 6)
"""Steps of the sequences that a graph is given: one or more, as not every runtime takes none."""


class Input(NamedTuple):
    """An input of a graph: its name, its dtype, and its sizes, None where they may change."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


def load_layers(path: str | os.PathLike[str], given: Mapping[str, npt.ArrayLike] | None = None) -> list[Node]:
    """Returns the recurrent nodes of a file with their weights; see `nodes_of`."""
    return nodes_of(Values(read(path), given))


def convert_layers(nodes: Sequence[Node]) -> tuple[Found, Certificate]:
    """Takes recurrent nodes alone, and compares each with what ONNX Runtime makes of it, or onnx with the reference."""
    layers = layers_of(nodes)
    proofs = [_certify_node(node) for node in nodes]
    proof = proofs[0]
    for other in proofs[1:]:
        proof = proof.and_of(other)
    return Found(layers, summary="last"), proof


def convert_graph(
    path: str | os.PathLike[str], wishes: Wishes, given: Mapping[str, npt.ArrayLike] | None = None
) -> tuple[Found, Network, Certificate]:
    """Converts a whole graph: an embedding, recurrent layers, a head.

    A file that this library wrote says itself what the model is, and is compared in all that it gives.

    Args:
        path: The file.
        wishes: What it does not say.
        given: Inputs of the graph that are the same in every call, by name.

    Raises:
        ConversionError: It is no such graph, or no model computes the same.
    """
    model = read(path)
    values = Values(model, given)
    if texts := own_texts(model):
        found, session = found_in(values, scaled=False), _session(model)
        own = own_model(texts, found, values, wishes)
        return found, own, Certificate.of(own_pairs(session.run, model, own), session.name, session.missing)
    found = found_in(values)
    fixed = {name: np.asarray(value) for name, value in (given or {}).items()}
    failures: list[ConversionError] = []
    for runtime in _runtimes(model, found, _session(model), fixed):
        try:
            return found, *match(found, runtime, wishes)
        except ConversionError as error:
            failures.append(error)
    compared = [error for error in failures if not isinstance(error, NotRunError)]
    raise next(iter(compared or failures), ConversionError("the graph has no input of numbers or ids"))


def _session(model: Any) -> Session:
    """Makes what runs a model: ONNX Runtime if it is there and loads it, else onnx's reference with ours."""
    try:
        import onnxruntime  # noqa: PLC0415
    except ModuleNotFoundError:
        return _reference(model, "not compared with ONNX Runtime, which is not installed: pip install onnxruntime")
    if any(attribute.name == "layout" and attribute.i for node in model.graph.node for attribute in node.attribute):
        return _reference(model, "not compared with ONNX Runtime, which loads no recurrent operators of layout=1")
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - it has errors of its own
        raise ConversionError(f"ONNX Runtime cannot load the model: {' '.join(str(error).split()):.300}") from None
    return Session(session.run, f"onnxruntime {version('onnxruntime')}")


def _reference(model: Any, missing: str) -> Session:
    """Makes onnx's own reference with our recurrent operators; `missing` is why it is not ONNX Runtime."""
    evaluator = ReferenceEvaluator(model, new_ops=onnx_backend.EXACT_OPERATORS)
    return Session(evaluator.run, f"onnx {version('onnx')} with {REFERENCE}", missing)


def _runtimes(model: Any, found: Found, session: Session, fixed: Mapping[str, Array]) -> Iterator[Runtime]:
    """Lists the ways in which a graph may be meant: each input and output, and which axis is time."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [_input(value) for value in model.graph.input if value.name not in constants and value.name not in fixed]
    axes = 2 if found.embedding is not None else 3
    kinds = "iu" if found.embedding is not None else "f"
    mains = [each for each in inputs if len(each.shape) == axes and each.dtype.kind in kinds]
    head = found.head
    last = found.layers[-1].directions
    width = len(head.weight) if head is not None else sum(weights.w_hh.shape[1] for weights in last)
    for main in mains:
        others = [each for each in inputs if each is not main]
        for output in range(len(model.graph.output)):
            for time in (1, 0):
                way = _Way(session, main, others, fixed, output, time, width)
                steps = main.shape[time]
                lengths = _LENGTHS if steps is None else (steps,) * 3
                yield Runtime(session.name, way.run, lengths, session.missing)


class _Way:
    """One way to feed a graph: what its axes are, and which output is read."""

    def __init__(
        self,
        session: Session,
        main: Input,
        others: Sequence[Input],
        fixed: Mapping[str, Array],
        output: int,
        time: int,
        width: int,
    ) -> None:
        self._session, self._main, self._others, self._fixed = session, main, others, fixed
        self._output, self._time, self._width = output, time, width
        self._rows = main.shape[1 - time] or 1

    def run(self, sequence: Array) -> Array | None:
        """Runs a sequence [T, I] or [T] in every row of a batch, and returns the first row's results."""
        T, B = len(sequence), self._rows
        x = np.repeat(np.expand_dims(sequence, 1 - self._time), B, axis=1 - self._time).astype(self._main.dtype)
        feed = {self._main.name: x} | dict(self._fixed)
        for other in self._others:
            shape = tuple(B if size is None else size for size in other.shape)
            is_lengths = other.dtype.kind in "iu" and len(shape) <= 1
            feed[other.name] = np.full(shape, T if is_lengths else 0, other.dtype)
        try:
            out = np.asarray(self._session.run(None, feed)[self._output])
        except Exception:  # noqa: BLE001 - runtimes refuse wrong axes, each in its own way
            return None
        return rows_of(out, T, self._width, B, self._time == 1)


def _input(value: Any) -> Input:
    """Reads what a graph says of an input."""
    kind = value.type.tensor_type
    try:
        dtype = np.dtype(_DTYPES[kind.elem_type])
    except KeyError:
        raise ConversionError(f"the input {value.name!r:.60} is no array of numbers") from None
    shape = tuple(size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim)
    if any(size is not None and not 0 < size < 2**16 for size in shape):
        raise ConversionError(f"the input {value.name!r:.60} has the shape {shape}")
    return Input(value.name, dtype, shape)


_DTYPES = {
    TensorProto.FLOAT: "f4",
    TensorProto.DOUBLE: "f8",
    TensorProto.FLOAT16: "f2",
    TensorProto.INT64: "i8",
    TensorProto.INT32: "i4",
    TensorProto.BOOL: "?",
}


def _certify_node(node: Node) -> Certificate:
    """Compares what the kernels make of a node with what a runtime does, on ragged rows and from random states."""
    session = _session(one_node_model(node))
    D, H, I = len(node.settings.reverse), node.arrays["R"].shape[2], node.arrays["W"].shape[2]
    drawn = [x for x in sequences(I) if len(x)]  # of a row of length 0 ONNX Runtime loses the state
    x, _ = pad(drawn, I)
    rng = np.random.default_rng(1)
    feed: dict[str, Array] = {"X": x, "sequence_lens": np.array([len(s) for s in drawn], np.int32)}
    for state in ["initial_h", "initial_c"][: node.layers[0].cell.S]:
        feed[state] = rng.standard_normal((D, len(drawn), H)).astype(np.float32)
    weights = {n: array for n, array in node.arrays.items() if n in "WRBP"}
    ours = onnx_layer.run(replace(node.settings, layout=0), weights | feed, layers_read=node.layers)
    what = ("outputs", "states", "states")
    return Certificate.of(zip(what, ours, session.run(None, feed), strict=False), session.name, session.missing)
