"""A model with its name in the service: what it can be asked, and batches of what is asked."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic_core import to_json

from tidegate.models.network import Network
from tidegate.models.text_model import TextModel
from tidegate.serve.batching import Batcher
from tidegate.serve.limits import Limits
from tidegate.serve.metrics import Metrics
from tidegate.serve.refusals import Refusal

Array = npt.NDArray[np.float32]

MOST_WORDS = 10
"""Words whose probabilities to come next are sent; a vocabulary has tens of thousands."""


def by_label(model: Network, numbers: Sequence[float]) -> dict[str, float]:
    """Names the numbers of a row, [C]; of a vocabulary whose words may come next only the most probable, in order."""
    labels = model.labels
    if not model.config.aim.reads_tokens:
        return dict(zip(labels, numbers, strict=True))
    return {labels[i]: float(numbers[i]) for i in np.argsort(numbers)[: -MOST_WORDS - 1 : -1]}


class Scored(NamedTuple):
    """What a model says of one text or sequence.

    Attributes:
        prediction: The class, or the number or numbers of a regression.
        numbers: The probability of each class; of a regression the C numbers.
    """

    prediction: Any
    numbers: list[float]


class Served:
    """A model of the service.

    Attributes:
        name: What clients call it.
        model: What answers.
        reads_texts: Whether its rows are texts; else they are sequences of numbers.
    """

    def __init__(self, name: str, model: Network, limits: Limits, metrics: Metrics) -> None:
        self.name, self.model, self.limits = name, model, limits
        self.reads_texts = isinstance(model, TextModel)
        config = model.config
        # What is wrong with a text is seen before it is read; numbers are checked by the model.
        mistakes: tuple[type[Exception], ...] = () if self.reads_texts else (ValueError, TypeError, FloatingPointError)
        reads: dict[str, Any] = {}
        if config.has_head:
            reads["predict"] = self._predict
        if config.summary_size:
            reads["embed"] = model.encode
        if config.aim.explained:
            reads["explain"] = self._explain
        self._batchers = {
            # Explanations take long: one request at a time, so that a batch keeps nobody waiting.
            task: Batcher(
                read, replace(limits, batch=1) if task == "explain" else limits, metrics.batches(name, task), mistakes
            )
            for task, read in reads.items()
        }

    @property
    def features(self) -> int:
        """K, the numbers of a step of a sequence."""
        config: Any = self.model.config
        return int(getattr(config, "step_size", config.input_size))

    @property
    def steps_first(self) -> bool:
        """Whether a sequence is an array [T, K], and not [K, T]."""
        return getattr(self.model.config, "layout", "steps_first") == "steps_first"

    async def predict(self, rows: Sequence[Any]) -> Sequence[Scored]:
        """Says what the model makes of each row."""
        scored: Sequence[Scored] = await self._ask("predict", rows)
        return scored

    async def embed(self, rows: Sequence[Any]) -> Array:
        """Returns a summary vector of each row, float32 [B, F]."""
        return np.asarray(await self._ask("embed", rows), np.float32).reshape(len(rows), self.model.config.summary_size)

    async def explain(self, rows: Sequence[Any]) -> Sequence[bytes]:
        """Accounts for the answer to each row, as JSON of what `Explanation.as_dict` has."""
        explained: Sequence[bytes] = await self._ask("explain", rows)
        return explained

    async def _ask(self, task: str, rows: Sequence[Any]) -> Any:
        """Asks for a batch that the rows are in.

        Raises:
            Refusal: The model cannot do this, there are too many rows, or one of them is too long.
        """
        batcher = self._batchers.get(task)
        if batcher is None:
            can, aim = ", ".join(self._batchers), self.model.config.aim
            raise Refusal(400, f"{self.name} is a model for {aim.title} and cannot {task}: it can {can}")
        self.check(rows)
        return await batcher.ask(rows)

    def check_count(self, count: int) -> None:
        """Raises a Refusal if a request has so many rows that none of them is looked at."""
        if count > self.limits.rows:
            raise Refusal(413, f"the request has {count:,} texts or sequences, expected at most {self.limits.rows:,}")

    def check(self, rows: Sequence[Any]) -> None:
        """Raises a Refusal if there are too many rows, or one of them is too long."""
        self.check_count(len(rows))
        longest, unit = (self.limits.characters, "characters") if self.reads_texts else (self.limits.steps, "steps")
        for i, row in enumerate(rows):
            size = len(row) if self.steps_first else row.shape[-1]
            if size > longest:
                raise Refusal(413, f"row {i} has {size:,} {unit}, expected at most {longest:,}")

    def close(self) -> None:
        """Ends the threads that read."""
        for batcher in self._batchers.values():
            batcher.close()

    def scored(self, scores: Array) -> list[Scored]:
        """Says what scores [B, C] mean."""
        model = self.model
        numbers = model.values_of(scores)
        return list(map(Scored, model.predictions_of(scores).tolist(), numbers.tolist()))

    def _predict(self, rows: Sequence[Any]) -> list[Scored]:
        return self.scored(self.model.scores(rows))

    def _explain(self, rows: Sequence[Any]) -> list[bytes]:
        """Explains the rows of a request, one after another: each takes far longer than what a batch would save.

        They are written here and not where requests are answered: the numbers of thousands of steps take long.
        """
        steps, most = 0, self.limits.explained
        for row in rows:  # counted before their vectors take memory
            steps += self._steps(row)
            if steps > most:
                text = f"the texts or sequences have {steps:,} steps, expected at most {most:,} to be explained"
                raise Refusal(413, text)
        return [self._explained(row) for row in rows]

    def _steps(self, row: Any) -> int:
        """Counts what an explanation accounts for."""
        model = self.model
        if isinstance(model, TextModel):
            return len(model.tokenizer.cut(row, model.config.max_length).ids)
        if front_end := getattr(model, "front_end", None):
            return int(front_end.count(len(row)))
        return len(row) if self.steps_first else int(row.shape[-1])

    def _explained(self, row: Any) -> bytes:
        model = self.model
        explanation = model.explain(row if self.reads_texts else np.asarray(row, np.float64))
        account = explanation.as_dict()
        if not model.config.aim.exclusive:
            head: dict[str, Any] = {"values": dict(zip(explanation.labels, account.pop("logits"), strict=True))}
            del account["after"]
        else:
            best = int(explanation.logits.argmax())
            head = {"label": explanation.labels[best], "probabilities": explanation.probabilities.tolist()}
        return to_json(head | account, inf_nan_mode="null")
