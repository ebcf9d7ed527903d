"""OpenVINO, forward only; with one thread and with all."""

from io import BytesIO

import openvino

from case import Case
from contender import Contender
from peers.onnx_graph import feed, model


def _contender(graph: bytes, case: Case, threads: int) -> Contender:
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",  # on some processors it would round to bfloat16
    }
    core = openvino.Core()
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
