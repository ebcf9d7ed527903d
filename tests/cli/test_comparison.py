"""The table of a training: the model beside simpler ones, the verdict, and what the model keeps of it."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate.cli.train.comparison import Trained, verdict
from tidegate.models.metrics.reports import score
from tidegate.training.events import Epoch

Shell = Callable[..., tuple[int, str, str]]

TO = "-o new.safetensors"


def test_three_summaries_stand_side_by_side(shell: Shell, small: str) -> None:
    """Accuracy, macro F1 and seconds of average, compounding and GRU stand in one table, above a verdict."""
    code, out, _ = shell(f"train train.csv {TO} {small} --epochs 30")
    assert code == 0
    rows = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    table = {row[0]: row[1:] for row in rows if row[0] in {"average", "compounding", "GRU", "accuracy"}}
    assert list(table) == ["accuracy", "average", "compounding", "GRU"]
    assert table["accuracy"] == ["macro F1", "log-loss", "ECE", "seconds"]
    for name in ("average", "compounding", "GRU"):
        accuracy, f1, log_loss, ece, seconds = map(float, table[name])
        assert accuracy > 0.9
        assert f1 > 0.9
        assert 0 <= ece < 0.5
        assert 0 < log_loss < 0.7
        assert seconds > 0
    assert re.search(r"^The GRU is ", out, re.MULTILINE)
    assert "wrote new.safetensors" in out


def test_the_table_is_kept_in_the_model(shell: Shell, folder: Path, small: str) -> None:
    """The scores on the validation texts, those of the simpler summaries too, can be read from the model."""
    assert shell(f"train train.csv {TO} {small}")[0] == 0
    metrics = tidegate.load(folder / "new.safetensors", tidegate.TextModel).metrics
    assert set(metrics["baselines"]) == {"average", "compound"}
    assert set(metrics["baselines"]["average"]) == {"accuracy", "macro_f1", "log_loss", "ece", "seconds"}
    assert metrics["n"] == 40


def trained(title: str, right: int) -> Trained:
    """A model that is right on the first so many of a thousand texts."""
    truth = np.arange(1000) % 2
    report = score(truth, np.eye(2)[np.where(np.arange(1000) < right, truth, 1 - truth)], ("no", "yes"))
    return Trained(title, title == "GRU", Epoch(1, 0.5, report, 1.0, None), 1.0)


@pytest.mark.parametrize(
    ("right", "sentence"),
    [
        (650, "The GRU is NOT better than the average: −5.0 points (95 %: −6."),
        (700, "The GRU is NOT better than the average: +0.0 points (95 %: +0.0 to +0.0). The order"),
        (702, "The GRU is ahead of the average, which may be chance: +0.2 points (95 %: +0.0 to +0.5)."),
        (750, "The GRU is better than the average: +5.0 points (95 %: +3."),
    ],
)
def test_the_verdict_is_a_sentence(right: int, sentence: str) -> None:
    """Whether the GRU beats the average of 700 right answers, and whether chance explains it, is said in words."""
    found = verdict(trained("GRU", right), trained("average", 700), "the average", "The order is of no use.")
    assert found.startswith(sentence)


def test_baselines_can_be_left_out(shell: Shell, small: str) -> None:
    """Without baselines neither they nor a verdict are shown."""
    code, out, err = shell(f"train train.csv {TO} {small} --no-baselines")
    assert code == 0
    assert "average" not in out + err
    assert "GRU" in out


def test_parts_of_the_model_are_no_baselines(shell: Shell, small: str) -> None:
    """Without baselines a network is not compared with the sum that it is a part of."""
    code, out, _ = shell(f"train train.csv {TO} {small} --no-baselines --parts gru,ngrams")
    assert code == 0
    assert "GRU + n-grams" in out
    assert "baseline" not in out
