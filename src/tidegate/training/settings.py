"""How to train: plain values, which need no torch."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from tidegate.ops.checks import check_choice

ClassWeights = Literal["auto", "balanced", "none"]
CLASS_WEIGHTS: tuple[str, ...] = get_args(ClassWeights)
Loss = Literal["standard", "huber"]
STANDARD, HUBER = get_args(Loss)
WORD_DROPOUT = 0.1
VECTOR_DROPOUT = 0.1  # few features, each with a meaning of its own, where a word has a hundred
TOKEN_DROPOUT = 0.1  # texts that foresee themselves have a label at every word
MARKED_IMBALANCE = 3.0  # rows of the largest class ÷ rows of the smallest from which "auto" balances
MOST_NOISE = 100.0  # standard deviations: scaled values are cut there
MANY = 16_000  # sequences from which an epoch has enough steps of 64 each
SEVERAL = 10_000  # texts from which 80 steps of 128, each as long as four of 32, are as good and take half the time


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train; what is trained is described by a configuration of `tidegate.models`.

    Attributes:
        epochs: Most passes over the sequences. None for 3, or as many as make 1,000 steps if there are few of them.
        batch_size: Sequences in a step. None for 64, or 32 for less than 16,000 sequences, which need more steps; of
            texts with a class 128 from 10,000 on.
        learning_rate: Of AdamW, at its highest: it rises during the first fifth of all steps and then falls to 0 as
            half a cosine (one cycle, Smith & Topin 2019). None for the cell's own, see `Cell.learning_rate`, or four
            times as much where a batch of None has 128 texts (Goyal et al. 2017, the linear scaling rule).
        weight_decay: Of AdamW.
        dropout: Probability of zeroing a feature, see `NetworkModule`.
        word_dropout: Probability of replacing a word by the unknown word. None for 0.1, or 0 where words are
            foreseen; vectors have no words.
        noise: Standard deviation of the noise that is added, while training, to each number that is read, in units of
            its feature's scale, 0 to 100 (Bishop 1995, "Training with Noise is Equivalent to Tikhonov Regularization"):
            it counters overfitting to few sequences. Not for texts, nor for what is foreseen.
        clip: Largest norm of the gradient; 0 for any.
        patience: Epochs without a better validation score (macro F1, or R² of a regression) before training stops. None
            for half of the epochs, at least 3: while the learning rate is high, worse epochs mean little.
        class_weights: "balanced" weighs each class in the loss by 1 ÷ its frequency, "none" does not, "auto" does if
            the largest class has at least 3 times the rows of the smallest.
        loss: "standard" is that of the task; "huber" replaces the squared errors of a regression and of next steps by
            Huber's loss (1964), for which a few wild numbers count less. It is linear beyond one standard deviation of
            what is predicted.
        freeze: Whether the embedding stays as it starts.
        chrono: Longest memory, in steps, 2 or more, that the units of a cell with a gate for what it keeps start with
            (Tallec & Ollivier 2018); None for torch's own start.
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
    word_dropout: float | None = None
    noise: float = 0.0
    clip: float = 1.0
    patience: int | None = None
    class_weights: ClassWeights = "auto"
    loss: Loss = "standard"
    freeze: bool = False
    chrono: float | None = None
    orthogonal: bool = False
    watch_gradients: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            ValueError: A number is out of its range, or `class_weights` or `loss` is an unknown word.
        """
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 1 or more")
        for name in ("dropout", "word_dropout"):
            if not 0 <= (getattr(self, name) or 0) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 or more and less than 1")
        for name in ("learning_rate", "weight_decay", "clip", "seed"):
            if not (getattr(self, name) or 0) >= 0:  # so that NaN is refused too
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 or more")
        if not 0 <= self.noise <= MOST_NOISE:
            raise ValueError(f"noise is {self.noise}, expected 0 to {MOST_NOISE:g} standard deviations")
        if self.chrono is not None and not self.chrono >= 2:
            raise ValueError(f"chrono is {self.chrono}, expected 2 or more: the longest memory in steps")
        check_choice("class_weights", self.class_weights, CLASS_WEIGHTS)
        check_choice("loss", self.loss, get_args(Loss))

    def importance(self, counts: npt.NDArray[np.integer]) -> npt.NDArray[np.float64] | None:
        """Weighs each class by 1 ÷ its frequency, where `class_weights` wants that.

        Args:
            counts: Rows of each class, int [C].

        Returns:
            Rows of an average class ÷ rows of this one, [C]; None if each row counts the same.
        """
        marked = counts.max() >= MARKED_IMBALANCE * counts.min()
        if self.class_weights == "none" or (self.class_weights == "auto" and not marked):
            return None
        return np.asarray(counts.mean() / np.maximum(counts, 1))

    def schedule(self, count: int, rate: float, *, classes_of_texts: bool = False) -> "Schedule":
        """Decides what is left open: few sequences make smaller steps and more epochs.

        Args:
            count: The number of sequences.
            rate: The learning rate of the cell, in steps of 32 or 64.
            classes_of_texts: Whether they are texts, each of one class.
        """
        pace = 4 if classes_of_texts and SEVERAL <= count < MANY and not self.batch_size else 1
        batch_size = self.batch_size or (64 if count >= MANY else 32 * pace)
        steps = -(-count // batch_size)
        epochs = self.epochs or max(3, -(-1000 // (pace * steps)))
        learning_rate = pace * rate if self.learning_rate is None else self.learning_rate
        return Schedule(batch_size, steps, epochs, self.patience or max(3, epochs // 2), learning_rate)


class Schedule(NamedTuple):
    """What `Settings.schedule` decides.

    Attributes:
        batch_size: Sequences in a step.
        steps: Steps in an epoch.
        epochs: Most passes over the sequences.
        patience: Epochs without a better score before training stops.
        learning_rate: At its highest.
    """

    batch_size: int
    steps: int
    epochs: int
    patience: int
    learning_rate: float
