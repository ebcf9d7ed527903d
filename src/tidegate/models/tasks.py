"""What a network is for: what its outputs mean, what it learns from, and how its answers are judged.

A task is declared here once, and in `training` by its loss and by how labels become targets; everything else asks it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.models.metrics.multi_label import MultiLabelReport, score_sets
from tidegate.models.metrics.quantiles import (
    QuantileReport,
    constant_quantiles,
    order,
    ordered,
    read_labels,
    score_quantiles,
)
from tidegate.models.metrics.reports import RegressionReport, Report, score, score_numbers
from tidegate.models.metrics.steps import (
    BinaryStepsReport,
    LabelledStepsReport,
    score_binary_steps,
    score_labelled_steps,
    score_steps,
)
from tidegate.models.metrics.thresholds import chosen_labels
from tidegate.models.metrics.tokens import TokensReport, score_tokens
from tidegate.sequences.embedded import sigmoid, softmax

Array = npt.NDArray[np.floating[Any]]
Answers = Callable[[Array, npt.NDArray[Any]], npt.NDArray[Any]]

ACTIVATIONS: dict[str, Callable[[Array, Sequence[str]], Array]] = {
    "softmax": lambda scores, labels: softmax(scores),
    "sigmoid": lambda scores, labels: sigmoid(scores),
    "sorted": ordered,
    "": lambda scores, labels: scores,
}
"""What turns the outputs of a head [B, C], which have C labels, into probabilities or numbers."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a network is for.

    Attributes:
        name: As a configuration has it.
        truth: What is known of a sequence: its "class", all "classes" that it has, its "numbers", the "classes of
            steps", the "steps" that follow each step, the "tokens" of a text, each of which follows those before it; ""
            for nothing.
        noun: What the outputs are called, "labels", "numbers" or "tokens".
        fewest: The fewest outputs.
        activation: One of `ACTIVATIONS`.
        answers: Turns what `values` returned, [B, C], and what stands for each label, [C], into B answers.
        score: Compares what is known of B sequences with `values` [B, C], given the C labels; makes a `report`.
        report: The type of the scores.
    """

    name: str
    truth: str
    noun: str
    fewest: int
    activation: str
    answers: Answers
    score: Callable[..., Any]
    report: type[Any]

    @property
    def title(self) -> str:
        """What messages call it: of words it is asked for as "next", whatever a configuration says."""
        return "next words" if self.reads_tokens else self.name

    @property
    def has_probabilities(self) -> bool:
        """Whether the outputs are logits, which become probabilities."""
        return self.activation in {"softmax", "sigmoid"}

    @property
    def exclusive(self) -> bool:
        """Whether a sequence, or each of its steps, has one class and no other: the probabilities add up to 1."""
        return self.truth in {"class", "classes of steps"}

    @property
    def explained(self) -> bool:
        """Whether an answer can be accounted for step by step: one class against the others, or numbers."""
        return self.exclusive or self.truth == "numbers"

    def need_explained(self) -> None:
        """Raises a ValueError unless answers can be accounted for."""
        if not self.explained:
            known = ", ".join(task.name for task in TASKS.values() if task.explained)
            raise ValueError(f"this is a network for {self.title}, expected one whose answers are explained: {known}")

    @property
    def foresees(self) -> bool:
        """Whether each step of a sequence is followed by what is to be predicted."""
        return self.truth in {"steps", "tokens"}

    @property
    def each_step(self) -> bool:
        """Whether something is to be predicted at each step of a sequence, by what has come so far."""
        return self.foresees or self.labels_steps

    @property
    def labels_steps(self) -> bool:
        """Whether each step of a sequence has a class of its own."""
        return self.truth == "classes of steps"

    @property
    def reads_tokens(self) -> bool:
        """Whether what is to be predicted are the words or characters of a text, so that outputs are all of them."""
        return self.truth == "tokens"

    def values(self, scores: Array, labels: Sequence[str]) -> Array:
        """Turns outputs of the head into probabilities or numbers, [B, C], given the C labels."""
        return ACTIVATIONS[self.activation](scores, labels)

    def order(self, scores: Array, labels: Sequence[str]) -> npt.NDArray[np.intp]:
        """Says which of the outputs [C] of one sequence each of its C answers is, [C]."""
        return order(scores, labels) if self.activation == "sorted" else np.arange(len(labels))

    def constant(self, truth: Array, labels: Sequence[str]) -> tuple[str, Array]:
        """Computes the best prediction that is the same for all rows, of numbers [B, numbers], and names it.

        Returns:
            "mean" or "constant quantiles", and the prediction, [1, C].
        """
        if self.activation == "sorted":
            return "constant quantiles", constant_quantiles(truth, labels)
        return "mean", truth.mean(axis=0, keepdims=True)

    def numbers(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Names the numbers that are known of a sequence: the labels, without the levels of quantiles."""
        return read_labels(labels)[0] if self.activation == "sorted" else tuple(labels)

    def foremost(self, labels: Sequence[str]) -> int:
        """Says which number is looked at where none is asked for: the first; of quantiles, that nearest its median."""
        if self.activation != "sorted":
            return 0
        levels = read_labels(labels)[1]
        return min(range(len(levels)), key=lambda i: abs(levels[i] - 0.5))


def _most_probable(probabilities: Array, classes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    chosen: npt.NDArray[Any] = classes[probabilities.argmax(axis=1)]
    return chosen


def sets_of_labels(chosen: npt.NDArray[np.bool_], classes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Makes a tuple of the chosen classes of each row, objects [B].

    Args:
        chosen: bool [B, C].
        classes: The C classes.
    """
    sets = np.empty(len(chosen), object)
    sets[:] = [tuple(classes[row].tolist()) for row in chosen]
    return sets


def _probable(probabilities: Array, classes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return sets_of_labels(chosen_labels(probabilities), classes)


def _numbers(numbers: Array, classes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return numbers[:, 0] if len(classes) == 1 else numbers


def _ones(probabilities: Array, classes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return chosen_labels(probabilities).astype(np.int64)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="classification",
            truth="class",
            noun="labels",
            fewest=2,
            activation="softmax",
            answers=_most_probable,
            score=score,
            report=Report,
        ),
        Task(
            name="multi-label",
            truth="classes",
            noun="labels",
            fewest=1,
            activation="sigmoid",
            answers=_probable,
            score=score_sets,
            report=MultiLabelReport,
        ),
        Task(
            name="regression",
            truth="numbers",
            noun="numbers",
            fewest=1,
            activation="",
            answers=_numbers,
            score=score_numbers,
            report=RegressionReport,
        ),
        Task(
            name="quantiles",
            truth="numbers",
            noun="numbers",
            fewest=1,
            activation="sorted",
            answers=_numbers,
            score=score_quantiles,
            report=QuantileReport,
        ),
        Task(
            name="labelling",
            truth="classes of steps",
            noun="labels",
            fewest=2,
            activation="softmax",
            answers=_most_probable,
            score=score_labelled_steps,
            report=LabelledStepsReport,
        ),
        Task(
            name="next",
            truth="steps",
            noun="numbers",
            fewest=1,
            activation="",
            answers=_numbers,
            score=score_steps,
            report=RegressionReport,
        ),
        Task(
            name="next-binary",
            truth="steps",
            noun="numbers",
            fewest=1,
            activation="sigmoid",
            answers=_ones,
            score=score_binary_steps,
            report=BinaryStepsReport,
        ),
        Task(
            name="next-token",
            truth="tokens",
            noun="tokens",
            fewest=0,
            activation="softmax",
            answers=_most_probable,
            score=score_tokens,
            report=TokensReport,
        ),
        Task(
            name="encoding",
            truth="",
            noun="labels",
            fewest=0,
            activation="",
            answers=_numbers,
            score=score_numbers,
            report=RegressionReport,
        ),
    )
}
"""The tasks by name.

"labelling" gives each step a class, by what has come so far; to all who ask about a sequence, its class is that of the
last step. "quantiles" predicts levels between which numbers lie, see `tidegate.models.metrics.quantiles`. "next"
foresees the numbers of the next steps, "next-binary" what of them is 1, "next-token" the next word or character of a
text, of whose vocabulary its outputs are. "encoding" has no head: the summary vectors are the result.
"""

ASKED = tuple(name for name, task in TASKS.items() if task.truth and task.activation != "sorted")
"""The tasks that one can ask for; quantiles are those of a regression."""
