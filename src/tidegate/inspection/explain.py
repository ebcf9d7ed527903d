"""What a model's answer is made of: each word's contribution, exactly, and what another gate would have changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.inspection.ledger import Ledger, draw_ledger, draw_vector_ledger
from tidegate.inspection.network import Network, Source
from tidegate.ops.cells.activations import ACTIVATIONS
from tidegate.ops.trace import Trace, outputs_of
from tidegate.sequences.embedded import Embedded, softmax
from tidegate.sequences.recurrent import Recurrent
from tidegate.sequences.summaries import summarize

Array = npt.NDArray[np.float64]

_REWRITES = (
    "without an update gate nothing is kept but through the matrix, and the ledger credits the steps whose states are "
    "summarised; integrated gradients and occlusion look further back"
)
_REMARKS = {
    "average": "an average has no memory that changes: it keeps the same share of every word",
    "compound": "compounding has no gates: what it keeps of a word depends on its place alone",
}


def _remark(model: Network) -> str:
    """Returns what one must know to read the ledger of a model that is no GRU or LSTM which keeps what it has written."""
    if model.stack is None:
        return _REMARKS[model.cell_name]
    cell = model.stack.cell
    return _REWRITES if cell.keeps is None or cell.options.get(cell.keeps) == "off" else ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Attribution:
    """How much each word of a text counts, by any method.

    Attributes:
        words: T words; "1", "2", … where the model was given vectors.
        labels: The C classes.
        logits: float64 [C].
        contributions: What each word adds to each logit, float64 [T, C].
    """

    words: tuple[str, ...]
    labels: tuple[str, ...]
    logits: Array
    contributions: Array

    @property
    def probabilities(self) -> Array:
        """Probability of each class, float64 [C]."""
        probabilities: Array = softmax(self.logits[None])[0]
        return probabilities

    def towards(self, label: int) -> Array:
        """Computes what each word adds to the `margin` of a class, float64 [T]."""
        return margin(self.contributions, label)


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation(Attribution):
    """The ledger of an answer: `bias + initial + contributions.sum(axis=0)` are the logits, up to rounding.

    A word is credited with what the step that read it wrote into the memory, as far as it is still there at the end.

    Attributes:
        bias: Of the head, float64 [C].
        initial: What is left of the initial state, float64 [C]: 0, as a model starts from 0.
        probability_after: Probabilities after each word, as if the text ended there, float64 [T, C].
        kept: Share of each word's deposit that is in the summary vector: |balance| over |deposit|, each summed over
            the features, float64 [T].
        deposits: What each word paid in, float64 [T, F].
        balance: What of it is in the summary vector, float64 [T, F].
        error: The largest difference between the sum of the account and a logit.
        traces: The gates of every step, layer by layer, forward before reverse; none for a model without them.
        remark: What one must know of such a model to read its ledger; empty for a GRU that keeps what it has written.
    """

    bias: Array
    initial: Array
    probability_after: Array
    kept: Array
    deposits: Array
    balance: Array
    error: float
    traces: tuple[Trace, ...]
    remark: str

    def as_dict(self) -> dict[str, Any]:
        """The figures as lists and plain numbers, ready for JSON."""
        arrays = ("logits", "bias", "initial", "contributions", "probability_after", "kept")
        names = {"words": list(self.words), "labels": list(self.labels)}
        return names | {name: getattr(self, name).tolist() for name in arrays}


def explain(model: Network, source: Source) -> Explanation:
    """Accounts for a model's answer to one text.

    A vanilla RNN, which keeps nothing from one step to the next but through its matrix, credits all to the steps whose
    states are in its summary: to the last word, if that is the last state. The `remark` says so.

    Example:
        >>> from tidegate import TextConfig, TextModel
        >>> from tidegate.text.tokenizer import Tokenizer
        >>> tokenizer = Tokenizer.train(["a fine film"], min_frequency=1)
        >>> config = TextConfig(cell="average", labels=("bad", "good"), vocab_size=len(tokenizer), embedding_size=1)
        >>> arrays = {
        ...     "embedding.weight": np.array([[word == "fine"] for word in tokenizer.vocab], np.float32),
        ...     "head.weight": np.array([[-3], [3]], np.float32),
        ...     "head.bias": np.zeros(2, np.float32),
        ... }
        >>> explanation = explain(TextModel(config, tokenizer, arrays), "a fine film")
        >>> dict(zip(explanation.words, explanation.contributions[:, 1].tolist()))
        {'a': 0.0, 'fine': 1.0, 'film': 0.0}

    Args:
        model: The model.
        source: One text, or vectors [T, E] of numbers in the place of its words.

    Raises:
        TypeError: The source is neither.
        ValueError: The vectors are of another size or not finite.
    """
    embedded = embed_single(model, source)
    ledger, outputs, traces = _ledger(model, embedded)
    weight, bias = model.head_weight.astype(np.float64), model.head_bias.astype(np.float64)
    logits = model.head(ledger.summary[None])[0].astype(np.float64)
    contributions, initial = ledger.contributions(weight), weight @ ledger.opening
    after = softmax(model.head(model.summaries_so_far(embedded.x, outputs)))
    paid, left = (np.abs(amounts).sum(axis=1) for amounts in (ledger.deposits, ledger.balance))
    return Explanation(
        words=words_of(embedded),
        labels=model.labels,
        logits=logits,
        contributions=contributions,
        bias=bias,
        initial=initial,
        probability_after=after.astype(np.float64),
        kept=np.divide(left, paid, out=np.zeros_like(paid), where=paid > 0),
        deposits=ledger.deposits,
        balance=ledger.balance,
        error=float(np.abs(bias + initial + contributions.sum(axis=0) - logits).max()),
        traces=tuple(traces),
        remark=_remark(model),
    )


class WhatIf(NamedTuple):
    """What another value of a gate would have made of a text.

    Attributes:
        logits_before: As the model has them, float64 [C].
        logits: With the gate set by hand, float64 [C].
        probabilities_before: float64 [C].
        probabilities: float64 [C].
        hidden: States of the layer after each word, in the order of the words, float32 [T, H].
        traces: The gates of every step, layer by layer, forward before reverse.
    """

    logits_before: Array
    logits: Array
    probabilities_before: Array
    probabilities: Array
    hidden: npt.NDArray[np.float32]
    traces: tuple[Trace, ...]


def what_if(
    model: Network,
    source: Source,
    *,
    layer: int = 0,
    reverse: bool = False,
    step: int,
    unit: int,
    reset: float | None = None,
    update: float | None = None,
    candidate: float | None = None,
) -> WhatIf:
    """Sets gates of one unit at one step by hand, and reads on.

    The unit's new state follows from the GRU's equations; the steps after it and the layers above run natively. With
    the values that the gates have, every bit stays.

    Args:
        model: A model of GRU layers.
        source: One text, or vectors [T, E] of numbers in the place of its words.
        layer: Index of the layer.
        reverse: Whether it is the layer that walks from the end to the start.
        step: Index of the word, from 0.
        unit: Index of the unit, from 0.
        reset: New r in 0..1; None to leave it.
        update: New z in 0..1; None to leave it.
        candidate: New n; None for what follows from r.

    Raises:
        TypeError: The source is neither.
        ValueError: The model has no gates, or a value is out of range.
    """
    embedded = embed_single(model, source)
    traces = model.trace(embedded)
    stack: Any = model.stack
    index = layer * (1 + stack.bidirectional) + reverse
    limits = {"layer": stack.num_layers, "reverse": 1 + stack.bidirectional, "step": len(embedded.x)}
    values = {"layer": layer, "reverse": int(reverse), "step": step, "unit": unit}
    for name, limit in (limits | {"unit": stack.hidden_size}).items():
        if not 0 <= values[name] < limit:
            raise ValueError(f"{name} is {values[name]}, expected 0..{limit - 1} for this model and text")
    for name, value in (("reset", reset), ("update", update)):
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}, expected 0..1")
    if candidate is not None and not np.isfinite(candidate):
        raise ValueError(f"candidate is {candidate}, expected a finite number")
    if traces[index].cell.keeps is None:
        raise ValueError(f"a model with the cell {model.cell_name!r} has no gates, expected a GRU")

    changed = traces[index].copy()
    x = (outputs_of(traces, layer - 1) if layer else embedded.x)[step, 0]
    _set(stack, changed, x, (step, 0, unit), {"reset": reset, "update": update, "candidate": candidate})
    results = stack.resume(embedded.x, traces, changed, step)
    before, after = (
        model.head(draw_ledger(some, model.summary).summary[None]).astype(np.float64) for some in (traces, results)
    )
    hidden = results[index].hidden[:, 0]
    return WhatIf(before[0], after[0], softmax(before)[0], softmax(after)[0], hidden, tuple(results))


def margin(logits: Array, label: int) -> Array:
    """Computes how far one class is ahead of the mean of the others: of two, these are the log-odds.

    Args:
        logits: Of all classes, or anything that adds up to them, float64 [..., C].
        label: Index of the class.

    Returns:
        Differences, float64 [...].
    """
    C = logits.shape[-1]
    differences: Array = (C * logits[..., label] - logits.sum(axis=-1)) / (C - 1)
    return differences


def embed_single(model: Network, source: Any) -> Embedded:
    """Embeds one text.

    Raises:
        TypeError: It is neither a text nor vectors.
        ValueError: It is several, or the vectors are of another size or not finite.
    """
    if not isinstance(source, str | np.ndarray | Embedded):
        raise TypeError(f"source is {source!r:.60}, expected one text (str) or vectors, an array [T, E]")
    embedded = model.embed(source)
    if len(embedded.lengths) != 1:
        raise ValueError(f"source has {len(embedded.lengths)} texts, expected one")
    return embedded


def words_of(embedded: Embedded) -> tuple[str, ...]:
    """Names the steps of one sequence: by its words, or by their numbers from 1."""
    if embedded.tokens is None:
        return tuple(str(t + 1) for t in range(len(embedded.x)))
    return embedded.tokens[0]


def _ledger(model: Network, embedded: Embedded) -> tuple[Ledger, npt.NDArray[np.float32], Sequence[Trace]]:
    """Returns the ledger, the outputs of the last layer [T, 1, ·] and the traces, from one run."""
    x, lengths, _ = embedded
    if model.stack:
        traces = model.trace(embedded)
        return draw_ledger(traces, model.summary), outputs_of(traces, traces[-1].layer), traces
    outputs, h_n = model.outputs(x, lengths)
    summary = summarize(outputs, h_n, lengths, model.summary)[0]
    return draw_vector_ledger(x[:, 0], model.rate, summary), outputs, ()


def _set(
    stack: Recurrent,
    trace: Trace,
    x: npt.NDArray[np.float32],
    at: tuple[int, int, int],
    values: dict[str, float | None],
) -> None:
    """Writes gates of one unit into a trace, and the state that follows from them in float64."""
    step, row, unit = at
    arrays: dict[str, Any] = {name: getattr(trace, name) for name in values}
    old = {name: array[at] for name, array in arrays.items()}
    new = old | {name: np.float32(value) for name, value in values.items() if value is not None}
    if new["reset"] != old["reset"] and values["candidate"] is None:
        gate = 2 * stack.hidden_size + unit
        preactivation = stack.weights[f"weight_ih{trace.suffix}"][gate].astype(np.float64) @ x
        if stack.bias:
            preactivation += stack.weights[f"bias_ih{trace.suffix}"][gate]
        assert trace.hn is not None  # noqa: S101 - for mypy: this is a GRU
        activation = ACTIVATIONS[trace.cell.candidate].function
        new["candidate"] = activation(preactivation + np.float64(new["reset"]) * trace.hn[at])
    if new != old:
        before = step + 1 if trace.reverse else step - 1
        previous = trace.hidden[before] if 0 <= before < len(trace.hidden) else trace.h0
        z = np.float64(new["update"])
        trace.hidden[at] = z * previous[row, unit] + (1 - z) * new["candidate"]
    for name, array in arrays.items():
        array[at] = new[name]
