"""ONNX Runtime, forward only; with one thread and with all, for its idle threads spin."""

import onnxruntime

from case import Case
from contender import Contender
from peers.onnx_graph import feed, model


def _contender(graph: bytes, case: Case, threads: int) -> Contender:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    inputs = feed(case)
    return Contender(lambda: session.run(None, inputs)[0], lambda y: {"y": y}, f"{threads} threads")


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes."""
    graph = model(case)
    return [_contender(graph, case, n) for n in case.thread_counts(threads)]
