"""What single units do over many texts: how long they remember, which words move their gates, which units are alike.

A unit that keeps a share k̄ of its memory at each step on average (by its update gate z in a GRU, by its forget gate f
in an LSTM) keeps what it has written for about 1/(1 − k̄) steps: that is its memory. A gate is called left-saturated
while it is below 0.1, right-saturated while it is above 0.9 (Karpathy, Johnson & Fei-Fei 2015, arXiv:1506.02078).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.inspection.network import Reader
from tidegate.inspection.statistics import rank_correlation
from tidegate.inspection.tally import LEFT, RIGHT, Tally
from tidegate.ops.cells import Cell
from tidegate.ops.checks import check_choice
from tidegate.ops.trace import Trace
from tidegate.text.texts import check_texts
from tidegate.text.tokenizer import UNK

Array = npt.NDArray[np.float64]
ByGate = Mapping[str, Array]

RESAMPLES = 2000
_TEXTS = 32  # traced at once


def memory(kept: npt.ArrayLike) -> Array:
    """Computes 1/(1 − k̄), the steps for which units keep what they write; inf for a unit that lets nothing in.

    Args:
        kept: Mean share of the memory that a step keeps, float [H].
    """
    with np.errstate(divide="ignore"):
        lengths: Array = 1 / (1 - np.asarray(kept, np.float64))
    return lengths


class Claim(NamedTuple):
    """Cho et al. 2014: units with short-term memory have active reset gates; that is, short memory goes with low r.

    A reset gate is active when it resets, near 0. So the claim holds if memory and mean r go up together.

    Attributes:
        correlation: Rank correlation of the memory with r̄ over the units, −1..1.
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
            says = "memory and reset gates show no relation that differs from chance"
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
        cell: Their cell.
        steps: How many.
        kept: Mean share of the memory that a step keeps, float64 [H].
        mean: Mean of each of the cell's gates, float64 [H] by name.
        left: Share of the steps at which a gate is below 0.1, float64 [H] by name.
        right: Share of the steps at which a gate is above 0.9, float64 [H] by name.
        alike: Correlation of the outputs of two units over the steps, 0 for a unit that never moves, float64 [H, H].
        words: The W words that were read often enough, the most frequent first; none if the sequences are no texts.
        counts: How often, int64 [W].
        by_word: Mean of each gate at the steps that read each word, float64 [W, H] by name.
    """

    cell: Cell
    steps: int
    kept: Array
    mean: ByGate
    left: ByGate
    right: ByGate
    alike: Array
    words: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    by_word: ByGate

    @property
    def memory(self) -> Array:
        """1/(1 − k̄), steps, float64 [H]; inf for a unit that lets nothing in."""
        return memory(self.kept)

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
            gate: One of the cell's gates.
            unit: Which unit's; None for the mean over all units.
            count: How many words each.

        Raises:
            ValueError: There is no such gate.
        """
        check_choice("gate", gate, self.cell.gates)
        means = self.by_word[gate].mean(axis=1) if unit is None else self.by_word[gate][:, unit]
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
            The claim; None where the cell has no reset gate, or its units do not differ in memory or in reset gate, as
            when a gate is off.
        """
        if self.cell.reads is None:
            return None
        kept, read = self.kept, self.mean[self.cell.reads]
        if not np.ptp(kept) or not np.ptp(read):
            return None
        rng, H = np.random.default_rng(seed), len(kept)
        chosen = rng.integers(H, size=(RESAMPLES, H))
        found = [rank_correlation(kept[rows], read[rows]) for rows in chosen]
        low, high = np.quantile(found, (0.025, 0.975)).tolist()
        return Claim(rank_correlation(kept, read), low, high)

    def draw(self, axes: Sequence[Any]) -> None:
        """Draws the saturation scatter of Karpathy et al. 2015: a dot for each unit, sized by its memory.

        Args:
            axes: Axes of matplotlib, one for each of the cell's gates, in their order: of a GRU
                `matplotlib.pyplot.subplots(1, 2)[1]`.
        """
        sizes = 8 * np.minimum(self.memory, 100) ** 0.5
        for panel, gate in zip(axes, self.cell.gates, strict=True):
            panel.plot([0, 1], [1, 0], color="0.8", linewidth=1)
            panel.scatter(self.right[gate], self.left[gate], s=sizes, alpha=0.6, linewidths=0)
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
        texts: What the model reads. Words that it does not know count as one.
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
            tally = tally or Tally(trace)
            tally.add(trace)
    if tally is None or not tally.steps:
        where = f"layer {layer}" + ", reverse" * reverse
        raise ValueError(f"there is no word, or no step of {where}, to look at: expected one or more")
    return Units(**tally.result(min_count))


def _traces(model: Reader, texts: Iterable[str]) -> Iterator[Trace]:
    """Traces texts, a few at a time, with unknown words under one name."""
    known, remaining = set(model.vocabulary), check_texts(texts)
    while part := list(islice(remaining, _TEXTS)):
        for trace in model.trace(part):
            assert trace.tokens is not None  # noqa: S101 - for mypy: these are texts
            tokens = tuple(tuple(word if word in known else UNK for word in text) for text in trace.tokens)
            yield replace(trace, tokens=tokens)
