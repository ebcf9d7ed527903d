"""What the page asks and what it is told, as messages of pydantic.

Every question holds the whole input: nothing is remembered between two questions. What runs along the steps is in the
order of the text, whatever the direction in which a layer has walked it.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from tidegate.models.text_model import TextModel
from tidegate.ops.names import parameter_names
from tidegate.ops.trace import Trace

Array = npt.NDArray[Any]

MOST_STEPS = 5_000
LONGEST_TEXT = 200_000  # characters

Gate = Literal["reset", "update", "candidate", "hidden", "kept", "preactivation"]
Numbers = list[float]
Share = Annotated[float, Field(ge=0, le=1)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null", allow_inf_nan=True)


class Question(_Message):
    """What is read: a text, or vectors [T, E] in the place of its words."""

    text: str | None = Field(default=None, max_length=LONGEST_TEXT)
    vectors: list[Numbers] | None = Field(default=None, max_length=MOST_STEPS)

    def source(self, model: TextModel) -> str | Array:
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
                raise ValueError(
                    f"row {row} has {len(vector)} numbers, expected {width}: the model reads {width} a step"
                )
        return np.array(self.vectors or (), np.float32).reshape(-1, width)


class Place(Question):
    """One layer in one direction."""

    layer: int = Field(default=0, ge=0)
    reverse: bool = False

    def trace(self, model: TextModel) -> Trace:
        """Reads the input and returns what this layer did.

        Raises:
            ValueError: There is no such layer.
        """
        return self.find(model.trace(self.source(model)))

    def find(self, traces: Sequence[Trace]) -> Trace:
        """Returns the trace of this layer in this direction.

        Raises:
            ValueError: There is no such layer.
        """
        for trace in traces:
            if (trace.layer, trace.reverse) == (self.layer, self.reverse):
                return trace
        where = f"layer {self.layer}" + ", reverse" * self.reverse
        raise ValueError(f"the model has no {where}, expected one of its {len(traces)} layers and directions")

    def weights(self, model: TextModel) -> list[Array]:
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
    candidate: float | None = Field(default=None, ge=-1e6, le=1e6)


class Facts(_Message):
    """What the page must know of the model. Of a GRU, the gates in `off` are fixed at r = 1 or z = 0."""

    name: str
    cell: str
    gated: bool
    off: list[Gate]
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
    """Each word's share of each class's score: bias + initial + the sum of contributions [T, C] = logits.

    `unknown` are the steps of words outside the vocabulary, `leading` is the unit that counts most, `remark` is what
    one must know of the model to read this.
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
    """How much of each word's deposit is in the state after each step: Σ over units of |what is left|.

    The rows of amounts belong to the words in `top`; one row more holds all other words and the initial state. `own` is
    how much each word has in the state after its own step.
    """

    top: list[int]
    amounts: list[Numbers]
    own: Numbers


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
