"""The numbers of the page's pictures: one function for each question, from a trained model."""

from base64 import b64encode
from typing import Any

import numpy as np

from tidegate.inspection import ledger
from tidegate.inspection.explain import Explanation, explain, what_if
from tidegate.inspection.gradient_flow import flow
from tidegate.inspection.units import memory
from tidegate.models.text_model import TextModel
from tidegate.ops.cells import Cell
from tidegate.ops.names import parameter_names
from tidegate.ops.trace import Trace, outputs_of
from tidegate.sequences.recurrent import Recurrent
from tidegate.serve import messages
from tidegate.serve.messages import Array, Gate, GateQuestion, Place, Question, UnitQuestion, WhatIfQuestion
from tidegate.text.tokenizer import UNK, visible

TOP_WORDS = 8


def facts(model: TextModel, name: str) -> messages.Facts:
    """Describes the model to the page."""
    config = model.config
    cell = config.recurrent_cell if config.recurrent else None
    return messages.Facts(
        name=name,
        cell=str(cell or config.cell),
        gated=bool(cell and cell.gates),
        off=_off(cell) if cell else [],
        labels=list(config.labels),
        layers=config.num_layers if config.recurrent else 0,
        directions=1 + config.bidirectional,
        units=config.hidden_size,
        embedding_size=config.embedding_size,
        summary=model.summary,
        longest=config.max_length,
        parameters=sum(array.size for array in model.arrays.values()),
        gates=_gates(cell) if cell else [],
    )


def words(model: TextModel, question: Question) -> messages.Words:
    """Shares the score of each class among the words."""
    source = question.source(model)
    told = explain(model, source)
    unknown, left_out = [], 0
    if isinstance(source, str):
        (ids,) = model.tokenizer.encode_batch([source])
        left_out = len(ids) - len(told.words)
        unknown = np.flatnonzero(ids[: len(told.words)] == model.tokenizer.vocab.index(UNK)).tolist()
    return messages.Words(
        words=list(map(visible, told.words)),
        unknown=unknown,
        left_out=left_out,
        contributions=_rounded(told.contributions),
        probability_after=_rounded(told.probability_after),
        probabilities=_rounded(told.probabilities),
        logits=_rounded(told.logits),
        bias=_rounded(told.bias),
        initial=_rounded(told.initial),
        kept=_rounded(told.kept),
        leading=_leading(model, told),
        error=told.error,
        remark=told.remark,
    )


def heat_map(model: TextModel, question: GateQuestion) -> messages.HeatMap:
    """Lays out the values of one gate of all units, those with the longest memory first."""
    trace = question.trace(model)
    values = _values(trace, question.gate)
    update = _values(trace, "update") if trace.update is not None else np.zeros_like(values)
    kept = update.mean(axis=0) if len(update) else np.zeros(values.shape[1])
    low, high = (0.0, 1.0) if question.gate in {"reset", "update", "kept"} else _range(values)
    scaled = ((values - low) * (65535 / (high - low))).round().clip(0, 65535).astype("<u2")
    return messages.HeatMap(
        steps=len(values),
        units=values.shape[1],
        low=low,
        high=high,
        order=np.argsort(-kept, kind="stable").tolist(),
        memory=_rounded(memory(kept).clip(max=1e6)),
        values=b64encode(scaled.tobytes()).decode(),
    )


def stream(model: TextModel, question: Place) -> messages.Stream:
    """Follows the deposits of the words through the steps after them.

    Raises:
        ValueError: The cell keeps no deposits.
    """
    trace = question.trace(model)
    followed = ledger.stream(trace, TOP_WORDS)
    own = np.abs((1 - _values(trace, "update")) * _values(trace, "candidate")).sum(axis=1)
    return messages.Stream(top=followed.steps.tolist(), amounts=_rounded(followed.amounts), own=_rounded(own))


def flow_curves(model: TextModel, question: Place) -> messages.Flow:
    """Measures how strongly the end of a layer's walk depends on its earlier states.

    Beside a GRU stands the vanilla RNN of the same size on the same input: r ≡ 1 and z ≡ 0 make it of the GRU.
    """
    trace, weights = question.trace(model), question.weights(model)
    vanilla = None
    if trace.cell.gates:
        names = parameter_names(0, reverse=False, bias=len(weights) == 4)
        twin = Recurrent(dict(zip(names, weights, strict=True)), trace.cell._replace(reset="off", update="off"))
        x = _input(model, question)
        (without,) = twin.trace(np.ascontiguousarray(x[::-1]) if trace.reverse else x)
        vanilla = _curve(without, weights[1], trace.reverse)
    return messages.Flow(this=_curve(trace, weights[1], trace.reverse), vanilla=vanilla)


def unit(model: TextModel, question: UnitQuestion) -> messages.Unit:
    """Lists all that goes through one unit.

    Raises:
        ValueError: There is no such unit.
    """
    trace, (w_ih, w_hh, *biases) = question.trace(model), question.weights(model)
    H = w_hh.shape[1]
    if question.unit >= H:
        raise ValueError(f"unit is {question.unit}, expected 0..{H - 1}: the layer has {H} units")
    walk = trace.walk()
    previous = walk.previous[::-1] if trace.reverse else walk.previous
    rows = slice(question.unit, None, H)
    b_ih, b_hh = (bias[rows, None] for bias in biases) if biases else (0, 0)
    return messages.Unit(
        previous=_rounded(previous[:, question.unit]),
        hidden=_rounded(trace.hidden[:, 0, question.unit]),
        gates={gate: _rounded(_values(trace, gate)[:, question.unit]) for gate in trace.cell.trace},
        from_input=_rounded(w_ih[rows] @ _input(model, question)[:, 0].T + b_ih),
        from_memory=_rounded(w_hh[rows] @ previous.T + b_hh),
    )


def answer(model: TextModel, question: WhatIfQuestion) -> messages.Answer:
    """Sets gates of one unit at one step by hand, and computes all that comes after it anew."""
    told = what_if(
        model,
        question.source(model),
        layer=question.layer,
        reverse=question.reverse,
        step=question.step,
        unit=question.unit,
        reset=question.reset,
        update=question.update,
        candidate=question.candidate,
    )
    trace = question.find(told.traces)
    return messages.Answer(
        before=_rounded(told.probabilities_before),
        after=_rounded(told.probabilities),
        hidden=_rounded(told.hidden[:, question.unit]),
        gates={
            gate: _rounded(_values(trace, gate)[question.step, question.unit])
            for gate in ("reset", "update", "candidate")
        },
    )


def _rounded(array: Array) -> Any:
    """Makes lists of an array: six digits behind the point, for more than that no picture has room."""
    return np.asarray(array, np.float64).round(6).tolist()


def _values(trace: Trace, gate: str) -> Array:
    """Returns one kind of values, [T, H]; "kept" is the share of each deposit in the state at the end of the walk.

    Raises:
        ValueError: The cell has no such gate.
    """
    if gate == "kept" and trace.update is not None:
        update = trace.walk().update
        assert update is not None  # noqa: S101 - for mypy: this is a GRU
        last = np.zeros(update.shape)
        last[-1:] = 1
        kept = ledger.unroll(update.astype(np.float64), last)
        return kept[::-1] if trace.reverse else kept
    array = getattr(trace, gate, None)
    if array is None:
        raise ValueError(f"gate is {gate!r}, expected one that a cell of the kind {trace.cell!s} has")
    values: Array = np.asarray(array)[:, 0]
    return values


def _gates(cell: Cell) -> list[Gate]:
    """Lists the values of a cell that are worth a map; those that are the same everywhere are not."""
    if not cell.gates:
        return ["hidden", "preactivation"]
    gates: list[Gate] = ["update", "reset", "candidate", "hidden", "kept"]
    off = _off(cell)
    return [gate for gate in gates if gate not in off and not (gate == "kept" and "update" in off)]


def _off(cell: Cell) -> list[Gate]:
    """Lists the gates that are the same at every step; a vanilla RNN has none."""
    gates: tuple[Gate, ...] = ("reset", "update")
    return [gate for gate in gates if getattr(cell, gate) == "off"]


def _leading(model: TextModel, told: Explanation) -> int:
    """Names the unit of the last layer, walking forward, that most of the scores' difference comes from.

    It is 0 where there are no units.
    """
    if not model.config.recurrent:
        return 0
    weight, H = model.arrays["head.weight"], model.config.hidden_size
    pull = (np.abs(told.balance.sum(axis=0)) * weight.std(axis=0)).reshape(-1, 1 + model.config.bidirectional, H)
    return int(np.argmax(pull[:, 0].sum(axis=0)))


def _range(values: Array) -> tuple[float, float]:
    """Returns the smallest symmetric range around 0 that holds the values, [−1, 1] at least."""
    reach = max(1.0, float(np.abs(values).max(initial=0)))
    return -reach, reach


def _input(model: TextModel, question: Place) -> Array:
    """Returns what the layer reads, float32 [T, 1, ·]: the words' vectors, or the states of the layer below."""
    source = question.source(model)
    if question.layer == 0:
        return model.embed(source).x
    return outputs_of(model.trace(source), question.layer - 1)


def _curve(trace: Trace, w_hh: Array, reverse: bool) -> messages.Curve:
    """Puts the gradient flow of a walk in the order of the text, 0 at its end; the initial state is left out."""
    measured = flow(trace, w_hh, spectral=False)
    logs = measured.by_distance[:-1]
    log_norm = [round(log, 4) if np.isfinite(log) else None for log in (logs if reverse else logs[::-1]).tolist()]
    rate = float(measured.rate)
    return messages.Curve(log_norm=log_norm, rate=rate if np.isfinite(rate) else None, verdict=measured.verdict)
