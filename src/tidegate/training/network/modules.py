"""The networks in torch: recurrent layers or a pooling, summary and linear head, and word vectors before them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tidegate.models.architecture import Architecture
from tidegate.models.config import TextConfig
from tidegate.sequences.features import Features
from tidegate.text.tokenizer import PADDING
from tidegate.torch.chrono import check_chrono
from tidegate.training.network.head_loss import head_loss
from tidegate.training.network.layers import recurrent_layers
from tidegate.training.network.losses import ACTIVATIONS, LOSSES
from tidegate.training.network.shares import Share, dropout_mask
from tidegate.training.network.summaries import step_weights, summarize
from tidegate.training.network.threads import Map

# torch starts embeddings with a standard deviation of 1, which drowns what a few epochs can add.
EMBEDDING_SPREAD = 0.1

FIRST_RATE = 0.98  # of compounding, where it is learned


class Scale(nn.Module):
    """Numbers of about 0 ± 1 in the place of numbers of any size, feature by feature.

    Args:
        shift: Mean of each feature, [I].
        size: Standard deviation of each feature, above 0, [I].
    """

    def __init__(self, shift: npt.NDArray[np.floating[Any]], size: npt.NDArray[np.floating[Any]]) -> None:
        super().__init__()
        self.register_buffer("shift", torch.from_numpy(shift.astype(np.float32)), persistent=False)
        self.register_buffer("size", torch.from_numpy(size.astype(np.float32)), persistent=False)

    shift: Tensor
    size: Tensor

    @classmethod
    def of(cls, values: npt.NDArray[np.floating[Any]]) -> "Scale":
        """Measures values [N, I]; features that do not vary keep their size."""
        spread = values.std(axis=0, dtype=np.float64)
        return cls(values.mean(axis=0, dtype=np.float64), np.where(spread > 0, spread, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Scales numbers [..., I]."""
        return (x - self.shift) / self.size


class LastStep(nn.Module):
    """The last step in the scale of the outputs, to which a network of changes adds what it predicts.

    Args:
        features: Of the steps that are read.
        outputs: Scale of the outputs.
    """

    def __init__(self, features: Features, outputs: Scale) -> None:
        super().__init__()
        repeats = len(outputs.size) // len(features.center)
        for name, array in (("center", features.center), ("scale", features.scale)):
            tiled = torch.from_numpy(array).repeat(repeats) / outputs.size
            self.register_buffer(name, tiled, persistent=False)
        self.repeats = repeats

    center: Tensor
    scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Makes outputs [N, h·K] of scaled steps [N, K]."""
        return x.repeat(1, self.repeats) * self.scale + self.center


class NetworkModule(nn.Module):
    """A network that reads sequences of vectors.

    `arrays` gives the arrays of the model file: `rnn.weight_ih_l0` and the others of the recurrent layers, or `rate`
    [1] of compounding, and `head.weight` [C, F], `head.bias` [C].

    Outputs may be scaled while it is trained; the arrays hold this scale in the weights of the head.

    Args:
        config: What to build (cell, sizes, summary, labels).
        dropout: Probability of zeroing a feature, of the inputs (the same features all along a sequence, so that the
            mask is small, Gal & Ghahramani 2016), between layers, and of the summary; where steps are foreseen or
            labelled, not of the inputs, and of each step's last state; where words are foreseen, of the last states of
            a part of a text (the same features all along it).
        chrono: Longest memory in steps that the units start with, see `tidegate.torch.GRU`; None for torch's own start.
        outputs: Scale of the numbers that a regression predicts.

    Attributes:
        class_weights: Weight of each class in the loss, [C]; None for 1. Of quantiles, their levels.
        last_step: What is added to the outputs of a network that predicts changes; None for other networks.
        measure: Which of `LOSSES` is followed.
        share: The rows that are read out of a batch in training; None for all.

    Raises:
        ValueError: There are no gates that chrono could set.
    """

    class_weights: Tensor | None = None
    share: Share | None = None

    def __init__(
        self,
        config: Architecture,
        dropout: float = 0.0,
        chrono: float | None = None,
        outputs: Scale | None = None,
    ) -> None:
        super().__init__()
        if chrono is not None:
            check_chrono(chrono, config.recurrent_cell, config.bias)
        self.config, self.dropout, self.outputs, self.measure = config, dropout, outputs, config.task
        self.last_step: LastStep | None = None
        self._make_vectors()
        if config.recurrent:
            self.rnn = _recurrent(config, dropout, chrono)
            self.rnn.dropped = lambda y: y * self._mask(*y.shape, rows=1)
        elif config.pooling and config.pooling.has_rate:
            self.rate = nn.Parameter(torch.tensor([FIRST_RATE if config.rate is None else config.rate]))
            self.rate.requires_grad_(config.rate is None)
        self.head = nn.Linear(config.summary_size, config.output_size)

    def _make_vectors(self) -> None:
        """Makes what turns the inputs into vectors, for subclasses."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Computes logits, or the scaled numbers of a regression.

        Args:
            x: Vectors, float32 [T, B, I].
            lengths: Steps of each row, int64 [B].

        Returns:
            float32 [B, C]; where steps are foreseen or labelled, of each of the N steps, [N, C], see `states`.
        """
        logits: Tensor = self.head(self.features(x, lengths))
        return logits if self.last_step is None else logits + self.last_step(x[_inside(x, lengths)])

    def features(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Computes what the head reads, float32 [B, F], or [N, H] where `forward` returns [N, C]."""
        if self.config.aim.each_step:
            return self.states(x, lengths)
        features = self.encode(x, lengths)
        return features * self._mask(*features.shape, rows=0) if self._drops else features

    def states(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Reads each sequence, and returns the output after every step, float32 [N, H], in the order of time.

        The arguments are those of `forward`. Dropout keeps all inputs: each of them may be what comes next.
        """
        y, _ = self.rnn(x, lengths=lengths)
        return _steps(y * self._mask(*y.shape, rows=1) if self._drops else y, _inside(x, lengths))

    def encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Summarises each sequence by one vector, float32 [B, F]; the arguments are those of `forward`."""
        return self._summary(x * self._mask(1, *x.shape[1:], rows=1) if self._drops else x, lengths)

    def predict(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Computes probabilities, or the numbers of a regression, [B, C]; the arguments are those of `forward`."""
        scores: Tensor = self(x, lengths)
        if self.outputs is not None:
            scores = scores * self.outputs.size + self.outputs.shift
        return ACTIVATIONS[self.config.aim.activation](scores, self.config.labels)

    def loss(self, scores: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Computes the mean loss of a batch: nats, or squares of scaled numbers.

        Args:
            scores: What `forward` returned.
            targets: Classes, int64 [B]; or numbers, or 1 and 0 for each label, float32 [B, C]; one number for all
                quantiles of it.
            weights: How much each sequence counts, mean 1 over all, float32 [B]; None for all the same.
        """
        if targets.ndim == 2 and targets.shape != scores.shape:
            targets = targets.repeat_interleave(scores.shape[1] // targets.shape[1], dim=1)
        targets = targets if self.outputs is None else self.outputs(targets)
        return LOSSES[self.measure](scores, targets, weights, self.class_weights)

    def loss_of(self, x: Tensor, lengths: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Computes the loss of a batch; the arguments are those of `forward` and `loss`."""
        return self.loss(self(x, lengths), targets, weights)

    def importance(self, targets: Tensor) -> float:
        """Returns what the mean loss of a batch is divided by: its sequences or steps, or the weights of their classes.

        Args:
            targets: As in `loss`.
        """
        if self.class_weights is None or not self.config.aim.exclusive:
            return len(targets)
        return float(self.class_weights[targets].sum())

    def touched(self, inputs: npt.NDArray[Any]) -> dict[Tensor, Tensor]:
        """Names the parameters of which a batch uses only some rows, and these rows, int64.

        Args:
            inputs: All that the batch reads.
        """
        return {}

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Returns copies of the arrays of the model file, the scale in them."""
        arrays = {name: tensor.numpy(force=True).copy() for name, tensor in self.state_dict().items()}
        if self.outputs is not None:
            shift, size = (scale.numpy().astype(np.float64) for scale in (self.outputs.shift, self.outputs.size))
            arrays["head.weight"] = arrays["head.weight"] * size[:, None]
            arrays["head.bias"] = arrays["head.bias"] * size + shift
        return {name: array.astype(np.float32, copy=False) for name, array in arrays.items()}

    @property
    def _drops(self) -> bool:
        return self.training and self.dropout > 0

    def _mask(self, *shape: int, rows: int | None = None) -> Tensor:
        """Draws what features are multiplied with: 0 for those that drop out, and so much more for the others.

        Args:
            shape: Of the mask.
            rows: The axis that counts the rows that are read, see `Share.mask`; None if the mask is that of all rows.
        """
        if rows is None or self.share is None:
            return dropout_mask(shape, self.dropout)
        return self.share.mask(shape, self.dropout, rows)

    def _summary(self, x: Tensor, lengths: Tensor, **ids: Tensor) -> Tensor:
        """Summarises vectors [T, B, I], or rows of a table [V, I] by their `ids` [T, B]."""
        if self.config.recurrent:
            y, h_n = self.rnn(x, lengths=lengths, **ids)
            return summarize(y, h_n[0] if isinstance(h_n, tuple) else h_n, lengths, self.config.summary)
        return torch.einsum("tb,tbi->bi", self._step_weights(lengths, len(x)), x)

    def _step_weights(self, lengths: Tensor, T: int) -> Tensor:
        """Computes how much each step of a pooled sequence counts, [T, B]."""
        rate = getattr(self, "rate", None)
        if rate is not None and rate.requires_grad:
            with torch.no_grad():
                rate.clamp_(0, 1)  # a learned rate above 1 would overflow on long sequences
        return step_weights(lengths, T, rate)


class TextModule(NetworkModule):
    """A network that reads texts as word ids: word vectors, and what a `NetworkModule` has.

    The arrays also hold `embedding.weight` [V, E]. A recurrent layer has one dropout mask of the words for all texts of
    a batch, so that it still multiplies a word once, however many of them read it.

    Its arguments are those of `NetworkModule`.

    Attributes:
        carried: The states that the last texts have left, from which the next ones go on where words are foreseen; one
            for each state of the cell, or none.
        shared: What the loss is computed with where words are foreseen, see `head_loss`.
    """

    config: TextConfig
    carried: tuple[Tensor, ...] = ()
    shared: Map = map

    def _make_vectors(self) -> None:
        self.embedding = nn.Embedding(self.config.vocab_size, self.config.embedding_size, padding_idx=PADDING)
        with torch.no_grad():
            self.embedding.weight.mul_(EMBEDDING_SPREAD)

    def touched(self, inputs: npt.NDArray[Any]) -> dict[Tensor, Tensor]:
        """Names the rows of the embedding that a batch of word ids reads."""
        used = np.zeros(self.config.vocab_size, bool)
        used[inputs] = True
        return {self.embedding.weight: torch.from_numpy(np.flatnonzero(used))}

    def encode(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Summarises each text by one vector, float32 [B, F].

        Args:
            ids: Word ids, int [T, B], `PADDING` beyond a text's end.
            lengths: Words in each text, int64 [B].
        """
        if self.config.recurrent:
            words = self.embedding.weight
            return self._summary(words * self._mask(words.shape[1]) if self._drops else words, lengths, ids=ids)
        pooled = nn.functional.embedding_bag(  # without the vectors of all words, which take most of the time
            ids.T.contiguous(),
            self.embedding.weight,
            mode="sum",
            per_sample_weights=self._step_weights(lengths, len(ids)).T.contiguous(),
        )
        return pooled * self._mask(*pooled.shape, rows=0) if self._drops else pooled

    def states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Reads texts, or goes on with those of the last batch, and returns the state after every word.

        Args:
            ids: As in `encode`; a text begins with `PADDING`, where the state is 0 again.
            lengths: As in `encode`.

        Returns:
            float32 [N, H], in the order of time.
        """
        inside = torch.arange(len(ids))[:, None] < lengths
        carried = self.carried if len(self.carried) != 1 else self.carried[0]
        y, h_n = self.rnn(
            self.embedding.weight,
            carried if self.training and self.carried else None,
            lengths=lengths,
            episode_starts=(ids == PADDING) & inside,
            ids=ids,
        )
        if self.training:
            self.carried = tuple(state.detach() for state in (h_n if isinstance(h_n, tuple) else (h_n,)))
        return _steps(y * self._mask(1, *y.shape[1:], rows=1) if self._drops else y, inside)

    def loss_of(self, x: Tensor, lengths: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Computes the loss of a batch; the arguments are those of `forward` and `loss`, without weights of words."""
        if not self.config.aim.foresees:
            return super().loss_of(x, lengths, targets, weights)
        return head_loss(self.features(x, lengths), self.head.weight, self.head.bias, targets.long(), self.shared)


def _steps(y: Tensor, inside: Tensor) -> Tensor:
    """Takes those of the steps [T, B, H] that are inside of the rows, [N, H], in the order of time."""
    steps: Tensor = y.flatten(0, 1) if inside.all() else y[inside]  # without a copy if all are
    return steps


def _inside(x: Tensor, lengths: Tensor) -> Tensor:
    """Says which steps of a padded batch are those of its rows, bool [T, B]."""
    inside: Tensor = torch.arange(len(x))[:, None] < lengths
    return inside


def _recurrent(config: Architecture, dropout: float, chrono: float | None) -> Any:
    options: dict[str, Any] = {"bias": config.bias, "bidirectional": config.bidirectional}
    if config.num_layers > 1:
        options["dropout"] = dropout
    if chrono is not None:
        options["chrono"] = chrono
    sizes = (config.input_size, config.hidden_size, config.num_layers)
    return recurrent_layers(config.recurrent_cell, *sizes, **options)
