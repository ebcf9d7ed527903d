"""One explanation as it is shown: on a terminal, as a page and as a picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.characters import visible
from tidegate.cli.words import shown_class
from tidegate.inspection.attribution import IntegratedGradients
from tidegate.inspection.explain import Attribution, Explanation
from tidegate.models.tasks import Task

Array = npt.NDArray[np.float64]

_HELD_BACK = {
    "keeps": "of the memory let go",
    "reads": "of the memory left unread",
    "writes": "of the new left unwritten",
    "shows": "of the memory hidden",
    "": "held back",
}
"""What a gate near 0 does, by its role."""

MOST_WORDS = 10  # listed by what is left of them, or by what they count


@dataclass(frozen=True)
class Explained:
    """What is shown of a text.

    Attributes:
        explanation: The ledger.
        attribution: What each word counts by the method: the explanation itself if that is the ledger.
        method: "ledger", "integrated-gradients" or "occlusion".
        label: Index of the class whose probability is shown, or of the number.
        unknown: The words that the model does not know.
        noun: What a step is called.
    """

    explanation: Explanation
    attribution: Attribution
    method: str
    label: int
    unknown: tuple[str, ...] = ()
    noun: str = "word"

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The T words, as they can be shown."""
        return tuple(map(visible, self.explanation.words))

    @property
    def name(self) -> str:
        """The name of the class or number."""
        return self.explanation.labels[self.label]

    @property
    def quantity(self) -> str:
        """What contributions add up to."""
        if not self.has_probabilities:
            return f"number {self.name!r}"
        several = len(self.explanation.labels) > 2
        return f"margin of {self.name!r} over the other classes" if several else f"log-odds of {self.name!r}"

    @property
    def after(self) -> str:
        """What the curve shows."""
        return f"{'probability of' if self.has_probabilities else 'number'} {self.name!r}"

    @property
    def prediction(self) -> tuple[str, float]:
        """The most probable class and its probability, or the number."""
        if not self.has_probabilities:
            return visible(self.name), float(self.explanation.logits[self.label])
        best = int(self.explanation.logits.argmax())
        return visible(self.explanation.labels[best]), float(self.explanation.probabilities[best])

    @property
    def curve(self) -> Array:
        """Probability of the class, or the number, after each word, [T]."""
        return self.explanation.after[:, self.label]

    @cached_property
    def contributions(self) -> Array:
        """What each word counts for the class, [T]."""
        return self.towards(self.attribution.contributions)

    @property
    def strengths(self) -> Array:
        """The contributions over the largest, for colours: −1..1, [T]."""
        return self.contributions / (np.abs(self.contributions).max(initial=0) or 1)

    @cached_property
    def shares(self) -> Array:
        """The share of each word in what is in memory at the end, [T]."""
        amounts = np.abs(self.explanation.balance).sum(axis=1)
        shares: Array = amounts / (amounts.sum() or 1)
        return shares

    @property
    def weights(self) -> Array:
        """What makes a word worth listing: its share of the memory or, by another method, how much it counts, [T]."""
        return self.shares if self.method == "ledger" else np.abs(self.contributions)

    @property
    def listed(self) -> list[int]:
        """The words of the largest weights, largest first."""
        return [int(t) for t in np.argsort(-self.weights, kind="stable")[:MOST_WORDS]]

    @property
    def others(self) -> tuple[int, float, float]:
        """The words that are not listed: how many, their share of the memory, and what they count together."""
        rest = np.ones(len(self.words), np.bool_)
        rest[self.listed] = False
        return int(rest.sum()), float(self.shares[rest].sum()), float(self.contributions[rest].sum())

    @property
    def has_probabilities(self) -> bool:
        """Whether classes are predicted."""
        return not self.explanation.are_numbers

    def record(self) -> dict[str, Any]:
        """What JSON holds besides the explanation."""
        return {} if self.has_probabilities else {"probability_after": None}

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What the gates did, the sums, and by how much they differ from the model's own numbers."""
        explanation, attribution = self.explanation, self.attribution
        total = f"together {self._margin(explanation.logits)}, the {self.quantity}"
        words = self.shown(self.towards(explanation.contributions).sum())
        if explanation.ngrams is not None:
            words += f" (n-grams {self.shown(self.towards(explanation.ngrams).sum())} of it)"
        check = f"checked against the model, off by {explanation.error:.0e} at most"
        facts = [
            *self._gates(),
            ("ledger", f"bias {self._margin(explanation.bias)}, {self.noun}s {words}, {total}; {check}"),
        ]
        if isinstance(attribution, IntegratedGradients):
            parts = f"zeros {self._margin(attribution.baseline)}, {self.noun}s {self.shown(self.contributions.sum())}"
            facts.append(("gradients", f"{parts}, {total}; the integral is off by {attribution.error:.0e} at most"))
        elif attribution is not explanation:
            left_out = f"each {self.noun} is left out by itself, so what the {self.noun}s count need not add up"
            facts.append(("occlusion", left_out))
        if self.unknown:
            facts.append(("unknown", "words that the model does not know: " + "  ".join(map(visible, self.unknown))))
        facts.append(("note", explanation.remark))
        return [(name, fact) for name, fact in facts if fact]

    def _margin(self, logits: Array) -> str:
        return self.shown(float(self.towards(logits)))

    def towards(self, logits: Array) -> Array:
        """Computes what contributions [..., C] add to the quantity, [...]."""
        return self.explanation.quantity(logits, self.label)

    def shown(self, number: float) -> str:
        """Writes what something counts; numbers of a regression may be of any size."""
        return signed(number) if self.has_probabilities else f"{number:+.4g}".replace("-", "−")

    def shown_after(self, value: float) -> str:
        """Writes a value of the curve."""
        return f"{value:.3f}" if self.has_probabilities else f"{value:.4g}"

    def _gates(self) -> Iterator[tuple[str, str]]:
        """Says for each gate at which words it held most back; a gate that is the same everywhere says nothing."""
        traces = self.explanation.traces
        if not traces:
            return
        cell = traces[-1].cell
        for gate in sorted(cell.gates, key=lambda name: name != cell.keeps):
            if not cell.is_off(gate):
                yield f"{gate} gate", _named(f"most {_HELD_BACK[cell.role(gate)]} at", self.strongest(gate))

    def strongest(self, gate: str) -> list[tuple[str, float]]:
        """Ranks the words by the share that a gate has held back, the mean of both directions of the last layer."""
        traces = self.explanation.traces
        last = [trace for trace in traces if trace.layer == traces[-1].layer]
        walked = [(trace.walk().held_back(gate), trace.reverse) for trace in last]
        shares = sum((values[::-1] if reverse else values for values, reverse in walked), np.zeros(len(self.words)))
        shares /= len(last)
        best = np.argsort(-shares, kind="stable")[:3]
        return [(f"{self.words[t]} ({t + 1})", float(shares[t])) for t in best if shares[t] > 0]


def shown_label(explanation: Explanation, task: Task) -> int:
    """Chooses what is shown where nothing is asked for: the class of `shown_class`, or the number of `foremost`."""
    return task.foremost(explanation.labels) if explanation.are_numbers else shown_class(explanation.probabilities)


def _named(title: str, strongest: list[tuple[str, float]]) -> str:
    return f"{title} " + ", ".join(f"{word} {share:.0%}" for word, share in strongest) if strongest else ""


def signed(number: float) -> str:
    """Writes a number with its sign: +1.25, −0.50."""
    return f"{number:+.2f}".replace("-", "−")
