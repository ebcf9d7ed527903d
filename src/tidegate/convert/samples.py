"""Sequences that a conversion or an export is checked with, and what a model itself makes of them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel
from tidegate.sequences.padding import pad
from tidegate.text.tokenizer import UNK, UNKNOWN, Words

Array = npt.NDArray[np.float32]
Sequence = npt.NDArray[Any]

UNHEARD = ("unheard", "ab", "zzzzzzzzzz", "\u00fcnh\u00f6rt")
"""Words outside any vocabulary, whose ids in a batch are V, V + 1, … if the model reads their letters."""

LENGTHS = (9, 1, 14, 0, 6)
"""Steps of the sequences of a batch, if nothing asks for others."""

_SHAPES = ((1,), (0,), LENGTHS, (2, 17), (33,), (4, 4, 4), (0, 0, 6))
"""Steps of the sequences of each batch that an export is checked with: of other sizes, ragged, and empty ones."""


def sequences(
    features: int, lengths: Iterable[int] = LENGTHS, rng: np.random.Generator | None = None
) -> list[npt.NDArray[np.float32]]:
    """Draws sequences of vectors, float32 [T, I] each; the same every time without a generator."""
    rng = rng or np.random.default_rng(0)
    return [rng.standard_normal((length, features)).astype(np.float32) for length in lengths]


def id_sequences(
    size: int, lengths: Iterable[int] = LENGTHS, first: int = 0, rng: np.random.Generator | None = None
) -> list[npt.NDArray[np.int64]]:
    """Draws sequences of ids from `first` to size − 1, int64 [T] each; the same every time without a generator."""
    rng = rng or np.random.default_rng(0)
    return [rng.integers(first, size, length) for length in lengths]


def batches_for(model: Network, seed: int = 0) -> Iterator[list[Sequence]]:
    """Draws batches of sequences for a model, ragged and of several sizes.

    Args:
        model: The model.
        seed: Of the random numbers.

    Yields:
        Sequences: word ids, int64 [T]; or numbers, float32 [T, K], NaN where they may be missing.
    """
    rng = np.random.default_rng(seed)
    for lengths in _SHAPES:
        if isinstance(model, TextModel):
            drawn = id_sequences(model.config.vocab_size, lengths, 1, rng)
            yield [_with_ngrams(model, ids, rng) for ids in drawn]
        elif isinstance(model, SequenceModel):
            yield [_with_gaps(model, x, rng) for x in sequences(len(model.features.center), lengths, rng)]
        else:
            yield [*sequences(model.config.input_size, lengths, rng)]


def _with_ngrams(model: TextModel, ids: Sequence, rng: np.random.Generator) -> Sequence:
    """Puts runs that are known in, as random words would hardly ever make them, and unknown words."""
    if model.ngrams is not None:
        rows = model.arrays["ngrams.words"][rng.integers(model.config.ngrams, size=len(ids))].astype(np.int64)
        known = rows[(rows > 0) & (rows < model.config.vocab_size)]
        ids[: len(known)] = known[: len(ids)]
    if model.config.ngram_letters:
        new = rng.random(len(ids)) < 0.3
        ids[new] = model.config.vocab_size + rng.integers(len(UNHEARD), size=new.sum())
    return ids


def _with_gaps(model: SequenceModel, x: Sequence, rng: np.random.Generator) -> Sequence:
    """Gives numbers the units of the model's features, and leaves out some of those that may be missing."""
    x = model.features.center + model.features.scale * 2 * x
    missing = list(model.features.missing)
    x[:, missing] = np.where(rng.random((len(x), len(missing))) < 0.4, np.nan, x[:, missing])
    return x.astype(np.float32)


def padded(sequences: list[Sequence], fill: float) -> tuple[Sequence, npt.NDArray[np.int64]]:
    """Lays sequences side by side as `pad` does, but batch first: [B, T] or [B, T, K]; and counts their steps, [B]."""
    step = sequences[0].shape[1:]
    rows = [sequence.reshape(len(sequence), prod(step)) for sequence in sequences]
    x, lengths = pad(rows, prod(step), sequences[0].dtype, fill)
    return np.ascontiguousarray(x.swapaxes(0, 1)).reshape(x.shape[1], x.shape[0], *step), lengths


def results_of(model: Network, sequences: list[Sequence]) -> dict[str, Array]:
    """Computes what a model makes of sequences as `batches_for` draws them: vectors, scores, probabilities, by name."""
    if not isinstance(model, TextModel):
        given = [x.T for x in sequences] if getattr(model.config, "layout", "") == "channels_first" else sequences
        changes = isinstance(model, SequenceModel) and model.config.residual
        others = model.unchanged(given) if changes else None  # type: ignore[attr-defined]
        return results_of_vectors(model, model.encode(given), others)
    read = [_words(ids[: model.most_steps], model.config.vocab_size) for ids in sequences]
    vectors = model.summaries([words.ids for words in read], model.arrays["embedding.weight"])
    return results_of_vectors(model, vectors, model.ngrams.logits(read).astype(np.float32) if model.ngrams else None)


def results_of_vectors(model: Network, vectors: Array, others: Array | None = None) -> dict[str, Array]:
    """Computes what a model makes of vectors [B, F], and of the scores of its other parts."""
    found: dict[str, Array] = {}
    if model.config.summary_size:
        found["vectors"] = vectors
    if model.config.has_head:
        found["scores"] = model.head(vectors) if others is None else model.head(vectors) + others
    if model.config.aim.has_probabilities:
        found["probabilities"] = model.probabilities_of(found["scores"])
    return found


def _words(ids: Sequence, vocab_size: int) -> Words:
    """Takes ids of words, from V on those of `UNHEARD`; another unknown word has the letters of the word of its id."""
    known = np.where(ids < vocab_size, ids, UNKNOWN).astype(np.int32)
    others = tuple(
        UNK if i == UNKNOWN else UNHEARD[i - vocab_size] for i in ids.tolist() if i == UNKNOWN or i >= vocab_size
    )
    return Words(known, others)


def expanded(model: Network, *, adds_steps: bool = False) -> Network:
    """Returns a model with float32 weights, the numbers that fewer bits stand for; it reads frames, not sound.

    Args:
        model: The model.
        adds_steps: Whether what is made of it adds the last step to predicted changes.

    Raises:
        ValueError: Its head predicts changes of the last step, and these are not added.
    """
    if isinstance(model, SequenceModel) and model.config.residual and not adds_steps:
        raise ValueError(
            "the model predicts how the next steps differ from the last one, which only a file of ONNX adds: export "
            "that, or train the model with --no-residual (in Python residual=False)"
        )
    if isinstance(model, SequenceModel) and model.front_end:
        config = replace(model.config, frontend=None, columns=())
        return SequenceModel(config, model.arrays, model.metrics, model.versions)
    if not model.small:
        return model
    if isinstance(model, TextModel):
        return TextModel(model.config, model.tokenizer, model.arrays, model.metrics, model.versions)
    return type(model)(model.config, model.arrays, model.metrics, model.versions)
