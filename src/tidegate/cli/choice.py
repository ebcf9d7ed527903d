"""What of an answer `predict` writes: labels above thresholds, where there may be several; how many steps ahead."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from tidegate.cli.groups import Option
from tidegate.models.architecture import Architecture
from tidegate.models.metrics.thresholds import HALF, chosen_labels
from tidegate.models.tasks import sets_of_labels

CHOICE_OPTIONS = {
    "threshold": Option(
        Annotated[
            list[str] | None,
            typer.Option(
                metavar="P|LABEL=P",
                help="Of several labels: those of this probability or more; or of one label, each time.",
                show_default=str(HALF),
            ),
        ],
        None,
    ),
    "top_k": Option(
        Annotated[int | None, typer.Option(min=1, metavar="K", help="Of several labels: the K most probable.")], None
    ),
    "steps": Option(
        Annotated[
            int | None,
            typer.Option(min=1, metavar="N", help="Of a model of next steps or words: write the N that follow."),
        ],
        None,
    ),
    "temperature": Option(
        Annotated[
            float,
            typer.Option(min=0, metavar="X", help="Of next words: 0 for the most probable, 1 to draw by probability."),
        ],
        0.0,
    ),
    "seed": Option(Annotated[int, typer.Option(min=0, metavar="N", help="Of what is drawn.")], 0),
}
"""What `Choice` calls the same."""


@dataclass(frozen=True)
class Choice:
    """What of an answer is written.

    Attributes:
        threshold: The least probability of all labels, such as "0.4", or of one, such as "war=0.3".
        top_k: The most labels of a row, the most probable ones; None for any number.
        steps: How many steps to foresee, by a model that does; None for those of its horizon, beside each sequence.
        temperature: See `TextModel.forecast`, and so for the seed.
        seed: See there.
    """

    threshold: Sequence[str] | None = None
    top_k: int | None = None
    steps: int | None = None
    temperature: float = 0.0
    seed: int = 0

    def check(self, config: Architecture) -> None:
        """Checks that a model has several labels, and those that are named, or foresees steps.

        Raises:
            ValueError: It has not, or a threshold is no probability.
        """
        for name, value in (("--threshold", self.threshold), ("--top-k", self.top_k)):
            if value is not None and config.aim.truth != "classes":
                raise ValueError(f"{name} is about several labels a row, but the model is one for {config.aim.title}")
        if self.steps is not None and not config.aim.foresees:
            raise ValueError(f"--steps is about next steps, but the model is one for {config.aim.title}")
        if self.temperature and not config.aim.reads_tokens:
            raise ValueError(f"--temperature is about the words of a text, but the model is one for {config.aim.title}")
        if self.temperature and self.steps is None:
            raise ValueError("--temperature is about the words that follow a text: say how many with --steps")
        self._thresholds(config.labels)

    def labels(self, config: Architecture, probabilities: npt.NDArray[np.floating]) -> list[Any]:
        """Returns the labels of each row as training has read them: between separators, or a list.

        Args:
            config: Of the model.
            probabilities: Of each label, float [B, C].
        """
        thresholds = np.array(self._thresholds(config.labels))
        if self.top_k is not None and not self.threshold:
            thresholds[:] = 0  # so many, however probable they are
        chosen = chosen_labels(probabilities, thresholds, self.top_k)
        sets = sets_of_labels(chosen, np.array(config.labels, object)).tolist()
        return [list(labels) if config.separator is None else config.separator.join(labels) for labels in sets]

    def _thresholds(self, labels: Sequence[str]) -> list[float]:
        """Returns the threshold of each label.

        Raises:
            ValueError: There is no such label, or a threshold is no probability.
        """
        found = dict.fromkeys(labels, HALF)
        for text in self.threshold or ():
            label, equals, number = text.rpartition("=")
            try:
                least = float(number)
            except ValueError:
                least = -1.0
            if not 0 <= least <= 1:
                raise ValueError(f"--threshold is {text!r}, expected a probability, such as 0.4 or LABEL=0.4")
            if equals and label not in found:
                known = ", ".join(map(repr, labels[:10])) + ", …" * (len(labels) > 10)
                raise ValueError(f"--threshold names the label {label!r}, expected one of those of the model: {known}")
            found |= {label: least} if equals else dict.fromkeys(found, least)
        return list(found.values())
