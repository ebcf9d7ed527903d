"""A folder with reviews and a model, and ways to run commands in it."""

import csv
import io
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

Shell = Callable[..., tuple[int, str, str]]

PYTHON = [sys.executable, "-m", "tidegate"]
SMALL = "--embedding-size 8 --hidden-size 8 --batch-size 16 --epochs 6 --learning-rate 0.02 --parts network"


def write_reviews(path: Path, count: int, seed: int) -> None:
    """Writes texts with a good or a bad word among others, and their labels."""
    rng = np.random.default_rng(seed)
    words = {"pos": ["good", "lovely", "great"], "neg": ["bad", "boring", "dull"]}
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        for label in rng.choice(["neg", "pos"], count).tolist():
            text = [*rng.choice(["the", "film", "is", "a"], 6), rng.choice(words[label]), "."]
            table.writerow([" ".join(rng.permutation(text)), label])


@pytest.fixture(autouse=True)
def signals_count() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP have their usual effect, also on commands that a test starts.

    Under nohup SIGHUP would have none, and a command that was ended in the same process leaves both without one.
    """
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv (400 rows), test.csv (50 rows) and model.safetensors, trained by the command line."""
    pytest.importorskip("typer")
    pytest.importorskip("torch")
    from tidegate.cli import main

    folder = tmp_path_factory.mktemp("cli")
    write_reviews(folder / "train.csv", 400, seed=0)
    write_reviews(folder / "test.csv", 50, seed=1)
    arguments = ["train", str(folder / "train.csv"), "-o", str(folder / "model.safetensors"), "--no-baselines"]
    assert main([*arguments, *SMALL.split()]) == 0
    return folder


@pytest.fixture
def small() -> str:
    """Options that make a training short."""
    return SMALL


@pytest.fixture
def shell(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs a command inside the folder; returns exit code, stdout and stderr."""
    from tidegate.cli import main

    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")

    def run(command: str, stdin: str | bytes | None = None) -> tuple[int, str, str]:
        if stdin is not None:
            data = stdin.encode() if isinstance(stdin, str) else stdin
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        capsys.readouterr()
        code = main(shlex.split(command))
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def process(folder: Path) -> Callable[[str], "subprocess.Popen[str]"]:
    """Starts a command inside the folder, with pipes."""

    def start(command: str) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*PYTHON, *shlex.split(command)], cwd=folder, text=True, stdin=pipe, stdout=pipe, stderr=pipe
        )

    return start


@pytest.fixture
def terminal(folder: Path) -> Callable[..., str]:
    """Runs a command on a terminal of 80 columns inside the folder; returns what it shows there, colours included."""

    def run(command: str, **environment: str) -> str:
        leader, follower = pty.openpty()
        env = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "80"} | environment
        words = [*PYTHON, *shlex.split(command)]
        running = subprocess.Popen(words, cwd=folder, env=env, stdin=follower, stdout=follower, stderr=follower)
        os.close(follower)
        shown = b"".join(iter(lambda: _read(leader), b""))
        os.close(leader)
        assert running.wait() == 0, shown.decode()
        return shown.decode().replace("\r\n", "\n")

    return run


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # so Linux tells that the other side is closed
        return b""


@pytest.fixture
def plain() -> Callable[[str], str]:
    """Removes what a terminal does not show as characters."""
    return lambda shown: re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.parquet and test.parquet for studies; a good or a bad word among others makes the class."""
    pytest.importorskip("pyarrow")
    from tidegate.data import tables

    folder = tmp_path_factory.mktemp("reviews")
    for part, count, seed in (("train", 600, 0), ("test", 200, 1)):
        write_reviews(folder / f"{part}.csv", count, seed)
        table = tables.read(folder / f"{part}.csv")
        tables.write(folder / f"{part}.parquet", {"text": table.texts, "label": table.labels})
    return folder
