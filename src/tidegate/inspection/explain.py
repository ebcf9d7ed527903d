"""What a model's answer is made of: each word's contribution, exactly."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from tidegate.inspection.ledger import Ledger, draw_ledger, draw_vector_ledger
from tidegate.inspection.network import Inspectable, Reading, Source, beside, beside_so_far, credits_beside, read
from tidegate.ops.trace import Trace, outputs_of
from tidegate.sequences.embedded import softmax
from tidegate.sequences.summaries import summarize

Array = npt.NDArray[np.float64]

_REWRITES = (
    "no gate keeps what was written, so the ledger credits only the steps whose states are summarised; integrated "
    "gradients and occlusion look further back"
)
_SHOWS = (
    "each contribution includes the factor by which the output shows the memory of a unit, {o} × tanh({c})/{c}; a unit "
    "whose {gate} gate is closed contributes nothing, whatever it remembers"
)
_AVERAGES = "an average has no memory that changes: it keeps the same share of every word"
_NO_NETWORK = "there is no network, and so no memory: all that counts are n-grams, whose shares go to their words"
_COMPOUNDS = "compounding has no gates: what it keeps of a word depends on its place alone"


@dataclass(frozen=True, eq=False, kw_only=True)
class Attribution:
    """How much each word of a text counts, by any method.

    Attributes:
        words: T words; "1", "2", … where the model was given vectors.
        labels: The C classes, or the names of the numbers of a regression.
        logits: float64 [C]; of a regression the numbers, as `predict` returns them.
        contributions: What each word adds to each logit, float64 [T, C].
        are_numbers: Whether `logits` are the numbers of a regression, which have no probabilities.
    """

    words: tuple[str, ...]
    labels: tuple[str, ...]
    logits: Array
    contributions: Array
    are_numbers: bool = False

    _by_label: ClassVar[tuple[str, ...]] = ("logits", "contributions")

    @property
    def probabilities(self) -> Array:
        """Probability of each class, float64 [C].

        Raises:
            ValueError: The network is a regression.
        """
        if self.are_numbers:
            raise ValueError("the network predicts numbers, which have no probabilities: they are the `logits` of this")
        probabilities: Array = softmax(self.logits[None])[0]
        return probabilities

    def towards(self, label: int) -> Array:
        """Computes what each word adds to the `margin` of a class, or to a number, float64 [T]."""
        return self.quantity(self.contributions, label)

    def quantity(self, logits: Array, label: int) -> Array:
        """Computes the `margin` of a class, or the number, of logits or what adds up to them, [..., C] to [...]."""
        return logits[..., label] if self.are_numbers else margin(logits, label)

    def as_answered(self, model: Inspectable) -> Self:
        """Gives each label the output that the model answers for it: of quantiles that cross, another one's."""
        order = model.order_of(self.logits)
        found = {name: getattr(self, name) for name in self._by_label}
        ordered: dict[str, Any] = {
            name: array.take(order, axis=-1) for name, array in found.items() if array is not None
        }
        return replace(self, are_numbers=not model.has_probabilities, **ordered)


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation(Attribution):
    """The ledger of an answer: `bias + initial + contributions.sum(axis=0)` are the logits, up to rounding.

    A word is credited with what the step that read it wrote into the memory, as far as it is still there at the end.
    A model with n-grams credits a word also with its share of those that it is part of.

    Attributes:
        bias: Of the head, float64 [C].
        initial: What is left of the initial state, float64 [C]: 0, as a model starts from 0.
        after: Probabilities, or the numbers of a regression, after each word, as if the text ended there,
            float64 [T, C].
        ngrams: What of the contributions is that of n-grams, float64 [T, C]; None where the model has none.
        kept: Share of each word's deposit that is in the summary vector: |balance| over |deposit|, each summed over
            the features, float64 [T]. For an LSTM both the forget gates of later steps and the output gate of the last
            have a part in it, see `Ledger`.
        deposits: What each word paid in, float64 [T, F].
        balance: What of it is in the summary vector, float64 [T, F].
        error: The largest difference between the sum of the account and a logit.
        traces: The gates of every step, layer by layer, forward before reverse; none for a model without them.
        remark: What a reader must know of the model to read its ledger; empty where the output is the memory itself,
            and units keep what they have written, as in a GRU.
    """

    bias: Array
    initial: Array
    after: Array
    ngrams: Array | None
    kept: Array
    deposits: Array
    balance: Array
    error: float
    traces: tuple[Trace, ...]
    remark: str

    _by_label: ClassVar[tuple[str, ...]] = ("logits", "contributions", "bias", "initial", "ngrams")

    @property
    def probability_after(self) -> Array:
        """Probabilities after each word, as if the text ended there, float64 [T, C].

        Raises:
            ValueError: The network is a regression.
        """
        if self.are_numbers:
            raise ValueError("the network predicts numbers, which have no probabilities: `after` has the numbers")
        return self.after

    def as_dict(self) -> dict[str, Any]:
        """The figures as lists and plain numbers, ready for JSON; of a regression with `after`, as they are numbers."""
        after = "after" if self.are_numbers else "probability_after"
        arrays = ("logits", "bias", "initial", "contributions", after, "kept")
        names = {"words": list(self.words), "labels": list(self.labels)}
        ngrams = {} if self.ngrams is None else {"ngrams": self.ngrams.tolist()}
        return names | {name: getattr(self, name).tolist() for name in arrays} | ngrams


def explain(model: Inspectable, source: Source) -> Explanation:
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
        source: One text, or vectors [T, E] of numbers in the place of its words; or what `read` returned for it.

    Raises:
        TypeError: The source is neither.
        ValueError: The vectors are of another size or not finite.
    """
    reading = read(model, source)
    ledger, outputs = _ledger(model, reading)
    weight, bias = model.head_weight.astype(np.float64), model.head_bias.astype(np.float64)
    logits = model.head(ledger.summary[None])[0].astype(np.float64) + beside(model, reading.embedded)[0]
    contributions, initial = ledger.contributions(weight), weight @ ledger.opening
    ngrams = credits_beside(model, reading.embedded)
    contributions = contributions if ngrams is None else contributions + ngrams
    so_far = model.head(model.summaries_so_far(reading.embedded.x, outputs))
    after = model.values_of(so_far + beside_so_far(model, reading.embedded).astype(np.float32))
    paid, left = (np.abs(amounts).sum(axis=1) for amounts in (ledger.deposits, ledger.balance))
    explanation = Explanation(
        words=reading.words,
        labels=model.labels,
        logits=logits,
        contributions=contributions,
        bias=bias,
        initial=initial,
        after=after.astype(np.float64),
        ngrams=ngrams,
        kept=np.divide(left, paid, out=np.zeros_like(paid), where=paid > 0),
        deposits=ledger.deposits,
        balance=ledger.balance,
        error=float(np.abs(bias + initial + contributions.sum(axis=0) - logits).max()),
        traces=reading.traces,
        remark=_remark(model),
    )
    return explanation.as_answered(model)


def margin(logits: Array, label: int) -> Array:
    """Computes how far one class is ahead of the mean of the others: of two, these are the log-odds.

    Args:
        logits: Of all classes, or anything that adds up to them, float64 [..., C].
        label: Index of the class.

    Returns:
        Differences, float64 [...]; where there is one number alone, as in a regression, the number itself.
    """
    C = logits.shape[-1]
    if C == 1:
        return logits[..., 0]
    differences: Array = (C * logits[..., label] - logits.sum(axis=-1)) / (C - 1)
    return differences


def _ledger(model: Inspectable, reading: Reading) -> tuple[Ledger, npt.NDArray[np.float32]]:
    """Returns the ledger, and the outputs of the last layer [T, 1, ·]."""
    (x, lengths, *_), traces = reading
    if traces:
        return draw_ledger(traces, model.summary), outputs_of(traces, traces[-1].layer)
    outputs, h_n = model.outputs(x, lengths)
    summary = summarize(outputs, h_n, lengths, model.summary)[0]
    return draw_vector_ledger(x[:, 0], model.rate, summary), outputs


def _remark(model: Inspectable) -> str:
    """Returns what a reader must know of a model to read its ledger."""
    if not model.head_weight.shape[1]:
        return _NO_NETWORK
    if model.stack is None:
        return _AVERAGES if model.rate is None else _COMPOUNDS
    cell = model.stack.cell
    if not cell.retains:
        return _REWRITES
    if cell.shows is None:
        return ""
    return _SHOWS.format(o=cell.symbols[cell.shows], c=cell.symbols[cell.states[-1]], gate=cell.shows)
