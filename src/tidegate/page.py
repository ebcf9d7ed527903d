"""What the page asks and what it is told: the numbers of each picture, as messages of pydantic.

Every question holds the whole input: nothing is remembered between two questions. What runs along the steps is in the
order of the text, whatever the direction in which a layer has walked it.
"""

from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from tidegate.cells import Cell
from tidegate.explain import explain, what_if
from tidegate.gradient_flow import flow
from tidegate.ledger import unroll
from tidegate.model import Model, softmax
from tidegate.recurrent import Recurrent
from tidegate.stacks import parameter_names
from tidegate.text import UNK
from tidegate.trace import Trace

Array = npt.NDArray[Any]

MOST_STEPS = 5_000
LONGEST_TEXT = 200_000  # characters
TOP_WORDS = 8

Gate = Literal["reset", "update", "candidate", "hidden", "kept", "preactivation"]
Numbers = list[float]
Share = Annotated[float, Field(ge=0, le=1)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null", allow_inf_nan=True)


class Question(_Message):
    """What is read: a text, or vectors [T, E] in the place of its words."""

    text: str | None = Field(None, max_length=LONGEST_TEXT)
    vectors: list[Numbers] | None = Field(None, max_length=MOST_STEPS)

    def source(self, model: Model) -> str | Array:
        """Returns the text or the array.

        Raises:
            ValueError: It is neither or both, the rows are of different sizes, or the text is too long for a page.
        """
        if (self.text is None) == (self.vectors is None):
            raise ValueError("the question holds neither or both of text and vectors, expected one of them")
        if self.text is not None:
            count = len(model.tokenizer.words(self.text, model.config.max_length))
            if count > MOST_STEPS:
                raise ValueError(f"the text has {count:,} words, expected at most {MOST_STEPS:,} on the page")
            return self.text
        width = model.config.embedding_size
        for row, vector in enumerate(self.vectors or (), 1):
            if len(vector) != width:
                raise ValueError(f"row {row} has {len(vector)} numbers, expected {width}: the model reads {width} a step")
        return np.array(self.vectors or (), np.float32).reshape(-1, width)


class Place(Question):
    """One layer in one direction."""

    layer: int = Field(0, ge=0)
    reverse: bool = False

    def trace(self, model: Model) -> Trace:
        """Reads the input and returns what this layer did.

        Raises:
            ValueError: There is no such layer.
        """
        return _at(model.trace(self.source(model)), self)

    def weights(self, model: Model) -> list[Array]:
        """Returns w_ih [G·H, ·] and w_hh [G·H, H], and if there are biases b_ih and b_hh [G·H]."""
        names = parameter_names(self.layer, self.reverse, model.config.bias)
        return [model.arrays[f"rnn.{name}"] for name in names]


class GateQuestion(Place):
    """Which values a heat map shows."""

    gate: Gate


class UnitQuestion(Place):
    """One unit of a layer."""

    unit: int = Field(ge=0)


class WhatIfQuestion(UnitQuestion):
    """A step of a unit whose gates are set by hand."""

    step: int = Field(ge=0)
    reset: Share | None = None
    update: Share | None = None
    candidate: float | None = Field(None, ge=-1e6, le=1e6)


class Facts(_Message):
    """What the page must know of the model."""

    name: str
    cell: str
    gated: bool
    labels: list[str]
    layers: int
    directions: int
    units: int
    embedding_size: int
    summary: str
    longest: int | None
    parameters: int
    gates: list[Gate]


class Words(_Message):
    """Each word's share of each class's score. bias + initial + the sum of contributions [T, C] = logits."""

    words: list[str]
    unknown: list[int]
    left_out: int
    contributions: list[Numbers]
    probability_after: list[Numbers]
    probabilities: Numbers
    logits: Numbers
    bias: Numbers
    initial: Numbers
    kept: Numbers
    error: float


class HeatMap(_Message):
    """Values [T, H] of 16 bits, little-endian in base64: low + value / 65535 · (high − low)."""

    steps: int
    units: int
    low: float
    high: float
    order: list[int]
    memory: Numbers
    values: str


class Stream(_Message):
    """How much of each word's deposit is in the state after each step: Σ over units of |what is left|.

    The rows of amounts belong to the words in `top`; one row more holds all other words and the initial state.
    """

    top: list[int]
    amounts: list[Numbers]


class Curve(_Message):
    """log10 of ‖∂h_end/∂h_t‖ / √H for the state after each step, how it grows in a step, and that in words."""

    log_norm: list[float | None]
    rate: float | None
    verdict: str


class Flow(_Message):
    """The gradient flow of a layer, and of the vanilla RNN with the weights of its candidate."""

    this: Curve
    vanilla: Curve | None


class Unit(_Message):
    """One unit at every step. `from_input` and `from_memory` hold W x + b_ih and U h + b_hh of each gate, [T] each."""

    previous: Numbers
    hidden: Numbers
    gates: dict[str, Numbers]
    from_input: list[Numbers]
    from_memory: list[Numbers]


class Answer(_Message):
    """The probabilities as they are and as they would be, and the unit's gates at the step and its states from then on.

    States before the step, in the order in which the layer walks, are as they were.
    """

    before: Numbers
    after: Numbers
    hidden: Numbers
    gates: dict[str, float]


def facts(model: Model, name: str) -> Facts:
    """Describes the model to the page."""
    config = model.config
    cell = config.recurrent_cell if config.recurrent else None
    return Facts(
        name=name,
        cell=str(cell or config.cell),
        gated=bool(cell and cell.gated),
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


def words(model: Model, question: Question) -> Words:
    """Shares the score of each class among the words."""
    source = question.source(model)
    told = explain(model, source)
    unknown, left_out = [], 0
    if isinstance(source, str):
        (ids,) = model.tokenizer.encode_batch([source])
        left_out = len(ids) - len(told.words)
        unknown = np.flatnonzero(ids[: len(told.words)] == model.tokenizer.vocab.index(UNK)).tolist()
    return Words(
        words=list(told.words),
        unknown=unknown,
        left_out=left_out,
        contributions=_rounded(told.contributions),
        probability_after=_rounded(told.probability_after),
        probabilities=_rounded(softmax(told.logits[None])[0]),
        logits=_rounded(told.logits),
        bias=_rounded(told.bias),
        initial=_rounded(told.initial),
        kept=_rounded(told.kept),
        error=told.error,
    )


def heat_map(model: Model, question: GateQuestion) -> HeatMap:
    """Lays out the values of one gate of all units, those with the longest memory first."""
    trace = question.trace(model)
    values = _values(trace, question.gate)
    update = _values(trace, "update") if trace.update is not None else np.zeros_like(values)
    kept = update.mean(axis=0) if len(update) else np.zeros(values.shape[1])
    low, high = (0.0, 1.0) if question.gate in {"reset", "update", "kept"} else _range(values)
    scaled = ((values - low) * (65535 / (high - low))).round().clip(0, 65535).astype("<u2")
    return HeatMap(
        steps=len(values),
        units=values.shape[1],
        low=low,
        high=high,
        order=np.argsort(-kept, kind="stable").tolist(),
        memory=_rounded(1 / np.maximum(1e-6, 1 - kept)),
        values=b64encode(scaled).decode(),
    )


def stream(model: Model, question: Place) -> Stream:
    """Follows the deposits of the words through the steps after them.

    The words named are those whose deposits were largest over the whole time that they were there.

    Raises:
        ValueError: The cell keeps no deposits.
    """
    trace = question.trace(model)
    walk = trace.walk()
    if walk.update is None or walk.candidate is None:
        raise ValueError("a vanilla RNN writes its state anew at every step: there are no deposits to follow")
    carry = walk.update.astype(np.float64)
    deposits = np.abs((1 - carry) * walk.candidate)
    lifetime = (deposits * unroll(carry, np.ones_like(carry))).sum(axis=1)
    top = np.sort(np.argsort(-lifetime, kind="stable")[:TOP_WORDS])
    total, left = np.abs(np.asarray(trace.h0)[0]).astype(np.float64), np.zeros((len(top), carry.shape[1]))
    amounts = np.zeros((len(top) + 1, len(carry)))
    for t, z in enumerate(carry):
        total, left = z * total + deposits[t], z * left
        left[top == t] = deposits[t]
        amounts[:-1, t] = left.sum(axis=1)
        amounts[-1, t] = total.sum() - amounts[:-1, t].sum()
    if trace.reverse:
        top, amounts = len(carry) - 1 - top, amounts[:, ::-1]
    return Stream(top=top.tolist(), amounts=_rounded(amounts.clip(0)))


def gradient_flow(model: Model, question: Place) -> Flow:
    """Measures how strongly the end of a layer's walk depends on its earlier states.

    Beside a GRU stands the vanilla RNN of the same size on the same input: r ≡ 1 and z ≡ 0 make it of the GRU.
    """
    trace, weights = question.trace(model), question.weights(model)
    vanilla = None
    if trace.cell.gated:
        names = parameter_names(0, reverse=False, bias=len(weights) == 4)
        twin = Recurrent(dict(zip(names, weights, strict=True)), trace.cell._replace(reset="off", update="off"))
        x = _input(model, question)
        (without,) = twin.trace(np.ascontiguousarray(x[::-1]) if trace.reverse else x)
        vanilla = _curve(without, weights[1], trace.reverse)
    return Flow(this=_curve(trace, weights[1], trace.reverse), vanilla=vanilla)


def unit(model: Model, question: UnitQuestion) -> Unit:
    """Lists all that goes through one unit.

    Raises:
        ValueError: There is no such unit.
    """
    trace, (w_ih, w_hh, *biases) = question.trace(model), question.weights(model)
    H = _checked_unit(question, w_hh.shape[1])
    walk = trace.walk()
    previous = walk.previous[::-1] if trace.reverse else walk.previous
    rows = slice(question.unit, None, H)
    b_ih, b_hh = (bias[rows, None] for bias in biases) if biases else (0, 0)
    gates = trace.cell.kept
    return Unit(
        previous=_rounded(previous[:, question.unit]),
        hidden=_rounded(trace.hidden[:, 0, question.unit]),
        gates={gate: _rounded(_values(trace, gate)[:, question.unit]) for gate in gates},
        from_input=_rounded(w_ih[rows] @ _input(model, question)[:, 0].T + b_ih),
        from_memory=_rounded(w_hh[rows] @ previous.T + b_hh),
    )


def answer(model: Model, question: WhatIfQuestion) -> Answer:
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
    trace = _at(told.traces, question)
    return Answer(
        before=_rounded(told.probabilities_before),
        after=_rounded(told.probabilities),
        hidden=_rounded(told.hidden[:, question.unit]),
        gates={gate: _rounded(_values(trace, gate)[question.step, question.unit]) for gate in _GATES},
    )


_GATES = ("reset", "update", "candidate")


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
        kept = unroll(update.astype(np.float64), last)
        return kept[::-1] if trace.reverse else kept
    array = getattr(trace, gate, None)
    if array is None:
        raise ValueError(f"gate is {gate!r}, expected one that a cell of the kind {trace.cell!s} has")
    values: Array = np.asarray(array)[:, 0]
    return values


def _gates(cell: Cell) -> list[Gate]:
    """Lists the values of a cell that are worth a map; those that are the same everywhere are not."""
    if not cell.gated:
        return ["hidden", "preactivation"]
    update: list[Gate] = ["update", "kept"] if cell.update == "on" else []
    reset: list[Gate] = ["reset"] if cell.reset != "off" else []
    return [*update[:1], *reset, "candidate", "hidden", *update[1:]]


def _at(traces: Sequence[Trace], place: Place) -> Trace:
    """Returns the trace of a layer in one direction.

    Raises:
        ValueError: There is no such layer.
    """
    for trace in traces:
        if (trace.layer, trace.reverse) == (place.layer, place.reverse):
            return trace
    where = f"layer {place.layer}" + ", reverse" * place.reverse
    raise ValueError(f"the model has no {where}, expected one of its {len(traces)} layers and directions")


def _range(values: Array) -> tuple[float, float]:
    """Returns the smallest symmetric range around 0 that holds the values, [−1, 1] at least."""
    reach = max(1.0, float(np.abs(values).max(initial=0)))
    return -reach, reach


def _input(model: Model, question: Place) -> Array:
    """Returns what the layer reads, float32 [T, 1, ·]: the words' vectors, or the states of the layer below."""
    source = question.source(model)
    if question.layer == 0:
        return model.embed(source).x
    return np.concatenate([t.hidden for t in model.trace(source) if t.layer == question.layer - 1], axis=2)


def _curve(trace: Trace, w_hh: Array, reverse: bool) -> Curve:
    """Puts the gradient flow of a walk in the order of the text, 0 at its end; the initial state is left out."""
    measured = flow(trace, w_hh, spectral=False)
    logs = measured.by_distance[:-1]
    log_norm = [round(log, 4) if np.isfinite(log) else None for log in (logs if reverse else logs[::-1]).tolist()]
    rate = float(measured.rate)
    return Curve(log_norm=log_norm, rate=rate if np.isfinite(rate) else None, verdict=measured.verdict)


def _checked_unit(question: UnitQuestion, units: int) -> int:
    """Returns the number of units of the layer.

    Raises:
        ValueError: The one that is asked for is not among them.
    """
    if question.unit >= units:
        raise ValueError(f"unit is {question.unit}, expected 0..{units - 1}: the layer has {units} units")
    return units
