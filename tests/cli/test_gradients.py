"""What `tidegate train --watch-gradients` says, and what it advises."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tidegate

Shell = Callable[..., tuple[int, str, str]]

TO = "-o new.safetensors"


def test_watching_needs_a_recurrent_layer(shell: Shell, small: str) -> None:
    """An average has no gradients along time."""
    code, _, err = shell(f"train train.csv {TO} {small} --cell average --watch-gradients")
    assert code == 2
    assert "--watch-gradients measures recurrent layers, but there is none: --cell average" in err


def test_gradients_are_told_and_kept(shell: Shell, small: str) -> None:
    """With --watch-gradients each epoch has a line about them, and the model file keeps the figures of all epochs."""
    code, _, err = shell(f"train train.csv {TO} {small} --epochs 3 --patience 3 --no-baselines --watch-gradients")
    assert code == 0
    assert len(re.findall(r"^  ∂h_T/∂h_t \w+: a factor \S+ a step.*; ∂loss/∂h_t .* at the end", err, re.MULTILINE)) == 3
    gradients = tidegate.load("new.safetensors", tidegate.TextModel).metrics["gradients"]
    assert len(gradients) == 3
    (walk,) = gradients[0]
    assert walk["distances"] == [0, 1, 3, 8]
    assert walk["log_flow"][0] == 0


def test_what_to_try_is_said_once(shell: Shell, small: str) -> None:
    """A vanilla RNN on long texts has vanishing gradients: the first epoch says what to try, the next do not."""
    long = "a film " * 60
    rows = "".join(f"{'good' if i % 2 else 'bad'} {long},{i % 2}\n" for i in range(60))
    Path("long.csv").write_text("text,label\n" + rows, encoding="utf-8")
    code, _, err = shell(f"train long.csv {TO} {small} --epochs 2 --no-baselines --cell rnn_tanh --watch-gradients")
    assert code == 0
    assert err.count("gradients vanish") == 1
    for remedy in ("--cell gru", "--orthogonal", "--summary mean+max"):
        assert remedy in err


@pytest.mark.parametrize(("distance", "shorter"), [(20, False), (150, True)])
def test_shorter_texts_are_advised_where_most_would_stay(distance: int, shorter: bool) -> None:
    """Cutting texts of 200 words to 20 is no advice, to 150 it is."""
    from tidegate.cli.train.gradients import _remedies
    from tidegate.models.config import TextConfig
    from tidegate.training.events import LayerGradients
    from tidegate.training.settings import Settings

    facts: dict[str, Any] = {"layer": 0, "reverse": False, "rate": 0.9, "verdict": "", "log_flow": (), "log_loss": ()}
    walk = LayerGradients(trouble="vanish", distance=distance, distances=(0, 200), **facts)
    config = TextConfig(cell="gru", labels=("a", "b"), vocab_size=9, embedding_size=2, hidden_size=2)
    assert (f"shorter texts: --max-length {distance}" in _remedies(walk, config, Settings())) is shorter
