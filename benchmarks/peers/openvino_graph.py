"""OpenVINO, forward only; with one thread and with all."""

from functools import cache
from io import BytesIO

import openvino

from case import Case
from contender import Contender
from peers.onnx_graph import feed, model


@cache
def _core() -> openvino.Core:
    """Returns the only one of the process.

    Two that are closed in the order in which they were made leave the thread a signal stack that is no memory any more:
    the next signal, such as the end of a child, ends the process (findings/openvino-cores-unmap-the-signal-stack.sh).
    """
    return openvino.Core()


def _contender(graph: bytes, case: Case, threads: int) -> Contender:
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",  # on some processors it would round to bfloat16
    }
    core = _core()
    request = core.compile_model(core.read_model(BytesIO(graph)), "CPU", options).create_infer_request()
    inputs = feed(case)
    return Contender(
        lambda: request.infer(inputs, share_inputs=True, share_outputs=True)[0],
        lambda y: {"y": y},
        f"{threads} threads",
    )


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes."""
    graph = model(case)
    return [_contender(graph, case, n) for n in case.thread_counts(threads)]
