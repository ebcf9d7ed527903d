"""`tidegate tune`: what is said of the trials, and how they are gone on from."""

import itertools
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Shell = Callable[..., tuple[int, str, str]]


def test_settings_are_tried_first(shell: Shell, folder: Path, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tune`, and `train --autotune-minutes`, try settings for so long, say them, keep them, and train the best."""
    ticks = itertools.count()
    monkeypatch.setattr("tidegate.training.tuning.perf_counter", lambda: float(next(ticks)))
    code, out, _ = shell(f"tune train.csv -o tuned.safetensors --minutes 2 --no-baselines {small}")
    assert code == 0
    assert re.search(
        r"^trial 0, 1 epoch: macro F1 [\d.]+ in [\d.]+ s, \d+:\d\d left: the settings as they", out, re.MULTILINE
    ), out
    assert "trying settings: the higher the macro F1 of what is held out, the better" in out
    assert re.search(r"^the best of \d+ trials: ", out, re.MULTILINE), out
    trials = (folder / "tuned.safetensors.trials.jsonl").read_text().splitlines()
    code, out, err = shell(f"train train.csv -o tuned.safetensors --autotune-minutes 0.01 --no-baselines {small}")
    assert code == 0
    assert f"going on from {len(trials) - 1} trials in tuned.safetensors.trials.jsonl" in " ".join(err.split())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_search_that_is_stopped_says_how_it_goes_on(
    shell: Shell, small: str, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    """A signal during the trials ends the command with its exit code, and names the table of those that are done."""

    def stopped(*_: object) -> Iterator[None]:
        signal.raise_signal(number)
        yield

    monkeypatch.setattr("tidegate.training.tuning.Tuning.search", stopped)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it would be ignored
    try:
        ended, _, err = shell(f"tune train.csv -o stopped.safetensors --no-baselines {small}")
    finally:
        signal.signal(signal.SIGINT, before)
    said = "stopped after 0 trials, before training; the same command goes on from those in"
    assert (ended, said in " ".join(err.split())) == (code, True)
