"""Two views of what counts that are independent of the ledger: integrated gradients and occlusion."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.inspection.explain import Attribution, explain
from tidegate.inspection.network import Inspectable, Source, beside, credits_beside, embed_single, words_of
from tidegate.inspection.statistics import bootstrap, rank_correlation
from tidegate.ops.trace import Trace
from tidegate.sequences.embedded import Embedded, softmax
from tidegate.sequences.summaries import summary_weights

Array = npt.NDArray[np.float64]
View = Callable[[Inspectable, Any], Attribution]

STEPS = 64
"""Points at which integrated gradients look at the way from nothing to the text."""

_STEPS_AT_ONCE = 16_384  # of words times points, which keeps the gates of all of them at some 40 MB per 128 units


@dataclass(frozen=True, eq=False, kw_only=True)
class IntegratedGradients(Attribution):
    """What integrated gradients say.

    Attributes:
        baseline: Logits of as many zero vectors as the text has words, float64 [C].
        error: The largest difference between `baseline + contributions.sum(axis=0)` and a logit: that of the
            integral, which falls as steps grow.
        by_input: The part of each number of a step, float64 [T, I, C], where the model was given vectors; None for a
            text, whose numbers mean nothing by themselves.
    """

    baseline: Array
    error: float
    by_input: Array | None = None

    _by_label: ClassVar[tuple[str, ...]] = ("logits", "contributions", "baseline", "by_input")


def integrated_gradients(model: Inspectable, source: Source, *, steps: int = STEPS) -> IntegratedGradients:
    """Follows the gradient along the straight way from zero vectors, those of padding, to the words of the text.

    The contribution of word t is x_t · ∫ ∂logit/∂x_t(α x) dα over α = 0..1 (Sundararajan et al. 2017, "Axiomatic
    Attribution for Deep Networks", eq. 1), by the Gauss-Legendre rule. It reads the network through its gates, so that
    a word is also credited with what it made later words write, which the ledger books on those. N-grams are not
    functions of the vectors: their shares are those of the ledger.

    Args:
        model: The model.
        source: One text, or vectors [T, E] of numbers in the place of its words; or what `read` returned for it.
        steps: Points of the rule, 1 or more. Their inputs are rows of one batch.

    Raises:
        TypeError: The source is neither.
        ValueError: Steps are too few, or the vectors are of another size or not finite.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}, expected 1 or more")
    embedded = embed_single(model, source)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    nodes, weights = (nodes + 1) / 2, weights / 2
    x, of_text = embedded.x.astype(np.float64), embedded.tokens is not None
    parts = np.zeros((len(x), 1 if of_text else x.shape[2], len(model.labels)))
    rows = max(1, _STEPS_AT_ONCE // max(1, len(x)))
    for start in range(0, steps, rows):
        some = slice(start, start + rows)
        along = (x * nodes[some, None]).astype(np.float32)
        for label, gradient in enumerate(_input_gradients(model, along)):
            by_input = np.einsum("tse,s->te", gradient, weights[some], optimize=True) * x[:, 0]
            parts[..., label] += by_input.sum(axis=1, keepdims=True) if of_text else by_input
    contributions = parts.sum(axis=1)
    ends = np.concatenate([embedded.x, np.zeros_like(embedded.x)])[:, 0]
    T = len(x)
    logits, baseline = model.head(model.summaries([np.arange(T), np.arange(T, 2 * T)], ends)).astype(np.float64)
    ngrams = credits_beside(model, embedded)
    if ngrams is not None:
        logits, contributions = logits + beside(model, embedded)[0], contributions + ngrams
    gradients = IntegratedGradients(
        words=words_of(embedded),
        labels=model.labels,
        logits=logits,
        contributions=contributions,
        baseline=baseline,
        error=float(np.abs(baseline + contributions.sum(axis=0) - logits).max()),
        by_input=None if of_text else parts,
    )
    return gradients.as_answered(model)


def occlusion(model: Inspectable, source: Source) -> Attribution:
    """Leaves out each word in turn: its contribution is what the logits lose.

    A word is left out, not replaced: the rest is then a text that the model could have met, while a zero vector would
    be one more step at which the gates move the state, and the unknown word has a meaning of its own. The contributions
    do not add up to anything. All T texts are read as one batch, in time that grows with T².

    Args:
        model: The model.
        source: One text, or vectors [T, E] of numbers in the place of its words; or what `read` returned for it.

    Raises:
        TypeError: The source is neither.
        ValueError: The vectors are of another size or not finite.
    """
    embedded = embed_single(model, source)
    steps = np.arange(len(embedded.x))
    without = [np.delete(steps, t) for t in steps]
    logits, *others = _logits(model, embedded, [steps, *without])
    left_out = Attribution(
        words=words_of(embedded),
        labels=model.labels,
        logits=logits,
        contributions=logits - np.reshape(others, (len(steps), len(logits))),
    )
    return left_out.as_answered(model)


Method = Literal["ledger", "integrated-gradients", "occlusion"]
METHODS: dict[str, View] = {
    "ledger": explain,
    "integrated-gradients": integrated_gradients,
    "occlusion": occlusion,
}
"""The three views by their names."""


FRACTIONS = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of the words that the deletion test removes."""

_DRAWS = 5  # of random words for each text: one draw alone would be most of the noise


def compare(
    model: Inspectable,
    texts: Iterable[str],
    seed: int = 0,
    *,
    steps: int = 32,
    views: Mapping[str, View] | None = None,
) -> dict[str, Any]:
    """Asks how well the three views agree, and whether the words that they name do decide.

    Agreement is the rank correlation, over the words of a text, of what two views say for the predicted class. The
    deletion test removes the words that a view ranks highest for that class, one share after another: if they matter,
    its probability falls faster than when random words go. The gain of a view is the area between the two curves, as a
    mean over the shares: how much lower the probability is.

    Args:
        model: The model.
        texts: Texts that it was not trained on; those of less than two words are left out.
        seed: Of the random words and the resampling.
        steps: Of the integrated gradients.
        views: By their names; None for those of `METHODS`.

    Returns:
        What JSON can hold: `texts`, the number of those used; `fractions`; `curves`, the mean probability of the
        predicted class after each share is gone, by view, and for "random"; `gains` by view and `agreement` by pair of
        views, each with `mean`, `low` and `high`, the 95 % bootstrap interval over the texts; `errors`, the largest
        difference of each view that adds up between its sum and a logit.

    Raises:
        TypeError: A text is no `str`.
        ValueError: There is no text of two words or more.
    """
    views = dict(views or METHODS | {"integrated-gradients": partial(integrated_gradients, steps=steps)})
    rng = np.random.default_rng(seed)
    sources = (embed_single(model, text) for text in texts)
    outcomes = [_outcome(model, embedded, views, rng) for embedded in sources if len(embedded.x) > 1]
    if not outcomes:
        raise ValueError("texts has none of two words or more, expected one at least")

    curves = dict(zip([*views, "random"], np.swapaxes([outcome.curves for outcome in outcomes], 0, 1), strict=True))
    pairs = [f"{a}, {b}" for a, b in combinations(views, 2)]
    agreement = dict(zip(pairs, np.transpose([outcome.agreement for outcome in outcomes]), strict=True))
    return {
        "texts": len(outcomes),
        "fractions": list(FRACTIONS),
        "curves": {name: curve.mean(axis=0).tolist() for name, curve in curves.items()},
        "gains": {name: asdict(bootstrap(_area(curves["random"] - curves[name]), seed)) for name in views},
        "agreement": {pair: asdict(bootstrap(correlations, seed)) for pair, correlations in agreement.items()},
        "errors": {name: max(outcome.errors[name] for outcome in outcomes) for name in outcomes[0].errors},
    }


class _Outcome(NamedTuple):
    """What one text says.

    Attributes:
        curves: Probability of the predicted class after each share is gone, [views + 1, fractions], random words last.
        agreement: Rank correlation of each pair of views.
        errors: Of the views that add up.
    """

    curves: Array
    agreement: list[float]
    errors: dict[str, float]


def _outcome(model: Inspectable, embedded: Embedded, views: Mapping[str, View], rng: np.random.Generator) -> _Outcome:
    results = {name: view(model, embedded) for name, view in views.items()}
    T, label = len(embedded.x), int(next(iter(results.values())).logits.argmax())
    scores = [result.towards(label) for result in results.values()]
    orders = [*(np.argsort(-score, kind="stable") for score in scores), *(rng.permutation(T) for _ in range(_DRAWS))]
    left = [np.sort(order[round(fraction * T) :]) for order in orders for fraction in FRACTIONS]
    probabilities = softmax(_logits(model, embedded, left))[:, label]
    curves = probabilities.reshape(len(orders), len(FRACTIONS))
    return _Outcome(
        np.concatenate([curves[:-_DRAWS], curves[-_DRAWS:].mean(axis=0, keepdims=True)]),
        [rank_correlation(a, b) for a, b in combinations(scores, 2)],
        {name: float(result.error) for name, result in results.items() if hasattr(result, "error")},
    )


def _logits(model: Inspectable, embedded: Embedded, rows: Sequence[npt.NDArray[np.intp]]) -> Array:
    """Computes the logits of texts made of some steps of one, [B, C]."""
    network = model.head(model.summaries(rows, embedded.x[:, 0])).astype(np.float64)
    logits: Array = network + beside(model, embedded, rows)
    return logits


def _area(gaps: Array) -> Array:
    """Averages the gaps between two curves over the shares, by trapezoids: [B, fractions] to [B]."""
    areas: Array = (gaps[:, 1:] + gaps[:, :-1]) / 2 @ np.diff(FRACTIONS) / FRACTIONS[-1]
    return areas


def _input_gradients(model: Inspectable, x: npt.NDArray[np.float32]) -> list[npt.NDArray[np.floating[Any]]]:
    """Computes the gradient of each logit by the vectors, C arrays [T, B, E], for sequences that all have T steps."""
    T, heads = len(x), model.head_weight
    if not T:
        return []
    if model.stack is None:
        rate = model.rate
        kept = np.full((T, 1), 1 / T) if rate is None else np.asarray(rate, np.float64) ** np.arange(T)[::-1, None]
        return [np.broadcast_to((kept * head)[:, None], x.shape) for head in heads]
    traces = model.stack.trace(x)
    last = [trace for trace in traces if trace.layer == traces[-1].layer]
    return [model.stack.input_gradient(x, traces, _output_gradient(last, head, model.summary)) for head in heads]


def _output_gradient(last: Sequence[Trace], head: npt.NDArray[np.float32], summary: str) -> npt.NDArray[np.float32]:
    """Carries the gradient of one logit through the summary, to the outputs of the last layer, [T, B, D·H]."""
    parts, D = summary.split("+"), len(last)
    by_direction = head.reshape(len(parts), D, -1)
    directions = []
    for d, trace in enumerate(last):
        walked = trace.y[::-1] if trace.reverse else trace.y
        dy = sum(summary_weights(walked, part) * by_direction[p, d] for p, part in enumerate(parts))
        directions.append(dy[::-1] if trace.reverse else dy)
    gradient: npt.NDArray[np.float32] = np.concatenate(directions, axis=2, dtype=np.float32)
    return gradient
