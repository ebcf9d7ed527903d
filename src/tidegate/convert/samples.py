"""Sequences that an exported model is compared on, and what the model itself makes of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel
from tidegate.text.tokenizer import UNK, UNKNOWN, Words

Array = npt.NDArray[np.float32]
Sequence = npt.NDArray[Any]

UNHEARD = ("unheard", "ab", "zzzzzzzzzz", "\u00fcnh\u00f6rt")
"""Words outside any vocabulary, whose ids in a batch are V, V + 1, … if the model reads their letters."""

_SHAPES = ((1,), (0,), (5, 0, 1, 9, 3), (2, 17), (33,), (4, 4, 4), (0, 0, 6))
"""Steps of the sequences of each batch that is compared: of other sizes, ragged, and empty ones."""


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
        yield [_drawn(model, length, rng) for length in lengths]


def _drawn(model: Network, length: int, rng: np.random.Generator) -> Sequence:
    if isinstance(model, TextModel):
        ids = rng.integers(1, model.config.vocab_size, length)
        if model.ngrams is not None:  # runs that are known, as random words would hardly ever make them
            rows = model.arrays["ngrams.words"][rng.integers(model.config.ngrams, size=length)].astype(np.int64)
            known = rows[(rows > 0) & (rows < model.config.vocab_size)]
            ids[: len(known)] = known[:length]
        if model.config.ngram_letters:
            new = rng.random(length) < 0.3
            ids[new] = model.config.vocab_size + rng.integers(len(UNHEARD), size=new.sum())
        return ids
    if isinstance(model, SequenceModel):
        features = model.features
        x = features.center + features.scale * 2 * rng.standard_normal((length, len(features.center)))
        missing = list(features.missing)
        x[:, missing] = np.where(rng.random((length, len(missing))) < 0.4, np.nan, x[:, missing])
        return x.astype(np.float32)
    return rng.standard_normal((length, model.config.input_size)).astype(np.float32)


def padded(sequences: list[Sequence], fill: Any) -> tuple[Sequence, npt.NDArray[np.int64]]:
    """Lays sequences side by side, [B, T] or [B, T, K], a number beyond their ends; and counts their steps, [B]."""
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    x = np.full((len(sequences), lengths.max(initial=0), *sequences[0].shape[1:]), fill, sequences[0].dtype)
    for row, sequence in zip(x, sequences, strict=True):
        row[: len(sequence)] = sequence
    return x, lengths


def results(model: Network, sequences: list[Sequence]) -> dict[str, Array]:
    """Computes what a model makes of sequences as `batches_for` draws them: vectors, scores, probabilities, by name."""
    found: dict[str, Array] = {}
    if isinstance(model, TextModel):
        read = [_words(ids[: model.most_steps], model.config.vocab_size) for ids in sequences]
        vectors = model.summaries([words.ids for words in read], model.arrays["embedding.weight"])
    else:
        layout = getattr(model.config, "layout", "")
        vectors = model.encode([x.T for x in sequences] if layout == "channels_first" else sequences)
    if model.config.summary_size:
        found["vectors"] = vectors
    if model.config.has_head:
        found["scores"] = model.head(vectors)
        if isinstance(model, TextModel) and model.ngrams is not None:
            found["scores"] = found["scores"] + model.ngrams.logits(read).astype(np.float32)
    if model.config.task == "classification":
        found["probabilities"] = model.probabilities_of(found["scores"])
    return found


def _words(ids: Sequence, vocab_size: int) -> Words:
    """Takes ids of words, from V on those of `UNHEARD`; another unknown word has the letters of the word of its id."""
    known = np.where(ids < vocab_size, ids, UNKNOWN).astype(np.int32)
    others = tuple(
        UNK if i == UNKNOWN else UNHEARD[i - vocab_size] for i in ids.tolist() if i == UNKNOWN or i >= vocab_size
    )
    return Words(known, others)


def expanded(model: Network) -> Network:
    """Returns a model with float32 weights: the numbers that weights of fewer bits stand for."""
    if not model.small:
        return model
    if isinstance(model, TextModel):
        return TextModel(model.config, model.tokenizer, model.arrays, model.metrics, model.versions)
    return type(model)(model.config, model.arrays, model.metrics, model.versions)
