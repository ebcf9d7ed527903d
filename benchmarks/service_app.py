"""The server that `bench_service.py` calls: the service, and beside it what people would write around another library.

python benchmarks/service_app.py MODEL FILE PORT

The endpoints of the peers are ordinary ones of FastAPI in the same application, so that all share layers, parser and
event loop: a message of pydantic comes in, one text is read by one call, a dictionary goes out. Each is there as `def`,
which FastAPI runs in a thread, and as `async def`, which keeps the event loop waiting.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from fastapi import FastAPI
from fastapi.routing import APIRoute
from onnx import TensorProto, helper, numpy_helper
from pydantic import BaseModel
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import tidegate
from tidegate import serve
from tidegate.data import tables

Answer = Callable[[str], list[float]]


class Text(BaseModel):
    """What the peers are asked."""

    text: str


def threads() -> int:
    """What `tidegate serve` computes with: all processors but one."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def onnx_answer(model: tidegate.TextModel) -> Answer:
    """The network of a model, a GRU of one layer whose last state counts, as a graph; the tokenizer is the model's."""
    weights = model.arrays
    H = model.config.hidden_size

    def gates(name: str) -> Any:  # ONNX has the update gate first
        r, z, n = weights[name].reshape(3, H, *weights[name].shape[1:])
        return np.concatenate([z, r, n])[None]

    constants = {
        "table": weights["embedding.weight"],
        "W": gates("rnn.weight_ih_l0"),
        "R": gates("rnn.weight_hh_l0"),
        "B": np.concatenate([gates("rnn.bias_ih_l0"), gates("rnn.bias_hh_l0")], axis=1),
        "head": weights["head.weight"],
        "bias": weights["head.bias"],
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["x"]),
        helper.make_node("GRU", ["x", "W", "R", "B"], ["", "last"], hidden_size=H, linear_before_reset=1),
        helper.make_node("Squeeze", ["last", "first"], ["vector"]),
        helper.make_node("Gemm", ["vector", "head", "bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["y"], axis=1),
    ]
    arrays = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()]
    arrays.append(numpy_helper.from_array(np.array([0]), "first"))
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["T", 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, len(model.labels)])
    graph = helper.make_graph(nodes, "gru", [ids], [y], arrays)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def answer(text: str) -> list[float]:
        (found,) = model.tokenizer.encode_batch([text], model.config.max_length)
        probabilities: list[float] = session.run(["y"], {"ids": found.astype(np.int64)[:, None]})[0][0].tolist()
        return probabilities

    return answer


def sklearn_answer(texts: list[str], labels: list[Any]) -> Answer:
    """TF-IDF of words and pairs of words, and logistic regression."""
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression())
    pipeline.fit(texts, labels)

    def answer(text: str) -> list[float]:
        probabilities: list[float] = pipeline.predict_proba([text])[0].tolist()
        return probabilities

    return answer


def add(app: FastAPI, path: str, answer: Answer) -> None:
    """Adds the endpoints of a peer."""

    def in_thread(question: Text) -> dict[str, list[float]]:
        return {"probabilities": answer(question.text)}

    async def at_once(question: Text) -> dict[str, list[float]]:
        return {"probabilities": answer(question.text)}

    routes = [(path, in_thread), (f"{path}-async", at_once)]
    app.router.routes[:0] = [APIRoute(each, endpoint, methods=["POST"]) for each, endpoint in routes]


async def nothing() -> dict[str, str]:
    """What only answers {}."""
    return {}


def main() -> None:
    """Serves until it is ended."""
    path, file, port = sys.argv[1:]
    serve.compute_with(threads())
    model = tidegate.load(path, tidegate.TextModel)
    table = tables.read(file)
    app = serve.create_app({"model": model})
    add(app, "/onnx", onnx_answer(model))
    add(app, "/sklearn", sklearn_answer(list(table.texts), model.predict(table.texts).tolist()))
    app.router.routes.insert(0, APIRoute("/nothing", nothing, methods=["POST"]))
    serve.serve(app, serve.listen("127.0.0.1", int(port)), lambda: print("ready", flush=True))


if __name__ == "__main__":
    main()
