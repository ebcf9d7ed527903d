"""How to train, and what training tells: plain values, so that neither a command line nor a log needs torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from tidegate.models.metrics import Report
from tidegate.ops.checks import check_choice

ClassWeights = Literal["auto", "balanced", "none"]
CLASS_WEIGHTS: tuple[str, ...] = get_args(ClassWeights)
MARKED_IMBALANCE = 3.0  # texts of the largest class ÷ texts of the smallest from which "auto" balances
MANY_TEXTS = 16_000  # from which an epoch has enough steps of 64 texts each


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train; what to train is said by `Config`.

    Attributes:
        epochs: Most passes over the texts. None for 3, or as many as make 1,000 steps if there are few texts.
        batch_size: Texts in a step. None for 64, or 32 where the texts are less than 16,000: few texts need the steps.
        learning_rate: Of AdamW, at its highest: it rises during the first fifth of all steps and then falls to 0 as
            half a cosine (one cycle, Smith & Topin 2019). None for the cell's own, see `LEARNING_RATES`.
        weight_decay: Of AdamW.
        dropout: Probability of zeroing a feature, see `TextClassifier`.
        word_dropout: Probability of replacing a word by the unknown word.
        clip: Largest norm of the gradient; 0 for any.
        patience: Epochs without a better validation macro F1 before training stops. None for half of the epochs, at
            least 3: while the learning rate is high, worse epochs are no sign.
        class_weights: "balanced" weighs each class in the loss by 1 ÷ its frequency, "none" does not, "auto" does if
            the largest class has at least 3 times the texts of the smallest.
        freeze: Whether the embedding stays as it starts.
        chrono: Longest memory, in words, that the units of a GRU start with (Tallec & Ollivier 2018), 2 or more; None
            for torch's own start.
        orthogonal: Whether the state weights of each gate start as a random orthogonal matrix, which neither shrinks
            nor stretches what it is multiplied with (Saxe et al. 2014), instead of as torch starts them.
        watch_gradients: Whether gradient norms are measured after each epoch, on a few validation texts.
        seed: Of everything random; the same seed and the same number of threads give the same bits.
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float = 0.01
    dropout: float = 0.4
    word_dropout: float = 0.1
    clip: float = 1.0
    patience: int | None = None
    class_weights: ClassWeights = "auto"
    freeze: bool = False
    chrono: float | None = None
    orthogonal: bool = False
    watch_gradients: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            ValueError: A number is out of its range, or `class_weights` is an unknown word.
        """
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 1 or more")
        for name in ("dropout", "word_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 or more and less than 1")
        for name in ("learning_rate", "weight_decay", "clip", "seed"):
            if not (getattr(self, name) or 0) >= 0:  # so that NaN is refused too
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 or more")
        if self.chrono is not None and not self.chrono >= 2:
            raise ValueError(f"chrono is {self.chrono}, expected 2 or more: the longest memory in words")
        check_choice("class_weights", self.class_weights, CLASS_WEIGHTS)

    def for_texts(self, count: int) -> "Schedule":
        """Decides what is left open, for a number of texts to train on: few make smaller steps and more epochs."""
        batch_size = self.batch_size or (64 if count >= MANY_TEXTS else 32)
        steps = -(-count // batch_size)
        epochs = self.epochs or max(3, -(-1000 // steps))
        return Schedule(batch_size, steps, epochs, self.patience or max(3, epochs // 2))


class Schedule(NamedTuple):
    """What `Settings.for_texts` decides.

    Attributes:
        batch_size: Texts in a step.
        steps: Steps in an epoch.
        epochs: Most passes over the texts.
        patience: Epochs without a better score before training stops.
    """

    batch_size: int
    steps: int
    epochs: int
    patience: int


LEARNING_RATES = {"gru": 2e-3, "rnn_tanh": 1e-3, "rnn_relu": 1e-3, "average": 3e-3, "compound": 3e-3}
"""Highest learning rates by cell; all but those of the RNNs were compared on film reviews."""


@dataclass(frozen=True)
class Step:
    """A step of the optimiser is done.

    Attributes:
        epoch: The present epoch, from 1.
        epochs: How many there will be, unless training stops early.
        words: Words read so far, in all epochs.
        of: Words to read in all epochs.
        loss: Mean loss of this epoch so far, nats.
    """

    epoch: int
    epochs: int
    words: int
    of: int
    loss: float


@dataclass(frozen=True, kw_only=True)
class LayerGradients:
    """Gradient norms along one layer in one direction: medians over a few texts, at some distances from the end.

    Attributes:
        layer: Index of the layer, from 0.
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
        walks: Those of each layer and direction, in the order of `Model.trace`.
    """

    walks: tuple[LayerGradients, ...]

    @property
    def worst(self) -> LayerGradients:
        """The walk to tell of: one in trouble if there is one, else the one whose rate is farthest from 1."""
        return max(self.walks, key=lambda walk: (walk.trouble != "", abs(1 - walk.rate)))


@dataclass(frozen=True)
class Epoch:
    """An epoch is done, and judged by the validation texts.

    Attributes:
        epoch: Which one, from 1.
        loss: Mean training loss of the epoch, nats.
        report: Scores on the validation texts.
        seconds: Time since training began, validation included.
        weights: The `state_dict` as float32 arrays if no epoch before had a higher macro F1, else None.
        gradients: Gradient norms, if they are watched and the cell is recurrent, else None.
    """

    epoch: int
    loss: float
    report: Report
    seconds: float
    weights: Mapping[str, npt.NDArray[np.float32]] | None
    gradients: Gradients | None = None
