"""ONNX's own tests of backends, and graphs around recurrent nodes."""

import importlib
import unittest
from typing import Any

import numpy as np
import pytest

onnx_tests = pytest.importorskip("onnx.backend.test")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tidegate.convert.onnx import backend as onnx_backend  # noqa: E402

CASES = 18
"""Of onnx 1.23.2; later versions may have more."""


@pytest.fixture(scope="module")
def cases() -> list[unittest.TestCase]:
    """The node cases of ONNX for GRU, LSTM and RNN, as its runner makes them.

    Making those of all two thousand operators as well takes many seconds, so the runner finds three modules only.
    """
    only = ("gru", "lstm", "rnn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "onnx.backend.test.loader.import_recursive",
            lambda package: [importlib.import_module(f"{package.__name__}.{name}") for name in only],
        )
        runner = onnx_tests.BackendTest(onnx_backend, __name__)
    runner.include(r"^test_(gru|lstm|rnn|simple_rnn)_.*_cpu$")
    loader = unittest.TestLoader()
    found = [case for kind in runner.test_cases.values() for case in loader.loadTestsFromTestCase(kind)]
    return [case for case in found if isinstance(case, unittest.TestCase)]


def test_all_recurrent_cases_of_onnx_pass(cases: list[unittest.TestCase]) -> None:
    """Every node case that comes with ONNX for GRU, LSTM and RNN passes in its own runner."""
    result = unittest.TestResult()
    unittest.TestSuite(cases).run(result)
    assert [text for _, text in result.failures + result.errors] == []
    assert result.testsRun - len(result.skipped) >= CASES


def test_a_graph_runs_around_its_recurrent_node() -> None:
    """Other operators are run by onnx, in the order of the graph, and inputs go by name or in order."""
    rng = np.random.default_rng(0)
    arrays = {"W": (1, 12, 3), "R": (1, 12, 4)}
    weights = [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n) for n, s in arrays.items()]
    nodes = [
        helper.make_node("Transpose", ["x"], ["X"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["X", "W", "R"], ["", "Y_h"], hidden_size=4),
        helper.make_node("Neg", ["Y_h"], ["out"]),
    ]

    def value(name: str, shape: Any) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(nodes, "g", [value("x", [2, 5, 3])], [value("out", [1, 2, 4])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    x = rng.standard_normal((2, 5, 3)).astype(np.float32)
    (out,) = onnx_backend.run_model(model, [x])
    onnxruntime = pytest.importorskip("onnxruntime")
    model.ir_version = 10
    theirs = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    np.testing.assert_allclose(out, theirs, atol=1e-6)
    np.testing.assert_array_equal(onnx_backend.prepare(model).run({"x": x})[0], out)


def test_one_node_runs_alone() -> None:
    """`run_node` takes arrays for the inputs that have names, and leaves the others out."""
    node = helper.make_node("RNN", ["X", "W", "R", "", "lens"], ["Y"], hidden_size=1)
    ones = np.ones((1, 1, 1), np.float32)
    (y,) = onnx_backend.run_node(node, [np.ones((2, 1, 1), np.float32), ones, ones, np.array([1], np.int32)])
    np.testing.assert_allclose(y[:, 0, 0, 0], [np.tanh(1), 0], atol=1e-6)


def test_it_is_a_backend_of_the_cpu_alone() -> None:
    """Runners ask first which devices there are."""
    assert onnx_backend.supports_device("CPU")
    assert not onnx_backend.supports_device("CUDA:0")
