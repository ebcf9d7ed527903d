"""What single units of a GRU do over many texts: how long they remember, which words move their gates, who is alike.

A unit whose update gate is z̄ on average keeps a deposit for about 1/(1 − z̄) steps: that is its memory. A gate is called
left-saturated while it is below 0.1, right-saturated while it is above 0.9 (Karpathy, Johnson & Fei-Fei 2015,
arXiv:1506.02078).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.inspection.statistics import rank_correlation
from tidegate.inspection.network import Reader
from tidegate.ops.checks import check_choice
from tidegate.ops.trace import Trace
from tidegate.text.tokenizer import UNK

Array = npt.NDArray[np.float64]

LEFT, RIGHT = 0.1, 0.9
GATES = ("update", "reset")
RESAMPLES = 2000
_TEXTS = 32  # traced at once


def memory(update: npt.ArrayLike) -> Array:
    """Computes 1/(1 − z̄), the steps for which units keep a deposit; inf for a unit that lets nothing in.

    Args:
        update: Mean update gates, float [H].
    """
    with np.errstate(divide="ignore"):
        lengths: Array = 1 / (1 - np.asarray(update, np.float64))
    return lengths


class Claim(NamedTuple):
    """Cho et al. 2014: units with short-term memory have active reset gates; that is, short memory goes with low r.

    A reset gate is active when it resets, near 0. So the claim holds if memory and mean r go up together.

    Attributes:
        correlation: Rank correlation of 1/(1 − z̄) with r̄ over the units, −1..1.
        low: Lower end of its interval, which holds it with a confidence of 95 %.
        high: Upper end.
    """

    correlation: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.low > 0:
            says = "units with short memory have active reset gates"
        elif self.high < 0:
            says = "units with short memory have the LESS active reset gates, against the claim"
        else:
            says = "memory and reset gates have nothing to do with each other that could be told from chance"
        figures = f"rank correlation {self.correlation:.2f}, {self.low:.2f} to {self.high:.2f}"
        return f"{says} ({figures.replace('-', '−')})"


class Movers(NamedTuple):
    """Words and the mean gate at the steps that read them, the strongest first."""

    open: list[tuple[str, float]]
    close: list[tuple[str, float]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Units:
    """The H units of one layer in one direction, over all steps of many sequences.

    Attributes:
        steps: How many.
        update: Mean update gate z̄, the share of the state that is kept, float64 [H].
        reset: Mean reset gate r̄, the share of the state that is read, float64 [H].
        update_left: Share of the steps at which z < 0.1, float64 [H].
        update_right: Share of the steps at which z > 0.9, float64 [H].
        reset_left: Share of the steps at which r < 0.1, float64 [H].
        reset_right: Share of the steps at which r > 0.9, float64 [H].
        alike: Correlation of the states of two units over the steps, 0 for a unit that never moves, float64 [H, H].
        words: The W words that were read often enough, the most frequent first; none if the sequences are no texts.
        counts: How often, int64 [W].
        update_by_word: Mean update gate at the steps that read each word, float64 [W, H].
        reset_by_word: Mean reset gate there, float64 [W, H].
    """

    steps: int
    update: Array
    reset: Array
    update_left: Array
    update_right: Array
    reset_left: Array
    reset_right: Array
    alike: Array
    words: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    update_by_word: Array
    reset_by_word: Array

    @property
    def memory(self) -> Array:
        """1/(1 − z̄), steps, float64 [H]; inf for a unit that lets nothing in."""
        return memory(self.update)

    def nearest(self, unit: int, count: int = 5) -> list[tuple[int, float]]:
        """Lists the units whose states go most with, or against, those of one unit.

        Returns:
            Units and their correlations, the strongest first; near −1 a unit does the same with the sign turned.
        """
        order = np.argsort(-np.abs(self.alike[unit]), kind="stable")
        return [(int(i), float(self.alike[unit, i])) for i in order if i != unit][:count]

    def movers(self, gate: str, unit: int | None = None, count: int = 5) -> Movers:
        """Lists the words that open and close a gate most.

        Args:
            gate: "update" or "reset".
            unit: Which unit's; None for the mean over all units.
            count: How many words each.

        Raises:
            ValueError: There is no such gate.
        """
        check_choice("gate", gate, GATES)
        means = self.update_by_word if gate == "update" else self.reset_by_word
        means = means.mean(axis=1) if unit is None else means[:, unit]
        order = np.argsort(means, kind="stable")
        ranked = [(self.words[i], float(means[i])) for i in order]
        return Movers(ranked[::-1][:count], ranked[:count])

    def claim(self, seed: int = 0) -> Claim | None:
        """Tests on these units whether short memory goes with active reset gates.

        The interval is a percentile bootstrap over units (Efron 1979): the claim is about units, and these are the
        sample. Over texts it would be narrower, and say only that enough were read. Units of one network have learned
        together, so that another training can still lie outside.

        Args:
            seed: Of the resampling.

        Returns:
            The claim; None where units do not differ in memory or in reset gate, as when a gate is off.
        """
        if not np.ptp(self.update) or not np.ptp(self.reset):
            return None
        rng, H = np.random.default_rng(seed), len(self.update)
        chosen = rng.integers(H, size=(RESAMPLES, H))
        found = [rank_correlation(self.update[rows], self.reset[rows]) for rows in chosen]
        low, high = np.quantile(found, (0.025, 0.975)).tolist()
        return Claim(rank_correlation(self.update, self.reset), low, high)

    def draw(self, axes: Sequence[Any]) -> None:
        """Draws the saturation scatter of Karpathy et al. 2015: a dot for each unit, sized by its memory.

        Args:
            axes: Two axes of matplotlib, for update and reset gates: `matplotlib.pyplot.subplots(1, 2)[1]`.
        """
        sizes = 8 * np.minimum(self.memory, 100) ** 0.5
        panels = ((self.update_left, self.update_right), (self.reset_left, self.reset_right))
        for panel, gate, (left, right) in zip(axes, GATES, panels, strict=True):
            panel.plot([0, 1], [1, 0], color="0.8", linewidth=1)
            panel.scatter(right, left, s=sizes, alpha=0.6, linewidths=0)
            panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal", title=f"{gate} gate")
            panel.set(xlabel=f"share of steps above {RIGHT}", ylabel=f"share of steps below {LEFT}")


def units(
    source: Reader | Iterable[Trace],
    texts: Iterable[str] = (),
    *,
    layer: int = 0,
    reverse: bool = False,
    min_count: int = 10,
) -> Units:
    """Gathers what the units of one layer and direction do.

    Traces are added up as they come and not kept: memory does not grow with the number of texts.

    Example:
        >>> from tidegate import Recurrent
        >>> weights = {"weight_ih_l0": np.full((3, 2), 0.5), "weight_hh_l0": np.full((3, 1), 0.1)}
        >>> units(Recurrent(weights).trace(np.ones((40, 2, 2), np.float32))).memory.round(1)
        array([3.9])

    Args:
        source: A model, or traces; those of other layers and directions are passed over.
        texts: What the model shall read. Words that it does not know count as one.
        layer: Which layer.
        reverse: Which direction.
        min_count: How often a word must be read for its mean gates to be kept.

    Raises:
        TypeError: `texts` is one text, or holds something else.
        ValueError: There is no step or no such layer and direction, or the cell has no gates.
    """
    traces = source if isinstance(source, Iterable) else _traces(source, texts)
    tally = None
    for trace in traces:
        if (trace.layer, trace.reverse) == (layer, reverse):
            tally = tally or _Tally(trace.hidden.shape[2])
            tally.add(trace)
    if tally is None or not tally.steps:
        where = f"layer {layer}" + ", reverse" * reverse
        raise ValueError(f"there is no word, or no step of {where}, to look at: expected one or more")
    return tally.result(min_count)


def _traces(model: Reader, texts: Iterable[str]) -> Iterator[Trace]:
    """Traces texts, a few at a time, with unknown words under one name."""
    if isinstance(texts, str):
        raise TypeError(f"texts is one text, expected several: pass [text] for {texts[:40]!r}")
    known, remaining = set(model.vocabulary), iter(texts)
    while part := list(islice(remaining, _TEXTS)):
        for trace in model.trace(part):
            assert trace.tokens is not None  # noqa: S101 - for mypy: these are texts
            tokens = tuple(tuple(word if word in known else UNK for word in text) for text in trace.tokens)
            yield replace(trace, tokens=tokens)


class _Tally:
    """Sums over the steps of traces."""

    def __init__(self, H: int) -> None:
        self.steps = 0
        self.sums = dict.fromkeys(("update", "reset", "update_left", "update_right", "reset_left", "reset_right"), 0)
        self.states, self.products = np.zeros(H), np.zeros((H, H))
        self.index: dict[str, int] = {}
        self.counts = np.zeros(0, np.int64)
        self.by_word = {gate: np.zeros((0, H)) for gate in GATES}

    def add(self, trace: Trace) -> None:
        """Adds the steps of one layer in one direction over a batch.

        Raises:
            ValueError: The cell has no gates.
        """
        if not set(GATES) <= set(trace.cell.gates):
            raise ValueError(f"the cell {str(trace.cell)!r} has no update and reset gates, expected a GRU")
        inside = np.arange(len(trace.hidden))[:, None] < trace.lengths
        states = np.asarray(trace.hidden)[inside].astype(np.float64)
        gates = {"update": np.asarray(trace.update)[inside], "reset": np.asarray(trace.reset)[inside]}
        self.steps += len(states)
        self.states += states.sum(axis=0)
        self.products += states.T @ states
        for name, gate in gates.items():
            for suffix, array in (("", gate), ("_left", gate < LEFT), ("_right", gate > RIGHT)):
                self.sums[name + suffix] += array.sum(axis=0, dtype=np.float64)
        if trace.tokens is not None and len(states):
            ids = np.zeros(inside.shape, np.int64)
            for b, text in enumerate(trace.tokens):
                ids[: len(text), b] = [self.index.setdefault(word, len(self.index)) for word in text]
            self._add_words(ids[inside], gates)

    def _add_words(self, ids: npt.NDArray[np.int64], gates: dict[str, npt.NDArray[Any]]) -> None:
        """Adds the gates at each step to the sums of its word."""
        more = len(self.index) - len(self.counts)
        self.counts = np.pad(self.counts, (0, more)) + np.bincount(ids, minlength=len(self.index))
        order = np.argsort(ids, kind="stable")
        words, starts = np.unique(ids[order], return_index=True)
        for name, gate in gates.items():
            self.by_word[name] = np.pad(self.by_word[name], ((0, more), (0, 0)))
            self.by_word[name][words] += np.add.reduceat(gate[order], starts, axis=0, dtype=np.float64)

    def result(self, min_count: int) -> Units:
        """Divides by the number of steps, and of words."""
        means: dict[str, Any] = {name: total / self.steps for name, total in self.sums.items()}
        mean = self.states / self.steps
        covariance = self.products / self.steps - np.outer(mean, mean)
        spread = np.sqrt(np.diag(covariance).clip(min=0))
        moves = spread > 1e-7 * np.sqrt(np.diag(self.products) / self.steps)  # else it is rounding
        inverse = np.where(moves, 1 / np.where(moves, spread, 1), 0)
        chosen = np.argsort(-self.counts, kind="stable")
        chosen = chosen[self.counts[chosen] >= min_count]
        counts, words = self.counts[chosen], list(self.index)
        by_word: dict[str, Any] = {f"{gate}_by_word": self.by_word[gate][chosen] / counts[:, None] for gate in GATES}
        alike = (covariance * np.outer(inverse, inverse)).clip(-1, 1)
        named = tuple(words[i] for i in chosen)
        return Units(steps=self.steps, **means, alike=alike, words=named, counts=counts, **by_word)
