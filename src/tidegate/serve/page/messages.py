"""What the page asks, and what it is answered, as messages of pydantic.

Every question holds the whole input, so that an answer depends on nothing that was asked before. What runs along the
steps is in the order of the text, whatever the direction in which a layer has walked it.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from tidegate.ops.trace import Trace

Array = npt.NDArray[Any]

MOST_STEPS = 5_000
LONGEST_TEXT = 200_000  # characters

Numbers = list[float]
Role = Literal["keeps", "reads", "writes", "shows", "gate", "candidate", "state", "output", "memory", "kept", "other"]


class QuestionError(ValueError):
    """A question that cannot be answered as it was asked; the message says why."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null", allow_inf_nan=True)


class Question(_Message):
    """What is read: a text, or vectors [T, E] in the place of its words."""

    text: str | None = Field(default=None, max_length=LONGEST_TEXT)
    vectors: list[Numbers] | None = Field(default=None, max_length=MOST_STEPS)

    def source(self, width: int) -> str | Array:
        """Returns the text, or the vectors as an array float32 [T, E].

        Args:
            width: E, the numbers that the model reads at each step.

        Raises:
            QuestionError: It is neither or both, the rows are of different sizes, or a number is not finite.
        """
        if (self.text is None) == (self.vectors is None):
            raise QuestionError("the question holds neither or both of text and vectors, expected one of them")
        if self.text is not None:
            return self.text
        for row, vector in enumerate(self.vectors or (), 1):
            if len(vector) != width:
                raise QuestionError(
                    f"row {row} has {len(vector)} numbers, expected {width}: the model reads {width} a step"
                )
        with np.errstate(over="ignore"):
            array = np.array(self.vectors or (), np.float32).reshape(-1, width)
        if not np.isfinite(array).all():
            raise QuestionError(f"the vectors hold {np.count_nonzero(~np.isfinite(array))} numbers that are not finite")
        return array


class Place(Question):
    """One layer in one direction."""

    layer: int = Field(default=0, ge=0)
    reverse: bool = False

    def find(self, traces: Sequence[Trace]) -> Trace:
        """Returns the trace of this layer in this direction.

        Raises:
            QuestionError: There is no such layer.
        """
        for trace in traces:
            if (trace.layer, trace.reverse) == (self.layer, self.reverse):
                return trace
        where = f"layer {self.layer}" + ", reverse" * self.reverse
        raise QuestionError(f"the model has no {where}, expected one of its {len(traces)} layers and directions")


class GateQuestion(Place):
    """Which values a heat map shows: those of a gate or a state by its name, or "kept"."""

    gate: str = Field(max_length=100)


class UnitQuestion(Place):
    """One unit of a layer."""

    unit: int = Field(ge=0)


class WhatIfQuestion(UnitQuestion):
    """A step of a unit whose gates or candidate are set by hand, by name."""

    step: int = Field(ge=0)
    values: dict[str, Annotated[float, Field(ge=-1e6, le=1e6)]] = Field(default={}, max_length=16)


class Value(_Message):
    """A number that each unit has at every step: a gate, the candidate, a state; or the share that is kept to the end.

    `label` is its name for readers with its symbol, `role` what it does, and `off` says that it is the same everywhere.
    """

    name: str
    label: str
    symbol: str
    role: Role
    off: bool = False


class Facts(_Message):
    """What the page must know of the model.

    `kind` is the title of its cell, `title` the same with what was chosen of it; `values` are those that a unit has at
    every step, `maps` the names of those with a heat map; `term` says what a word's term in the score is.
    """

    name: str
    kind: str
    title: str
    labels: list[str]
    layers: int
    directions: int
    units: int
    embedding_size: int
    summary: str
    longest: int | None
    parameters: int
    values: list[Value]
    maps: list[str]
    term: str


class Words(_Message):
    """Each word's share of each class's score: bias + initial + the sum of contributions [T, C] = logits.

    `unknown` are the steps of words outside the vocabulary, `leading` is the unit that counts most, `remark` is what a
    reader must know of the model to read this.
    """

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
    leading: int
    error: float
    remark: str


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
    """How much of each word's deposit is in the memory after each step: Σ over units of |what is left|.

    The rows of amounts belong to the words in `top`; one row more holds all other words and the initial state. `own` is
    how much each word has in the memory after its own step.
    """

    top: list[int]
    amounts: list[Numbers]
    own: Numbers


class Curve(_Message):
    """log10 of ‖∂h_end/∂h_t‖, over that at the end, after each step; how it grows in a step, and that in words."""

    log_norm: list[float | None]
    rate: float | None
    verdict: str


class Flow(_Message):
    """The gradient flow of a layer, and where the cell's gates can be off that of the same layer without gates."""

    this: Curve
    vanilla: Curve | None


class Unit(_Message):
    """One unit at every step, all by name, [T] each: its states before and after the step, and its other values.

    `from_input` and `from_memory` hold W x + b_ih and U v + b_hh of each block of weights, where v is the old output h.
    `reads_first` says that the gate which reads the memory stands before the product, so that v is r ∘ h for the
    candidate.
    """

    before: dict[str, Numbers]
    after: dict[str, Numbers]
    gates: dict[str, Numbers]
    from_input: dict[str, Numbers]
    from_memory: dict[str, Numbers]
    reads_first: bool


class Answer(_Message):
    """The probabilities as they are and as they would be, the unit's values at the step, and its states at all steps.

    States before the step, in the order in which the layer walks, are as they were. `from_memory` is as in `Unit`.
    """

    probabilities_before: Numbers
    probabilities: Numbers
    after: dict[str, Numbers]
    gates: dict[str, float]
    from_memory: dict[str, float]
