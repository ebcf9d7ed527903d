"""What a network reads as nodes of ONNX: features with gaps, and runs of words."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tidegate.convert.onnx_network import Rows, code, zeros
from tidegate.convert.onnx_writer import Graph
from tidegate.models.text_model import TextModel
from tidegate.sequences.features import LIMIT, Features


def refused(g: Graph, x: str, missing: Sequence[int], features: int) -> str:
    """Finds the rows that a model refuses: an infinite number, or NaN for a number that may not be missing.

    Args:
        g: The graph.
        x: Numbers, float32 [T, B, K], 0 beyond the ends of rows.
        missing: Indices of those that may be missing.
        features: K.

    Returns:
        bool [B, 1].
    """
    needed = g.constant(~np.isin(np.arange(features), missing), np.bool_)
    wrong = g("Or", g("IsInf", x), g("And", g("IsNaN", x), needed))
    counts = g("ReduceMax", g("Cast", wrong, to=code(np.float32)), g.constant([0, 2], np.int64), keepdims=0)
    return g("Unsqueeze", g("Greater", counts, g.constant(0, np.float32)), g.constant([1], np.int64))


def scale(g: Graph, x: str, features: Features, rows: Rows) -> str:
    """Writes what becomes of features before a network reads them: scaled, and their gaps filled.

    Args:
        g: The graph.
        x: Numbers as they are measured, float32 [T, B, K].
        features: Their scale, and which may be missing.
        rows: Those of the batch.

    Returns:
        float32 [T, B, I].
    """
    wide = g("Cast", x, to=code(np.float64))
    center, spread = (g.constant(array, np.float64) for array in (features.center, features.scale))
    scaled = g("Div", g("Sub", wide, center), spread)
    scaled = g("Max", g("Min", scaled, g.constant(LIMIT, np.float64)), g.constant(-LIMIT, np.float64))
    scaled = g("Cast", scaled, to=code(np.float32))
    M, K = len(features.missing), len(features.center)
    if not M:
        return scaled
    columns = g.constant(features.missing, np.int64)
    gaps = g("Cast", g("IsNaN", g("Gather", x, columns, axis=2)), to=code(np.float32))
    values, since = _filled(g, g("Gather", scaled, columns, axis=2), gaps, rows, M)
    wide = g("Add", g("Cast", since, to=code(np.float64)), g.constant(1, np.float64))
    ages = g("Cast", g("Log", wide), to=code(np.float32))
    place = {k: K + m for m, k in enumerate(features.missing)}
    order = [place.get(k, k) for k in range(K)] + [*range(K + M, K + 3 * M)]
    together = g("Concat", scaled, values, gaps, ages, axis=2)
    return g("Gather", together, g.constant(order, np.int64), axis=2)


def _filled(g: Graph, values: str, gaps: str, rows: Rows, M: int) -> tuple[str, str]:
    """Carries values on over gaps; returns them, and the steps since one was seen, [T, B, M]."""
    shape: list[str | int] = ["rows", M]
    starts = [rows.before(g, name, shape) or zeros(g, rows, M) for name in ("carried", "unseen")]
    body = Graph("gaps_")
    names = ("carried", "unseen", "value", "gap", "mask")
    carried, unseen, value, gap, going_on = (body.input(f"gaps_{name}", np.float32, None) for name in names)
    missing, active = (body("Cast", name, to=code(np.bool_)) for name in (gap, going_on))
    value = body("Where", missing, carried, value)
    since = body("Where", missing, body("Add", unseen, body.constant(1, np.float32)), body.constant(0, np.float32))
    for name, new, old in (("next_carried", value, carried), ("next_unseen", since, unseen)):
        body.output(f"gaps_{name}", body("Where", active, new, old), np.float32, None)
    body.output("gaps_values", value, np.float32, None)
    body.output("gaps_since", since, np.float32, None)
    mask = g("Cast", rows.mask, to=code(np.float32))
    *after, filled, ages = g.scan(body, starts, [values, gaps, mask])
    for name, state in zip(("carried", "unseen"), after, strict=True):
        rows.after(name, state, shape)
    return filled, ages


def ngrams(g: Graph, model: TextModel, ids: str, rows: Rows) -> str:
    """Writes what the runs of words of an n-gram part add to the logits.

    Args:
        g: The graph.
        model: A model with n-grams that read no letters.
        ids: Word ids, int64 [B, T], 0 beyond a row's length.
        rows: Those of the batch.

    Returns:
        float32 [B, C].
    """
    V, order = model.config.vocab_size, runs_by_size(model.arrays["ngrams.words"], model.config.vocab_size)
    chosen = np.concatenate(order)
    weight, presence, idf = (model.arrays[f"ngrams.{name}"][chosen] for name in ("weight", "presence", "idf"))
    runs = [model.arrays["ngrams.words"][rows_, :n].astype(np.int64) for n, rows_ in enumerate(order, 1)]
    one, two = g.constant([1], np.int64), g.constant([0, 1, 0, 1], np.int64)
    padded = g("Pad", ids, two, g.constant(0, np.int64))
    width = g("Gather", g("Shape", padded), g.constant(1, np.int64))
    places = g("Range", g.constant(0, np.int64), width, g.constant(1, np.int64))
    end = g("Unsqueeze", g("Add", rows.lengths, one), one)
    at_ends = g("Or", g("Equal", places, g.constant([[0]], np.int64)), g("Equal", places, end))
    marked = g("Where", at_ends, g.constant(V, np.int64), padded)
    offsets = np.cumsum([0, *(of_one.size for of_one in runs)])[:-1]
    counts = g(
        "TfIdfVectorizer",
        marked,
        mode="TF",
        min_gram_length=1,
        max_gram_length=len(runs),
        max_skip_count=0,
        ngram_counts=offsets.tolist(),
        ngram_indexes=list(range(len(chosen))),
        pool_int64s=np.concatenate([of_one.ravel() for of_one in runs]).tolist(),
    )
    zero, unit = g.constant(0, np.float32), g.constant(1, np.float32)
    full = g("Unsqueeze", g("Greater", rows.lengths, g.constant(0, np.int64)), one)
    counts = g("Where", full, counts, zero)  # of a text without words the marks stand side by side, and are no run
    there = g("Greater", counts, zero)
    amounts = g("Where", there, g("Add", unit, g("Log", g("Max", counts, unit))), zero)
    squares = g("MatMul", g("Mul", amounts, amounts), g.constant(idf[:, None].astype(np.float64) ** 2, np.float32))
    norms = g("Sqrt", g("Where", g("Greater", squares, zero), squares, unit))
    sums = g("Div", g("MatMul", amounts, g.constant(weight, np.float32, "ngrams.weight")), norms)
    present = g("Cast", there, to=code(np.float32))
    margins = g("Add", sums, g("MatMul", present, g.constant(presence, np.float32, "ngrams.presence")))
    if len(model.labels) > 2:
        return margins
    return g("MatMul", margins, g.constant([[-0.5, 0.5]], np.float32))


def runs_by_size(words: npt.NDArray[np.float32], vocab_size: int) -> list[npt.NDArray[np.intp]]:
    """Lists the rows of runs of 1, 2, … words that a text can hold; a mark alone is none.

    Args:
        words: Word ids, float32 [P, O], see `models.ngrams.keys_of`.
        vocab_size: V, the id of the mark.
    """
    sizes = (np.cumprod(words != 0, axis=1) > 0).sum(axis=1)
    whole = (words != 0).sum(axis=1) == sizes
    whole &= ~((sizes == 1) & (words[:, 0] == vocab_size))
    return [np.flatnonzero(whole & (sizes == n)) for n in range(1, words.shape[1] + 1)]
