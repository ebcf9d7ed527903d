"""Graphs that hold more than recurrent nodes: cut there, and the same as ONNX Runtime alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime
from onnx import helper, numpy_helper

from tidegate.convert import ConversionError
from tidegate.convert.onnx import layer as onnx_layer
from tidegate.convert.onnx.session import Session

H = 4


def weights(rng: np.random.Generator, name: str, G: int, I: int, D: int = 1) -> list[Any]:
    """W, R and B of a node as constants."""
    shapes = {"W": (D, G * H, I), "R": (D, G * H, H), "B": (D, 2 * G * H)}
    return [
        numpy_helper.from_array((0.4 * rng.standard_normal(shape)).astype(np.float32), f"{name}.{part}")
        for part, shape in shapes.items()
    ]


def saved(path: Path, nodes: list[Any], outputs: dict[str, int], constants: list[Any]) -> Path:
    """A graph that reads x [T, B, 3] and lengths [B]."""
    inputs = [
        helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["T", "B", 3]),
        helper.make_tensor_value_info("lengths", onnx.TensorProto.INT32, ["B"]),
    ]
    results = [helper.make_tensor_value_info(name, 1, [None] * axes) for name, axes in outputs.items()]
    graph = helper.make_graph(nodes, "g", inputs, results, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Dense, a GRU of two directions, a branch that reads outside values, an LSTM, and a sum with what came before."""
    rng, node = np.random.default_rng(0), helper.make_node
    constants = [*weights(rng, "a", 3, 3, 2), *weights(rng, "b", 4, 2 * H)]
    constants += [
        numpy_helper.from_array(rng.standard_normal((3, 3)).astype(np.float32), "dense"),
        numpy_helper.from_array(np.array([0, 0, 2 * H]), "side by side"),
        numpy_helper.from_array(np.array(0.1, np.float32), "small"),
    ]
    branches = {
        f"{name}_branch": helper.make_graph(
            [node(operator, ["wide", "small"], [name])], name, [], [helper.make_tensor_value_info(name, 1, None)]
        )
        for name, operator in (("then", "Mul"), ("else", "Add"))
    }
    nodes = [
        node("MatMul", ["x", "dense"], ["m"]),
        node("Relu", ["m"], ["r"]),
        node("GRU", ["r", "a.W", "a.R", "a.B", "lengths"], ["y", ""], hidden_size=H, direction="bidirectional"),
        node("Transpose", ["y"], ["t"], perm=[0, 2, 1, 3]),
        node("Reshape", ["t", "side by side"], ["wide"]),
        node("ReduceMax", ["m"], ["most"], keepdims=0),
        node("Greater", ["most", "small"], ["large"]),
        node("If", ["large"], ["chosen"], **branches),
        node("LSTM", ["chosen", "b.W", "b.R", "b.B", "lengths"], ["z", "h", "c"], hidden_size=H),
        node("Squeeze", ["h"], ["last"]),
        node("Add", ["c", "c"], ["twice"]),
    ]
    return saved(tmp_path / "m.onnx", nodes, {"wide": 3, "last": 2, "twice": 3, "z": 4}, constants)


def test_recurrent_nodes_run_on_the_kernels_and_the_others_in_onnx_runtime(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both recurrent nodes are run here, branches and other operators there; all outputs are those of ONNX Runtime."""
    calls, run = [], onnx_layer.run

    def counted(*given: Any, **options: Any) -> Any:
        calls.append(given[0].operator)
        return run(*given, **options)

    monkeypatch.setattr(onnx_layer, "run", counted)
    session, whole = Session(path), onnxruntime.InferenceSession(path)
    assert (session.inputs, session.outputs, session.recurrent) == (["x", "lengths"], ["wide", "last", "twice", "z"], 2)
    for seed, sign in ((1, 1), (2, -9)):
        x = sign * np.random.default_rng(seed).standard_normal((5, 3, 3)).astype(np.float32)
        given = {"x": x, "lengths": np.array([5, 2, 4], np.int32)}
        for ours, theirs in zip(session.run(None, given), whole.run(None, given), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert calls == ["GRU", "LSTM"] * 2
    np.testing.assert_array_equal(session.run(["last"], given)[0], session.run(None, given)[1])


def test_weights_that_depend_on_inputs_stay_in_onnx_runtime(tmp_path: Path) -> None:
    """Such a node is ONNX Runtime's; a graph with no other has nothing to cut, which is said."""
    rng, node = np.random.default_rng(0), helper.make_node
    nodes = [
        node("ReduceMean", ["x"], ["mean"], keepdims=0),
        node("Mul", ["a.W", "mean"], ["w"]),
        node("GRU", ["x", "w", "a.R", "a.B", "lengths"], ["y", "h"], hidden_size=H),
        node("GRU", ["x", "a.W", "a.R", "a.B", "lengths"], ["z"], hidden_size=H),
        node("Add", ["y", "z"], ["sum"]),
    ]
    path = saved(tmp_path / "m.onnx", nodes, {"sum": 4}, weights(rng, "a", 3, 3))
    given = {"x": np.ones((2, 1, 3), np.float32), "lengths": np.array([2], np.int32)}
    session = Session(path)
    assert session.recurrent == 1
    np.testing.assert_allclose(
        session.run(None, given)[0], onnxruntime.InferenceSession(path).run(None, given)[0], atol=1e-5
    )
    saved(path, nodes[:3], {"h": 3}, weights(rng, "a", 3, 3))
    with pytest.raises(ConversionError, match="no recurrent node with constant weights"):
        Session(path)
