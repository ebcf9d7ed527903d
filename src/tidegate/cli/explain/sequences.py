"""What the answer to a sequence of numbers is made of: steps by the ledger, features by integrated gradients."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tidegate.cli.console import say, show_table
from tidegate.cli.explain.explained import Explained, shown_label
from tidegate.cli.options import Kind
from tidegate.cli.picture import new_figure, plain_texts, show_colours
from tidegate.cli.reading.inputs import Columns, read_parts
from tidegate.cli.words import rgb
from tidegate.inspection.attribution import METHODS, Method, integrated_gradients
from tidegate.inspection.explain import Attribution
from tidegate.inspection.explain import explain as account
from tidegate.inspection.network import read
from tidegate.models.sequence_model import SequenceModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

_MOST_DRAWN = 8  # features of a picture: those that count most
_WIDTH, _PANEL = 9.0, 1.2  # inches


@dataclass(frozen=True)
class ExplainedSeries(Explained):
    """What is shown of a sequence of numbers.

    Attributes:
        names: Names of the K features.
        values: The sequence as the table has it, float [T, K].
        by_feature: What each number counts, float64 [T, K], by integrated gradients: their sum is how far the quantity
            is from that of a sequence in which each feature has its median throughout.
        error: By how much that sum is off.
        seconds: The middle of each frame of sound, float64 [T]; None for other sequences.
    """

    names: tuple[str, ...] = ()
    values: Array = field(default_factory=lambda: np.empty((0, 0)))
    by_feature: Array = field(default_factory=lambda: np.empty((0, 0)))
    error: float = 0.0
    seconds: Array | None = None
    noun: str = "step"

    @cached_property
    def features(self) -> list[tuple[str, float, int]]:
        """The features with what they count, those that count most first, and the step where they count most."""
        sums = self.by_feature.sum(axis=0)
        order = np.argsort(-np.abs(self.by_feature).sum(axis=0), kind="stable")
        return [(self.names[k], float(sums[k]), int(np.abs(self.by_feature[:, k]).argmax())) for k in order]

    def record(self) -> dict[str, Any]:
        """The figures of the features, ready for JSON."""
        record = {"features": list(self.names), "values": self.values.tolist(), "by_feature": self.by_feature.tolist()}
        if self.seconds is not None:
            record["seconds"] = self.seconds.tolist()
        return super().record() | record


def explain_series(
    model: SequenceModel, sequence: npt.NDArray[Any], method: Method, label: str | None
) -> ExplainedSeries:
    """Explains the answer to one sequence.

    Args:
        model: The model, with a head.
        sequence: Its numbers, [T, K] in the layout of the model.
        method: How what steps count is computed.
        label: The class or number to explain; None for the obvious one.

    Raises:
        ValueError: The sequence has no step, or the class is unknown.
    """
    labels, config = model.config.labels, model.config
    if label is not None and label not in labels:
        raise ValueError(f"the class is {label!r}, expected one of those of the model: {', '.join(map(repr, labels))}")
    reading = read(model, model.embed([sequence]))
    explanation = account(model, reading)
    if not explanation.words:
        raise ValueError("the sequence has no step, expected one or more")
    gradients = integrated_gradients(model, reading.embedded)
    attribution: Attribution = explanation if method == "ledger" else METHODS[method](model, reading.embedded)
    explained = ExplainedSeries(
        explanation,
        attribution,
        method,
        shown_label(explanation, config.aim) if label is None else labels.index(label),
        names=config.feature_names,
        values=np.asarray(_steps(model, sequence), np.float64),
        error=gradients.error,
        seconds=model.front_end.seconds(np.arange(len(explanation.words))) if model.front_end else None,
    )
    inputs: Any = gradients.by_input
    return replace(explained, by_feature=_by_feature(explained.towards(inputs), config.missing, config.features))


def _steps(model: SequenceModel, sequence: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns what the steps of a sequence hold, [T, K]: of sound the frames."""
    if model.front_end:
        return model.frames(sequence)
    return sequence if model.config.layout == "steps_first" else sequence.T


def _by_feature(by_input: Array, missing: tuple[int, ...], K: int) -> Array:
    """Adds to each feature what the two numbers about its gaps count: [T, I] to [T, K]."""
    by_feature = by_input[:, :K].copy()
    for i, k in enumerate(missing):
        by_feature[:, k] += by_input[:, K + i] + by_input[:, K + len(missing) + i]
    return by_feature


def find_sequence(
    model: SequenceModel, words: str | None, file: str | None, kind: Kind | None, columns: Columns, row: int | None
) -> npt.NDArray[Any]:
    """Reads one sequence of a table.

    Raises:
        OSError: There is no such file, or it cannot be read.
        ValueError: There is a text in the place of a table, or the table has several sequences and none is chosen, or
            no such one.
    """
    if words is not None or file is None:
        raise ValueError("the model reads sequences of numbers: give a table of them with --file FILE")
    count, first = 0, None
    for part in read_parts(model, file, kind, columns, others=False):
        if row and row <= count + len(part):
            return np.asarray(part.sequences[row - 1 - count])
        first, count = part.sequences[0] if first is None else first, count + len(part)
    if row is None and count == 1 and first is not None:
        return np.asarray(first)
    given = "no --row is given" if row is None else f"row is {row}"
    raise ValueError(f"{file} has {count:,} sequences: {given}, expected 1..{count}")


def show_features(explained: ExplainedSeries) -> None:
    """Prints what each feature counts."""
    say()
    rows = [(name, explained.shown(counts), f"{t + 1}") for name, counts, t in explained.features]
    show_table(("feature", "counts", "most at step"), rows)
    say(
        "(features by integrated gradients, beside a sequence in which each has its median: off by "
        f"{explained.error:.0e} at most)"
    )


@plain_texts()
def draw_series(explained: ExplainedSeries, file: BinaryIO) -> None:
    """Draws the features that count most with what each of their numbers counts, then the answer and the steps.

    Args:
        explained: What to show.
        file: Where the PNG goes.

    Raises:
        ImportError: matplotlib is missing.
    """
    drawn = [explained.names.index(name) for name, *_ in explained.features[:_MOST_DRAWN]]
    if explained.seconds is not None:
        drawn.sort(reverse=True)  # as in a spectrogram, high bands above low ones
    figure = new_figure(_WIDTH, _PANEL * (len(drawn) + 2) + 0.8)
    *panels, after, steps = figure.subplots(len(drawn) + 2, sharex=True)
    largest = np.abs(explained.by_feature).max(initial=0) or 1.0
    for axes, k in zip(panels, drawn, strict=True):
        _draw_feature(axes, explained.values[:, k], explained.by_feature[:, k] / largest)
        axes.set_ylabel(explained.names[k])
    label, value = explained.prediction
    panels[0].set_title(f"{label}: {explained.shown_after(value)}", loc="left", weight="bold")
    show_colours(panels[0], explained.name, _colour)
    places = np.arange(1, len(explained.values) + 1)
    after.plot(places, explained.curve, color="0.2", drawstyle="steps-mid")
    after.set_ylabel(f"{f'P({explained.name})' if explained.has_probabilities else explained.name}\nafter it")
    steps.bar(places, explained.contributions, width=0.86, color=[_colour(s) for s in explained.strengths])
    steps.axhline(0, color="0.5", linewidth=0.8)
    steps.set(ylabel="step\ncounts", xlabel="step" if explained.seconds is None else "seconds")
    if explained.seconds is not None:
        first, *others = explained.seconds
        hop = others[0] - first if others else 0
        steps.xaxis.set_major_formatter(lambda place, _: f"{first + (place - 1) * hop:.2f}")
    for axes in (*panels, after, steps):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, format="png", dpi=150)


def _draw_feature(axes: "Axes", values: Array, strengths: Array) -> None:
    """Draws a feature over a background of what its numbers count."""
    for t, strength in enumerate(strengths):
        axes.axvspan(t + 0.5, t + 1.5, color=_colour(strength), alpha=0.7 * abs(strength), linewidth=0)
    axes.plot(np.arange(1, len(values) + 1), values, color="0.15", linewidth=1.2, marker=".", markersize=4)


def _colour(strength: float) -> tuple[float, ...]:
    """Returns the colour of what counts for the class, or against it."""
    return tuple(channel / 255 for channel in rgb(float(strength > 0)))
