"""A backend of `onnx.backend.base`: graphs run in numpy, and their recurrent nodes on the kernels.

    import onnx, tidegate.convert.onnx.backend as backend
    outputs = backend.prepare(onnx.load("model.onnx")).run([x])

What is no recurrent node is run by onnx's own reference. What the kernels lack (clip, peepholes, coupled gates, other
activations than those of `tidegate.ops.onnx`, float64) is computed by `tidegate.ops.reference`, correctly and slowly.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy.typing as npt

from tidegate.convert.onnx import layer as onnx_layer
from tidegate.convert.onnx.settings import Settings

try:
    from onnx.backend.base import Backend, BackendRep
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun
except ModuleNotFoundError as error:
    raise ImportError(f"ONNX files need {error.name}: pip install 'tidegate[convert]'") from error

Array = npt.NDArray[Any]


class _Recurrent(OpRun):
    """A recurrent node; its class has the name of the operator, as onnx's reference wants it."""

    op_domain = ""
    exact = False

    def _run(self, *inputs: Array | None, **attributes: Any) -> tuple[Array, ...]:
        settings = Settings.of(type(self).__name__, attributes)
        found = onnx_layer.run(settings, dict(zip(onnx_layer.INPUTS, inputs, strict=False)), exact=self.exact)
        return found[: len(self.onnx_node.output)]


class RNN(_Recurrent):
    """The operator `RNN`."""


class GRU(_Recurrent):
    """The operator `GRU`."""


class LSTM(_Recurrent):
    """The operator `LSTM`."""


OPERATORS: list[type[OpRun]] = [RNN, GRU, LSTM]
"""What `onnx.reference.ReferenceEvaluator` takes as `new_ops`."""

EXACT_OPERATORS: list[type[OpRun]] = [type(operator.__name__, (operator,), {"exact": True}) for operator in OPERATORS]
"""The same, all computed by `tidegate.ops.reference`."""


class Prepared(BackendRep):
    """A graph that is ready to run."""

    def __init__(self, model: Any) -> None:
        """Reads a `ModelProto`, or what else `ReferenceEvaluator` takes."""
        self._evaluator = ReferenceEvaluator(model, new_ops=OPERATORS)

    def run(self, inputs: Any, **_options: Any) -> tuple[Array, ...]:
        """Runs the graph.

        Args:
            inputs: An array for each input of the graph in their order, or by name.

        Returns:
            The outputs of the graph in their order.
        """
        if not isinstance(inputs, dict):
            given = inputs if isinstance(inputs, Sequence) else [inputs]
            inputs = dict(zip(self._evaluator.input_names, given, strict=False))
        return tuple(cast("list[Array]", self._evaluator.run(None, inputs)))


class TidegateBackend(Backend):
    """The backend."""

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **options: Any) -> Prepared:
        """Checks a model, as the backends of onnx do, and makes it ready to run."""
        super().prepare(model, device, **options)
        return Prepared(model)

    @classmethod
    def run_node(
        cls, node: Any, inputs: Any, device: str = "CPU", outputs_info: Any = None, **options: Any
    ) -> tuple[Array, ...]:
        """Runs one node on arrays for its inputs that have a name."""
        super().run_node(node, inputs, device, outputs_info, **options)
        names = [name for name in node.input if name]
        feed = dict(zip(names, inputs, strict=True))
        return tuple(cast("list[Array]", ReferenceEvaluator(node, new_ops=OPERATORS).run(None, feed)))

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether it is the CPU."""
        return device.partition(":")[0] == "CPU"


prepare = TidegateBackend.prepare
run_model = TidegateBackend.run_model
run_node = TidegateBackend.run_node
supports_device = TidegateBackend.supports_device
