"""Recurrent layers with a linear head, trained on the tasks of this folder."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tidegate.ops.cells import Cell
from tidegate.ops.threads import kept_awake
from tidegate.study.findings import Row
from tidegate.study.tasks import Batch, Task
from tidegate.training.network.layers import recurrent_layers
from tidegate.training.network.optimizer import Optimizer, one_torch_thread

TEST_SEED, CHOICE_SEED = 1_000_000, 2_000_000  # added to a seed, for sequences that training has not drawn


class Fit(NamedTuple):
    """How a training went.

    Attributes:
        scores: Of the batch of each step, before the step: accuracy, or explained share of the variance.
        diverged: The step at which the loss was no longer finite; None if it always was.
    """

    scores: list[float]
    diverged: int | None

    def steps_to(self, score: float, over: int = 20) -> int | None:
        """Steps until the mean score of so many batches reaches a bar; None if it never does."""
        means = np.convolve(self.scores, np.ones(over) / over, "valid") if len(self.scores) >= over else np.zeros(1)
        return int(np.argmax(means >= score)) + over if (means >= score).any() else None


class Reader(nn.Module):
    """One recurrent layer over vectors, and a linear head on its states.

    Args:
        task: Says the sizes of input and output.
        cell: The text of a recurrent cell, such as "gru reset=off".
        hidden: H.
        start: Of the recurrent weights: "uniform" (PyTorch's own, from −1/√H to 1/√H), "orthogonal" or "identity".
        gain: What an orthogonal start is multiplied by.
        options: More options of the layer, such as `chrono`.
    """

    def __init__(
        self, task: Task, cell: str | Cell, hidden: int, start: str = "uniform", gain: float = 1.0, **options: Any
    ) -> None:
        super().__init__()
        self.cell = Cell.of(cell)
        self.rnn = recurrent_layers(self.cell, task.inputs, hidden, **options)
        self.head = nn.Linear(hidden, task.outputs)
        parameters = dict(self.rnn.named_parameters())
        if start == "orthogonal":
            nn.init.orthogonal_(parameters["weight_hh_l0"], gain)
        elif start == "identity":
            nn.init.eye_(parameters["weight_hh_l0"])
        if start != "uniform":
            nn.init.zeros_(parameters["bias_ih_l0"])
            nn.init.zeros_(parameters["bias_hh_l0"])

    def forward(self, x: Tensor, where: Tensor | None) -> Tensor:
        """Answers at the end, [B, outputs], or at the steps that are marked, [N, outputs].

        Args:
            x: float32 [T, B, I].
            where: bool [T, B], or None.
        """
        y, states = self.rnn(x)
        h_n = states if self.cell.S == 1 else states[0]
        answers: Tensor = self.head(h_n[0] if where is None else y[where])
        return answers

    def answer(self, batch: Batch) -> Tensor:
        """Answers a batch, see `forward`."""
        answers: Tensor = self(
            torch.from_numpy(batch.x), None if batch.where is None else torch.from_numpy(batch.where)
        )
        return answers

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """The layer's weights by their names, as `tidegate.Recurrent` takes them."""
        return {name: tensor.numpy(force=True).copy() for name, tensor in self.rnn.state_dict().items()}


def fit(
    reader: Reader,
    task: Task,
    seed: int,
    *,
    steps: int,
    learning_rate: float,
    batch: int = 64,
    enough: float = np.inf,
) -> Fit:
    """Trains on batches drawn anew at each step: AdamW without weight decay, one cycle, gradients clipped at 1.

    Args:
        reader: What to train.
        task: What to train it on.
        seed: Of the batches.
        steps: Steps of the optimiser.
        learning_rate: At its highest.
        batch: B, sequences in a step.
        enough: Score at which training ends early, once the last 50 steps have reached it on average.
    """
    rng = np.random.default_rng(seed)
    optimizer = Optimizer(reader.parameters(), learning_rate, steps)
    scores: list[float] = []
    with one_torch_thread(), kept_awake():
        for step in range(steps):
            drawn = task.draw(rng, batch)
            answers = reader.answer(drawn)
            try:
                optimizer.step(_loss(answers, drawn))
            except FloatingPointError:
                return Fit(scores, step)
            scores.append(score(answers.detach(), drawn))
            if len(scores) >= 50 and np.mean(scores[-50:]) >= enough:
                break
    return Fit(scores, None)


@torch.inference_mode()
def evaluate(reader: Reader, task: Task, seed: int, rows: int = 512) -> Row:
    """Scores a network on sequences that training has not drawn.

    Returns:
        The `score`, and that on other sequences, `held_out`, by which a learning rate is chosen.
    """
    drawn = [task.draw(np.random.default_rng(start + seed), rows) for start in (TEST_SEED, CHOICE_SEED)]
    return {name: score(reader.answer(some), some) for name, some in zip(("score", "held_out"), drawn, strict=True)}


def score(answers: Tensor, batch: Batch) -> float:
    """Accuracy of classes, or the share of the variance of numbers that is explained (R²), 0 if it is below."""
    target = torch.from_numpy(batch.target)
    if batch.target.dtype.kind == "i":
        return float((answers.argmax(1) == target).float().mean())
    explained = float(1 - (answers - target).square().mean() / target.var(0).mean())
    return explained if explained > 0 else 0.0  # where answers are not finite, it is no number


def _loss(answers: Tensor, batch: Batch) -> Tensor:
    target = torch.from_numpy(batch.target)
    if batch.target.dtype.kind == "i":
        return nn.functional.cross_entropy(answers, target)
    return nn.functional.mse_loss(answers, target)
