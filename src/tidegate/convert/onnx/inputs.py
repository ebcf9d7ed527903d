"""What a network reads as nodes of ONNX: features in their own units, with gaps."""

from collections.abc import Sequence

import numpy as np

from tidegate.convert.arrays import SCALE
from tidegate.convert.onnx.network import Rows, code, zeros
from tidegate.convert.onnx.writer import Graph
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
    center, spread = map(g.constant, (features.center, features.scale), [np.float64] * 2, SCALE)
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
