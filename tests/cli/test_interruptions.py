"""`tidegate train` that is interrupted: what is written, what is left to resume, and how it ends."""

import multiprocessing
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.training.baselines.baselines import Baseline
from tidegate.training.checkpoints import Checkpoints
from tidegate.training.group import LostWorkerError
from tidegate.training.run import Run

Shell = Callable[..., tuple[int, str, str]]

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
STEPS = 23  # of an epoch: 360 texts in batches of 16
SCRIPT = Path(__file__).parents[2] / "fuzz" / "kill_training.py"


@pytest.fixture(autouse=True)
def usual_signals() -> Iterator[None]:
    """Signals as a shell starts programs with; in the background SIGINT would be ignored."""
    before = [(number, signal.signal(number, signal.SIG_DFL)) for number in SIGNALS]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """Makes something happen while a step of the optimizer is done, counted over all trainings from 1."""
    from tidegate.training.network.optimizer import Optimizer

    usual = Optimizer.step

    def arrange(step: int, happen: Callable[[], object]) -> None:
        count = iter(range(1, 10_000))

        def counted(self: Optimizer, *given: Any) -> float:
            loss = usual(self, *given)
            if next(count) == step:
                happen()
            return loss

        monkeypatch.setattr(Optimizer, "step", counted)

    return arrange


def bits(path: Path) -> dict[str, bytes]:
    """The weights of a model file."""
    return {name: array.tobytes() for name, array in tidegate.load(path).arrays.items()}


def left(folder: Path, model: str) -> list[str]:
    """The names of what lies beside a model that is written to this name."""
    return sorted(path.name for path in folder.glob(f"*{model}*") if path.name != model)


@pytest.fixture
def quick(small: str) -> str:
    """Options of a training of three epochs, none of which patience can cut off, and of n-grams."""
    return f"{small} --epochs 3 --patience 3 --parts network,ngrams"


@pytest.fixture(scope="module")
def alone(folder: Path) -> dict[str, bytes]:
    """The weights of a run that is left alone."""
    from tidegate.cli import main

    options = "--embedding-size 8 --hidden-size 8 --batch-size 16 --learning-rate 0.02 --epochs 3 --patience 3"
    options += " --parts network,ngrams"
    assert main(["train", str(folder / "train.csv"), "-o", str(folder / "alone.safetensors"), *options.split()]) == 0
    return bits(folder / "alone.safetensors")


PHASES = {
    "first epoch of the first baseline": (3, None),
    "second epoch of the first baseline": (STEPS + 2, "average"),
    "first epoch of the second baseline": (3 * STEPS + 2, "average"),
    "first epoch of the network": (6 * STEPS + 1, "average|compound"),
    "last step of its first epoch": (7 * STEPS, "gru|average|compound"),
    "later": (8 * STEPS + 5, "gru"),
}


CASES = [(phase, signal.SIGTERM) for phase in PHASES] + [("later", signal.SIGINT), ("later", signal.SIGHUP)]


@pytest.mark.parametrize(("phase", "number"), CASES)
def test_the_best_so_far_is_written_in_every_phase(
    shell: Shell, folder: Path, quick: str, at_step: Any, phase: str, number: signal.Signals
) -> None:
    """A signal ends training with 128 + its number, the best model so far, if there is one, and a checkpoint."""
    model, (step, cell) = folder / "stopped.safetensors", PHASES[phase]
    model.unlink(missing_ok=True)
    at_step(step, lambda: signal.raise_signal(number))
    code, out, err = shell(f"train train.csv -o {model.name} {quick}")
    assert code == 128 + number
    assert "stopping; Ctrl-C again to stop at once" in err
    assert model.exists() == (cell is not None)
    if cell:
        assert f"wrote {model.name}" in out
        assert re.fullmatch(cell, tidegate.load(model).config.cell)
    else:
        assert "stopped before the first epoch of gru ended: there is no model to write" in err
    assert f"--resume continues this run: its checkpoint is in {model.name}.checkpoint" in err
    assert left(folder, model.name) == [f"{model.name}.checkpoint"]
    assert [signal.getsignal(n) for n in SIGNALS] == [signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL]


@pytest.mark.parametrize("step", [step for step, _ in PHASES.values()])
def test_what_was_stopped_goes_on_to_the_same_weights(
    shell: Shell, folder: Path, quick: str, at_step: Any, alone: dict[str, bytes], step: int
) -> None:
    """`--resume` ends with the weights of a run that was left alone, and leaves nothing beside the model."""
    at_step(step, lambda: signal.raise_signal(signal.SIGTERM))
    assert shell(f"train train.csv -o resumed.safetensors {quick}")[0] == 143
    at_step(0, lambda: None)
    code, out, _ = shell(f"train train.csv -o resumed.safetensors {quick} --resume")
    assert code == 0
    assert "wrote resumed.safetensors" in out
    assert all(name in out for name in ("average", "compounding", "GRU"))
    assert bits(folder / "resumed.safetensors") == alone
    assert left(folder, "resumed.safetensors") == []


def test_gradients_of_epochs_before_are_kept(shell: Shell, folder: Path, quick: str, at_step: Any) -> None:
    """A resumed run has the history of all epochs."""
    command = f"train train.csv -o watched.safetensors {quick} --no-baselines --watch-gradients"
    assert shell(command)[0] == 0
    expected = tidegate.load(folder / "watched.safetensors").metrics["gradients"]
    at_step(2 * STEPS + 1, lambda: signal.raise_signal(signal.SIGTERM))
    assert shell(command)[0] == 143
    assert shell(f"{command} --resume")[0] == 0
    assert tidegate.load(folder / "watched.safetensors").metrics["gradients"] == expected


def test_other_settings_cannot_resume(shell: Shell, folder: Path, quick: str, at_step: Any) -> None:
    """Data or settings that differ are one error before training, which names them; the checkpoint stays."""
    command = "train train.csv -o other.safetensors"
    at_step(3, lambda: signal.raise_signal(signal.SIGTERM))
    assert shell(f"{command} {quick}")[0] == 143
    for options, message in [
        ("--epochs 7", "epochs is 3 there and 7 here"),
        ("--cell lstm", "cell is gru there and lstm here"),
        ("--seed 1", "other training data"),
        ("--validation test.csv", "other validation data"),
        ("--no-baselines", "baselines is average, compound there and None here"),
        ("--rate 0.5", "rate is None there and 0.5 here"),
    ]:
        code, _, err = shell(f"{command} {quick} {options} --resume")
        assert code == 2
        assert re.fullmatch(r"error: the checkpoint in other.safetensors.checkpoint is of another run: .*\n", err)
        assert message in err
    assert left(folder, "other.safetensors") == ["other.safetensors.checkpoint"]
    code, _, err = shell(f"{command} {quick} --epochs 1")
    assert code == 0
    assert "its checkpoints are now in other.safetensors.checkpoint/previous" in err
    assert left(folder, "other.safetensors") == []


def test_resuming_nothing_starts_at_the_beginning(shell: Shell, folder: Path, quick: str, alone: Any) -> None:
    """One command with `--resume` can be given again and again."""
    code, _, err = shell(f"train train.csv -o fresh.safetensors {quick} --resume")
    assert code == 0
    assert "there is no checkpoint in fresh.safetensors.checkpoint yet: training starts at the beginning" in err
    assert bits(folder / "fresh.safetensors") == alone


def test_short_runs_write_no_checkpoint(shell: Shell, folder: Path, quick: str, monkeypatch: Any) -> None:
    """What takes seconds is not slowed: nothing is written beside the model."""
    from tidegate.training import checkpoints

    written: list[Any] = []
    monkeypatch.setattr(checkpoints, "perf_counter", lambda: 0.0)
    monkeypatch.setattr(checkpoints.Checkpoints, "write", lambda self, *what: written.append(what))
    assert shell(f"train train.csv -o short.safetensors {quick} --no-baselines --epochs 1")[0] == 0
    assert written == []


def test_a_signal_while_the_model_is_written_waits(
    shell: Shell, folder: Path, quick: str, monkeypatch: Any, alone: dict[str, bytes]
) -> None:
    """Signals during the last write, several of them, leave a whole model, and the exit code tells the first."""
    from tidegate.models.network import Network

    usual = Network.save

    def interrupted(self: Network, path: Path) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT, signal.SIGHUP):
            signal.raise_signal(number)
        usual(self, path)

    monkeypatch.setattr(Network, "save", interrupted)
    code, _, err = shell(f"train train.csv -o late.safetensors {quick}")
    assert code == 143
    assert "stopping once the model is written" in err
    assert bits(folder / "late.safetensors") == alone
    assert left(folder, "late.safetensors") == []


@pytest.mark.parametrize("second", SIGNALS, ids=lambda number: number.name)
def test_a_second_signal_leaves_no_half_file(
    shell: Shell, folder: Path, quick: str, at_step: Any, monkeypatch: Any, second: signal.Signals
) -> None:
    """A second signal, while the checkpoint is written, leaves whole files only; the best so far is written."""
    usual = os.fsync

    def interrupted(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", usual)
        signal.raise_signal(second)
        usual(descriptor)

    def first() -> None:
        monkeypatch.setattr(os, "fsync", interrupted)
        signal.raise_signal(signal.SIGTERM)

    at_step(2 * STEPS + 2, first)
    code, _, _ = shell(f"train train.csv -o twice.safetensors {quick} --no-baselines")
    assert code == 143
    assert tidegate.load(folder / "twice.safetensors").metrics["epoch"] == 2
    assert list(folder.rglob("*.tmp")) == []
    assert shell(f"train train.csv -o twice.safetensors {quick} --no-baselines --resume")[0] == 0


DIVERGENCES: dict[str, tuple[str, int, str | None, str]] = {
    "third epoch": ("--no-baselines", 2 * STEPS + 3, "gru", "batch 3 of 23 in epoch 3"),
    "first epoch": ("--no-baselines", 3, None, "batch 3 of 23 in epoch 1"),
    "third epoch after baselines": ("", 8 * STEPS + 3, "gru", "batch 3 of 23 in epoch 3"),
    "first epoch after baselines": ("", 6 * STEPS + 3, "average|compound", "batch 3 of 23 in epoch 1"),
    "first epoch of the first baseline": ("", 3, None, "batch 3 of 23 in epoch 1"),
    "second epoch of the first baseline": ("", STEPS + 3, "average", "batch 3 of 23 in epoch 2"),
    "first epoch of the second baseline": ("", 3 * STEPS + 3, "average", "batch 3 of 23 in epoch 1"),
}


@pytest.mark.parametrize("interrupted", [False, True], ids=["alone", "beside an interrupted run"])
@pytest.mark.parametrize("phase", DIVERGENCES)
def test_divergence_keeps_the_best_epoch(
    shell: Shell, folder: Path, quick: str, monkeypatch: Any, at_step: Any, phase: str, interrupted: bool
) -> None:
    """A loss that is not finite says at which batch; the best so far is written, and what an earlier run left stays."""
    from tidegate.training.network.optimizer import Optimizer

    options, step, cell, where = DIVERGENCES[phase]
    model, aside = folder / "apart.safetensors", folder / "apart.safetensors.checkpoint"
    shutil.rmtree(aside, ignore_errors=True)
    if interrupted:
        at_step(STEPS + 3, lambda: signal.raise_signal(signal.SIGTERM))
        assert shell(f"train train.csv -o {model.name} {quick}")[0] == 143
        at_step(0, lambda: None)
    before = {path.name: path.read_bytes() for path in aside.glob("*.safetensors")}
    assert bool(before) == interrupted
    model.unlink(missing_ok=True)
    count, usual = iter(range(1, 1000)), Optimizer.step
    monkeypatch.setattr(
        Optimizer,
        "step",
        lambda self, loss, *rest: usual(self, loss * float("nan" if next(count) == step else 1), *rest),
    )
    code, out, err = shell(f"train train.csv -o {model.name} {quick} {options}")
    assert code == 1
    assert f"error: the loss is nan at {where}, training has diverged: try " in err.splitlines()[-1]
    assert model.exists() == (cell is not None)
    if cell:
        assert f"wrote {model.name}" in out
        assert re.fullmatch(cell, tidegate.load(model).config.cell)
        named = "the best epoch before, 2, is in apart.safetensors" in err
        early = "stopped before the first epoch of gru ended: the best so far is the model of the" in err
        assert (named, early) == (cell == "gru", cell != "gru")
    assert {path.name: path.read_bytes() for path in aside.glob("previous/*")} == before
    assert list(aside.glob("*.safetensors")) == []
    assert aside.exists() == interrupted


def test_a_device_has_no_checkpoints(shell: Shell, quick: str) -> None:
    """A model that is written to a device cannot be resumed, which is said."""
    code, _, err = shell(f"train train.csv -o /dev/null {quick} --resume")
    assert code == 2
    assert "--resume needs a model file with checkpoints beside it" in err
    assert not Path("/dev/null.checkpoint").exists()


def started(folder: Path, command: str, **options: Any) -> "subprocess.Popen[str]":
    """Starts a command inside the folder, with the signals that a shell gives it."""
    words = [sys.executable, "-m", "tidegate", *shlex.split(command)]
    return subprocess.Popen(words, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_process_ends_as_is_the_custom(folder: Path, quick: str, number: int, code: int) -> None:
    """Real signals to a real process in its baselines, again and again: the best is written, the exit code tells."""
    model = folder / f"real-{number}.safetensors"
    running = started(folder, f"train train.csv -o {model.name} {quick} --epochs 100000 --patience 100000")
    assert running.stderr is not None
    next(line for line in running.stderr if "epoch 2/" in line)
    while running.poll() is None:
        running.send_signal(number)
        time.sleep(0.005)
    _, err = running.communicate()
    assert running.returncode == code, err
    assert tidegate.load(model).config.cell == "average"
    assert list(folder.rglob("*.tmp")) == []


@pytest.mark.parametrize(
    ("command", "suffix", "numbers", "codes"),
    [
        ("predict", "csv", [signal.SIGTERM], {143}),
        ("predict", "csv", [signal.SIGINT], {130}),
        ("embed", "npy", [signal.SIGHUP], {129}),
        ("predict", "csv", [signal.SIGTERM, signal.SIGHUP] * 3, {143, 129}),  # Python takes those that wait by number
    ],
)
def test_an_output_that_is_interrupted_leaves_nothing_behind(
    folder: Path, tmp_path: Path, command: str, suffix: str, numbers: list[int], codes: set[int]
) -> None:
    """A signal while an output is written leaves the file that was there, and no half of a new one."""
    source, output = tmp_path / "texts.csv", tmp_path / f"out.{suffix}"
    os.mkfifo(source)
    before = (folder / "train.csv").read_bytes() if suffix == "csv" else None
    if before is not None:
        output.write_bytes(before)
    running = started(folder, f"{command} model.safetensors {source} -o {output}")
    with source.open("wb") as pipe:
        pipe.write(b"text\n" + b"a film\n" * 3000)
        pipe.flush()
        while not list(tmp_path.glob(".*.tmp")):
            assert running.poll() is None
            time.sleep(0.01)
        for number in numbers:
            running.send_signal(number)
        _, err = running.communicate(timeout=60)
    assert running.returncode in codes, err
    assert err in {"", "interrupted\n"}
    assert [path.name for path in tmp_path.iterdir() if path != source] == ([output.name] if before else [])
    assert before is None or output.read_bytes() == before


def test_signals_while_an_output_is_cleaned_up_change_nothing(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGHUP and SIGTERM after a first SIGTERM, as service managers send them, leave no half of the output either."""
    usual, came = Path.unlink, []

    def unlink(self: Path, missing_ok: bool = False) -> None:
        for number in (signal.SIGHUP, signal.SIGTERM):
            signal.raise_signal(number)
            came.append(number)
        usual(self, missing_ok)

    monkeypatch.setattr(os, "fsync", lambda _: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr(Path, "unlink", unlink)
    assert shell(f"predict model.safetensors train.csv -o {tmp_path / 'out.csv'}")[0] == 143
    assert came == [signal.SIGHUP, signal.SIGTERM]
    assert list(tmp_path.iterdir()) == []
    assert [signal.getsignal(n) for n in SIGNALS] == [signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL]


def test_nohup_is_respected(shell: Shell, folder: Path, quick: str, at_step: Any) -> None:
    """Where SIGHUP is ignored, as nohup asks for, training goes on to its end."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    at_step(3, lambda: signal.raise_signal(signal.SIGHUP))
    assert shell(f"train train.csv -o nohup.safetensors {quick} --no-baselines --epochs 1")[0] == 0
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_killed_processes_are_resumed_to_the_same_weights() -> None:
    """The script that kills training processes at random moments finds no difference in a few of them."""
    done = subprocess.run([sys.executable, SCRIPT, "--runs", "3"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 killed runs ended with the weights of a run left alone" in done.stdout


def test_workers_end_together(shell: Shell, folder: Path, small: str, at_step: Any) -> None:
    """A signal, then a worker that is killed, end all processes with one message; one process alone goes on from there.

    The weights are those of a run without workers, but for the order of additions.
    """
    options = f"{small} --epochs 3 --patience 3 --parts network --no-baselines --checkpoint-every 0"
    command = f"train train.csv -o shared.safetensors {options}"
    at_step(3, partial(signal.raise_signal, signal.SIGINT))
    assert shell(f"{command} --workers 2")[0] == 130
    assert multiprocessing.active_children() == []

    def kill_worker() -> None:
        multiprocessing.active_children()[0].kill()

    at_step(STEPS, kill_worker)
    code, _, err = shell(f"{command} --workers 2 --resume")
    assert code == 1
    assert err.splitlines()[-2:] == [
        "--resume continues this run: its checkpoint is in shared.safetensors.checkpoint",
        "error: worker 2 of 2 was killed by SIGKILL",
    ]
    assert multiprocessing.active_children() == []
    at_step(0, lambda: None)
    assert shell(f"{command} --resume")[0] == 0
    found = bits(folder / "shared.safetensors")
    assert shell(f"train train.csv -o one.safetensors {options}")[0] == 0
    for name, expected in bits(folder / "one.safetensors").items():
        shared, one = (np.frombuffer(data, np.float32) for data in (found[name], expected))
        np.testing.assert_allclose(shared, one, atol=1e-3, err_msg=name)


def test_a_worker_that_is_lost_in_pretraining_leaves_a_checkpoint(
    shell: Shell, folder: Path, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said of it is what is said where the network itself is trained."""

    def lost(_: Run, network: Baseline, checkpoints: Checkpoints, start: Any = None) -> Iterator[Any]:
        checkpoints.folder.mkdir()
        raise LostWorkerError("worker 2 of 2 was killed")
        yield network, start

    monkeypatch.setattr(Run, "train", lost)
    code, _, err = shell(f"train train.csv -o lost.safetensors {small} --no-baselines --pretrain")
    assert code == 1
    assert err.splitlines()[-2:] == [
        "--resume continues this run: its checkpoint is in lost.safetensors.checkpoint",
        "error: worker 2 of 2 was killed",
    ]
