"""What a recurrent network must beat."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from tidegate.text.vectors import WordVectors
from tidegate.training.baselines.baselines import baselines, candidates
from tidegate.training.data.examples import prepare_sequences, prepare_texts
from tidegate.training.fitting import fit
from tidegate.training.settings import Settings

HOW: dict[str, Any] = {"epochs": 20, "batch_size": 16, "class_weights": "none"}


def waves(count: int = 160) -> tuple[list[Any], Any]:
    """Noise that is wide or narrow about the same mean: its deviation tells which, an average does not."""
    rng = np.random.default_rng(3)
    wide = np.arange(count) % 2
    return [rng.normal(0, 1 + 5 * w, (rng.integers(20, 30), 1)) for w in wide], wide


def test_statistics_find_what_an_average_cannot() -> None:
    """A linear model on statistics tells wide from narrow noise; the poolings cannot."""
    examples = prepare_sequences(*waves(), validation=0.25)
    reports = baselines(examples, examples.config(hidden_size=4), Settings(**HOW))
    assert list(reports) == ["average", "compound", "statistics"]
    assert reports["statistics"].accuracy > 0.9
    assert reports["average"].accuracy < 0.75


def test_texts_have_no_statistics() -> None:
    """For texts there are the poolings, and of these not the one that is trained."""
    examples = prepare_texts(["so good", "so bad"] * 8, ["yes", "no"] * 8, validation=0.25)
    reports = baselines(examples, examples.config("compound", embedding_size=4), Settings(epochs=1))
    assert list(reports) == ["average"]


def test_baselines_have_the_sizes_of_the_network() -> None:
    """All but cell and rate is as the network has it, and settings that are about gates are left out."""
    examples = prepare_texts(["so good", "so bad"] * 8, ["yes", "no"] * 8, validation=0.25)
    config = examples.config("gru", embedding_size=8, summary="mean")
    settings = Settings(epochs=1, learning_rate=0.5, orthogonal=True, chrono=4.0, freeze=True)
    average, compound = candidates(examples, config, settings, rate=0.9)
    assert average.config == replace(config, cell="average")
    assert compound.config == replace(config, cell="compound", rate=0.9)
    assert average.settings == compound.settings == Settings(epochs=1, freeze=True)


def test_poolings_of_numbers_have_the_noise_of_the_network() -> None:
    """They are trained by the same loop on the same steps; statistics are no steps."""
    examples = prepare_sequences(*waves(), validation=0.25)
    found = candidates(examples, examples.config(hidden_size=4), Settings(noise=0.5))
    assert {each.name: each.settings.noise for each in found} == {"average": 0.5, "compound": 0.5, "statistics": 0.0}


def test_baselines_start_from_the_same_word_vectors() -> None:
    """With frozen vectors that tell no good from bad, no average can, as the network cannot."""
    vectors = WordVectors(["good", "bad"], np.ones((2, 2), np.float32))
    options: dict[str, Any] = {"vectors": vectors, "freeze": True, "embedding_size": 2, "hidden_size": 2}
    how: dict[str, Any] = HOW | {"validation": 0.25, "word_dropout": 0.0, "baselines": True}
    model = fit(["so good", "so bad"] * 16, ["yes", "no"] * 16, **options, **how)
    assert {name: report["accuracy"] for name, report in model.metrics["baselines"].items()} == {
        "average": 0.5,
        "compound": 0.5,
    }


def test_a_better_baseline_is_said() -> None:
    """With `baselines=True` the scores are kept, and a warning says that the GRU is not better."""
    sequences, labels = waves()
    with pytest.warns(UserWarning, match=r"a simple baseline is better here: statistics has a macro_f1 of .*, where t"):
        model = fit(sequences, labels, baselines=True, hidden_size=1, learning_rate=1e-9, validation=0.25, **HOW)
    assert model.metrics["baselines"]["statistics"]["macro_f1"] > model.metrics["macro_f1"]
