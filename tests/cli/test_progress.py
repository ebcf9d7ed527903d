"""A training on the screen, and how it is stopped."""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tidegate

Shell = Callable[..., tuple[int, str, str]]

TO = "-o new.safetensors"


def test_ctrl_c_keeps_the_best_model(process: Callable[[str], Any], small: str, tmp_path: Path) -> None:
    """Ctrl-C after the first epoch ends with exit code 130, and the best model so far is written."""
    model = tmp_path / "model.safetensors"
    running = process(f"train train.csv -o {model} --no-baselines {small} --epochs 100000 --patience 100000")
    assert running.stderr is not None
    for line in running.stderr:
        if "epoch 2/" in line:
            running.send_signal(signal.SIGINT)
            break
    out, err = running.communicate()
    assert running.returncode == 130, err
    assert "stopping; Ctrl-C again to stop at once" in err
    assert f"wrote {model}" in out
    assert tidegate.load(model, tidegate.TextModel).predict(["good"])[0] in {"neg", "pos"}


def test_ctrl_c_in_the_first_epoch_writes_nothing(
    shell: Shell, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a first epoch has ended there is no model to keep, and that is said."""
    from tidegate.training.network import loop

    def pressed(*fields: Any) -> loop.Step:
        signal.raise_signal(signal.SIGINT)
        return step(*fields)

    step = loop.Step
    monkeypatch.setattr(loop, "Step", pressed)
    code, _, err = shell(f"train train.csv -o never.safetensors {small}")
    assert code == 130
    assert "stopped before the first epoch of gru ended: there is no model to write" in err
    assert not (folder / "never.safetensors").exists()


def test_a_second_ctrl_c_interrupts() -> None:
    """The first Ctrl-C is a wish, the second one the usual interrupt, and afterwards all is as before."""
    from tidegate.cli.train.progress import Stop

    usual = signal.default_int_handler
    before = signal.signal(signal.SIGINT, usual)  # a process in the background may have been started without it
    try:
        with Stop() as stop:
            assert not stop.wanted
            signal.raise_signal(signal.SIGINT)
            assert stop.wanted
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is usual
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_bar_moves_on_a_terminal(terminal: Callable[..., str], plain: Callable[[str], str], small: str) -> None:
    """On a terminal of 80 columns a bar shows loss, accuracy, speed and time left, and no line is longer."""
    shown = plain(terminal(f"train train.csv {TO} {small}"))
    facts = r"loss \d\.\d{3}  accuracy \d\.\d{3}  [\d,]+k? words/s  \d+:\d\d left"
    assert re.search(rf"GRU +[━╸╺ ]+ +\d/6  {facts}", shown)
    assert max(len(line) for line in re.split(r"[\r\n]", shown)) <= 80
