"""A model as a file of ONNX: word ids or numbers in, probabilities, scores and summary vectors out."""

import json
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert import own
from tidegate.convert.certificate import Certificate
from tidegate.convert.onnx.compared import compared, states_of
from tidegate.convert.onnx.inputs import refused, scale
from tidegate.convert.onnx.network import Rows, compound, latest, stack, summarize
from tidegate.convert.onnx.ngrams import buckets, known, ngrams
from tidegate.convert.onnx.writer import Graph
from tidegate.convert.samples import expanded, padded
from tidegate.files.writing import replacing
from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel
from tidegate.text.tokenizer import UNKNOWN, begun


def to_onnx(model: Network, path: str | os.PathLike[str], *, streaming: bool = False) -> Certificate:
    """Writes a model as a file of ONNX, and compares it in ONNX Runtime with the model on ragged batches.

    The file has the inputs `ids`, int64 [rows, steps], or `x`, float32 [rows, steps, K] ([rows, K, steps] for a model
    of the layout "channels_first"), and `lengths`, int64 [rows], the steps of each row, 0 allowed; what stands beyond
    them is not read. Its outputs are `probabilities` and `scores`, [rows, C], and `vectors`, [rows, F], as far as the
    model has them. Numbers are scaled, and their gaps (NaN) filled, inside; where the model itself raises an error, for
    an infinite number or a gap that it has not learned, all results of a row are NaN. What cuts texts into words is
    done outside: the metadata of the file hold the `tokenizer`, in the format of the `tokenizers` library, and the
    `labels`. The file of a model whose n-grams read letters has a further input `unknown`, see `onnx_inputs`.

    Weights in fewer bits are written as the float32 numbers that they stand for.

    Args:
        model: The model.
        path: Where to write the file; an old one is replaced.
        streaming: Whether the file reads sequences in pieces: it has further inputs, the states, and an output
            `next_…` for each, which is the input of the next call. Before the first piece they are all 0.

    Returns:
        How it was compared; also in the metadata of the file, as `certificate`.

    Raises:
        ImportError: onnx or onnxruntime are not installed.
        OSError: The file cannot be written.
        ValueError: ONNX cannot hold the model, or the results differ by more than 1e-5; nothing is written.
    """
    model = expanded(model, adds_steps=True)
    _check(model, streaming)
    runtime = _runtime()
    graph, texts = _graph(model, streaming), own.metadata(model)
    session = runtime.InferenceSession(graph.model(texts).SerializeToString(), providers=["CPUExecutionProvider"])
    pairs = compared(session.run, model, states_of(graph.model({}).graph))
    certificate = Certificate.of(pairs, f"onnxruntime {runtime.__version__}")
    data = graph.model(texts | {"certificate": json.dumps(certificate.metadata())}).SerializeToString()
    with replacing(path) as file:
        file.write(data)
    return certificate


def onnx_inputs(model: TextModel, texts: Iterable[str]) -> dict[str, npt.NDArray[np.int64]]:
    """Makes what the file of a model that reads texts is given, by the names of its inputs.

    If its n-grams read the letters of words, those N words that have no id have ids from V on, each its own, and the
    input `unknown`, int64 [N, R], has a row for each: the buckets of its runs of 2 to 5 letters with a space on either
    side, which are their CRC-32 in UTF-8 modulo the number of buckets, each bucket once, and −1 behind the last one.

    Args:
        model: The model.
        texts: B texts.

    Raises:
        TypeError: It is one text, or one of them is no text.
    """
    read = model.read_texts(texts, model.most_steps)
    names = dict.fromkeys(word for text in read for word in text.unknown)
    place = {word: model.config.vocab_size + n for n, word in enumerate(names)}
    first = begun if model.config.aim.reads_tokens else lambda ids: ids
    rows = [first(text.ids).astype(np.int64) for text in read]
    for row, text in zip(rows, read, strict=True):
        if text.unknown:
            row[row == UNKNOWN] = [place[word] for word in text.unknown]
    ids, lengths = padded(rows, 0) if rows else (np.zeros((0, 0), np.int64), np.zeros(0, np.int64))
    letters = {"unknown": buckets(list(names), model.config.ngram_letters)} if model.config.ngram_letters else {}
    return {"ids": ids, "lengths": lengths} | letters


def _check(model: Network, streaming: bool) -> None:
    """Checks that a file of ONNX can hold a model.

    Raises:
        ValueError: It cannot.
    """
    if streaming and isinstance(model, TextModel) and model.ngrams is not None:
        raise ValueError("this model has n-grams, which read a text as a whole: export it without streaming")
    if streaming:
        model.stream_parts()  # says why a network in both directions cannot be streamed


def _graph(model: Network, streaming: bool) -> Graph:
    """Writes the nodes."""
    g = Graph()
    source = _padded(g, model, _source(g, model))
    lengths = g.input("lengths", np.int64, ["rows"])
    axis = 2 if _channels_first(model) else 1
    size = g("Gather", g("Shape", source), g.constant(axis, np.int64))
    count, lengths = _count(g, model, lengths, streaming)
    single, places = g.constant([1], np.int64), g("Range", *(g.constant(0, np.int64), size, g.constant(1, np.int64)))
    mask = g("Less", g("Unsqueeze", places, single), g("Unsqueeze", lengths, g.constant([0], np.int64)))
    rows = Rows(lengths, g("Unsqueeze", mask, g.constant([2], np.int64)), streaming)
    if count:
        rows.after("count", g("Add", count, lengths), ["rows"], np.int64)
    x, ids = _read(g, model, source, mask, rows)
    others = _unchanged(g, model, x, rows) if isinstance(model, SequenceModel) and model.config.residual else ""
    vectors = _vectors(g, model, x, rows) if model.config.summary_size else ""
    scores = _scores(g, model, vectors, ids, rows) if model.config.has_head else ""
    scores = g("Add", scores, others) if others else scores
    C, F = len(model.labels), model.config.summary_size
    if model.config.aim.activation == "softmax":
        g.output("probabilities", g("Softmax", scores, axis=1), np.float32, ["rows", C])
    elif model.config.aim.has_probabilities:
        g.output("probabilities", g("Sigmoid", scores), np.float32, ["rows", C])
    if scores:
        g.output("scores", scores, np.float32, ["rows", C])
    if vectors:
        g.output("vectors", vectors, np.float32, ["rows", F])
    for name, (value, dtype, shape) in rows.states.items() if streaming else ():
        g.output(f"next_{name}", value, dtype, shape)
    return g


def _source(g: Graph, model: Network) -> str:
    """Adds the input that sequences come by."""
    if isinstance(model, TextModel):
        return g.input("ids", np.int64, ["rows", "steps"])
    features = model.config.features if isinstance(model, SequenceModel) else model.config.input_size
    shape: list[str | int] = ["rows", "steps", features]
    if _channels_first(model):
        shape = ["rows", features, "steps"]
    return g.input("x", np.float32, shape)


def _padded(g: Graph, model: Network, source: str) -> str:
    """Adds a step that is not read where a loop over none, or the last of none, would fail in ONNX Runtime."""
    if model.rate is None and not (getattr(model.config, "missing", ()) or getattr(model.config, "residual", False)):
        return source
    if isinstance(model, TextModel):
        return g("Pad", source, g.constant([0, 0, 0, 1], np.int64), g.constant(0, np.int64))
    ends = [0, 0, 0, 0, 0, 1] if _channels_first(model) else [0, 0, 0, 0, 1, 0]
    return g("Pad", source, g.constant(ends, np.int64), g.constant(0, np.float32))


def _count(g: Graph, model: Network, lengths: str, streaming: bool) -> tuple[str, str]:
    """Returns the steps that were read before, "" if nothing asks, and those to read now."""
    asked = model.most_steps or model.summary != "last"
    count = g.input("count", np.int64, ["rows"]) if streaming and asked else ""
    if model.most_steps:
        left = g.constant(model.most_steps, np.int64)
        if count:
            left = g("Max", g("Sub", left, count), g.constant(0, np.int64))
        lengths = g("Min", lengths, left)
    return count, lengths


def _read(g: Graph, model: Network, source: str, mask: str, rows: Rows) -> tuple[str, str]:
    """Makes vectors [T, B, I] of what comes in, and ids [B, T] if those came."""
    if isinstance(model, TextModel):
        by_step = g("Where", mask, g("Transpose", source, perm=[1, 0]), g.constant(0, np.int64))
        ids = g("Transpose", by_step, perm=[1, 0])
        if not model.config.summary_size:
            return "", ids
        table = g.constant(model.arrays["embedding.weight"], np.float32, "embedding")
        return g("Gather", table, known(g, model, by_step)), ids
    x = g("Transpose", source, perm=[2, 0, 1] if _channels_first(model) else [1, 0, 2])
    x = g("Where", rows.mask, x, g.constant(0, np.float32))
    if isinstance(model, SequenceModel):
        rows.refused = refused(g, x, model.config.missing, model.config.features)
        return scale(g, x, model.features, rows), ""
    rows.refused = refused(g, x, (), model.config.input_size)
    return x, ""


def _vectors(g: Graph, model: Network, x: str, rows: Rows) -> str:
    config, features = model.config, model.config.input_size
    if model.stack:
        features = (1 + config.bidirectional) * config.hidden_size
        x, last = stack(g, model.stack, x, rows)
    else:
        last = "" if model.rate is None else compound(g, x, model.rate, rows, features)
    vectors = summarize(g, model.summary, x, last, rows, features)
    return g("Where", rows.refused, g.constant(np.nan, np.float32), vectors) if rows.refused else vectors


def _unchanged(g: Graph, model: SequenceModel, x: str, rows: Rows) -> str:
    """Writes what a network of changes adds to: its last step, in the units of the features, for each step ahead."""
    last, horizon = latest(g, x, rows, model.config.features), g.constant([1, model.config.horizon], np.int64)
    center, spread = (g.constant(array, np.float32) for array in (model.features.center, model.features.scale))
    return g("Tile", g("Add", g("Mul", last, spread), center), horizon)


def _scores(g: Graph, model: Network, vectors: str, ids: str, rows: Rows) -> str:
    parts = [g.constant(model.head_bias, np.float32, "head.bias")]
    if vectors:
        weight = g.constant(model.head_weight.T, np.float32, "head.weight")
        parts.append(g("MatMul", vectors, weight))
    if isinstance(model, TextModel) and model.ngrams is not None:
        parts.append(ngrams(g, model, ids, rows))
    first, *others = parts
    for other in others:
        first = g("Add", first, other)
    return first


def _channels_first(model: Network) -> bool:
    return getattr(model.config, "layout", "") == "channels_first"


def _runtime() -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - for this alone
    except ModuleNotFoundError as error:
        raise ImportError("files of ONNX are checked by onnxruntime: pip install 'tidegate[convert]'") from error
    return onnxruntime
