"""What training reports while it runs: plain values, so that neither a command line nor a log needs torch."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Step:
    """A step of the optimiser is done.

    Attributes:
        epoch: The present epoch, from 1.
        epochs: How many there will be, unless training stops early.
        words: Words, or other steps of sequences, read so far in all epochs.
        of: Those to read in all epochs.
        loss: Mean loss of this epoch so far, nats.
    """

    epoch: int
    epochs: int
    words: int
    of: int
    loss: float


@dataclass(frozen=True, kw_only=True)
class LayerGradients:
    """Gradient norms along one layer in one direction: medians over a few sequences, at some distances from the end.

    Attributes:
        layer: Index of the layer.
        reverse: Whether it walks from the end to the start.
        rate: Growth of ‖∂h_T/∂h_t‖ per step.
        verdict: What it does, in words.
        trouble: "vanish" if the loss hands less than 1/1,000 of its largest gradient to the initial state, "explode"
            if it hands more than 1,000 times as much to some state as to the last one, else "".
        distance: How many steps before the end that begins; n if there is no trouble.
        distances: Some distances from 0 to n.
        log_flow: log10 ‖∂h_T/∂h_t‖ there, over that at distance 0; None for nothing at all.
        log_loss: log10 ‖∂loss/∂h_t‖ there; None for nothing at all.
    """

    layer: int
    reverse: bool
    rate: float
    verdict: str
    trouble: str
    distance: int
    distances: tuple[int, ...]
    log_flow: tuple[float | None, ...]
    log_loss: tuple[float | None, ...]


@dataclass(frozen=True)
class Gradients:
    """Gradient norms after an epoch.

    Attributes:
        walks: Those of each layer and direction, in the order of `Network.trace`.
    """

    walks: tuple[LayerGradients, ...]

    @property
    def worst(self) -> LayerGradients:
        """The walk to report: one in trouble if there is one, else the one whose rate is farthest from 1."""
        return max(self.walks, key=lambda walk: (walk.trouble != "", abs(1 - walk.rate)))


@dataclass(frozen=True)
class Epoch:
    """An epoch is done, and judged by the validation part.

    Attributes:
        epoch: Which one, from 1.
        loss: Mean training loss of the epoch, nats.
        report: Scores on the validation part, a `Report` or what else the task has, see `Task.report`.
        seconds: Time since training began, validation included.
        weights: The `state_dict` as float32 arrays if no epoch before had a better score, else None.
        gradients: Gradient norms, if they are watched and the cell is recurrent, else None.
    """

    epoch: int
    loss: float
    report: Any
    seconds: float
    weights: Mapping[str, npt.NDArray[np.float32]] | None
    gradients: Gradients | None = None


@dataclass(frozen=True)
class Resumed:
    """Training continues where a checkpoint has left it; the best `Epoch` so far, if there is one, comes next.

    Attributes:
        epoch: The present epoch, from 1.
        epochs: How many there will be, unless training stops early.
        words: Words, or other steps of sequences, that were read before.
        of: Those to read in all epochs.
        ended: Whether there is nothing left to do.
        gradients: Gradient norms of the epochs before, if they are watched.
    """

    epoch: int
    epochs: int
    words: int
    of: int
    ended: bool
    gradients: tuple[Gradients, ...]


Event = Step | Epoch | Resumed
Events = Generator[Event, None, None]
"""A training as it goes; closing it stops it."""


class DivergedError(FloatingPointError):
    """The loss or the weights are no longer finite.

    Attributes:
        best: The best epoch before, with its weights; None in the first epoch.
        model: Its model, where `tidegate.fit` has trained it.
    """

    model: Any = None

    def __init__(self, message: str, best: Epoch | None = None) -> None:
        super().__init__(message)
        self.best = best
