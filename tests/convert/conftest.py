"""Models with random weights, of every kind."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tidegate import Network, NetworkConfig, SequenceConfig, SequenceModel, TextConfig, TextModel
from tidegate.models.architecture import Architecture
from tidegate.text.tokenizer import Tokenizer

Make = Callable[..., Any]

collect_ignore = ["keras/make_keras.py"]  # a script that needs Keras


def arrays_of(config: Architecture, seed: int = 0) -> dict[str, Any]:
    """Random weights."""
    rng = np.random.default_rng(seed)
    arrays = {name: (0.4 * rng.standard_normal(shape)).astype(np.float32) for name, shape in config.shapes().items()}
    for name in ("features.scale", "rate"):
        if name in arrays:
            arrays[name] = np.abs(arrays[name]) + np.float32(0.5)
    return arrays


def runs(rng: np.random.Generator, count: int, order: int, vocab_size: int) -> Any:
    """Runs of words of an n-gram part, among them two that no text can hold: a mark alone, and two of them."""
    rows = {(vocab_size, *[0] * (order - 1)), (vocab_size, vocab_size, *[0] * order)[:order]}
    while len(rows) < count:
        words = rng.integers(1, vocab_size, rng.integers(1, order + 1))
        if len(words) > 1 and rng.random() < 0.4:
            words[rng.choice([0, -1])] = vocab_size
        rows.add((*words.tolist(), *[0] * (order - len(words))))
    return np.array(sorted(rows), np.float32)


@pytest.fixture(scope="session")
def vectors_model() -> Make:
    """Makes networks that read vectors."""

    def make(cell: str, **choices: Any) -> Network:
        sizes: dict[str, Any] = {"labels": ("a", "b", "c"), "input_size": 3, "hidden_size": 5}
        config = NetworkConfig(cell=cell, **(sizes | choices))
        return Network(config, arrays_of(config))

    return make


@pytest.fixture(scope="session")
def numbers_model() -> Make:
    """Makes networks that read numbers as they are measured."""

    def make(cell: str, **choices: Any) -> SequenceModel:
        sizes: dict[str, Any] = {"labels": ("rest", "walk"), "features": 4, "missing": (1, 3), "hidden_size": 5}
        config = SequenceConfig(cell=cell, **(sizes | choices))
        return SequenceModel(config, arrays_of(config))

    return make


@pytest.fixture(scope="session")
def texts_model() -> Make:
    """Makes networks that read texts."""
    texts = ["a good film . a dull bad film , it was very long and boring ; the best !"] * 3
    tokenizer = Tokenizer.train(texts, vocab_size=30)

    def make(cell: str, **choices: Any) -> TextModel:
        sizes: dict[str, Any] = {"labels": ("bad", "good"), "embedding_size": 4, "hidden_size": 5}
        config = TextConfig(cell=cell, vocab_size=len(tokenizer), **(sizes | choices))
        arrays = arrays_of(config)
        if config.ngrams:
            rng = np.random.default_rng(1)
            arrays["ngrams.words"] = runs(rng, config.ngrams, config.ngram_order, len(tokenizer))
        return TextModel(config, tokenizer, arrays)

    return make


@pytest.fixture
def _read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads files of Keras in this process: to start one for each takes half a second."""
    from tidegate.convert.keras.file import read_here

    monkeypatch.setattr("tidegate.convert.keras.source.read", read_here)
