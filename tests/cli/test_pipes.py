"""Outputs and inputs that are no files: pipes, devices, standard output, a terminal."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tidegate

pytest.importorskip("typer")
pytest.importorskip("torch")

Shell = Callable[..., tuple[int, str, str]]

SHORT = "--embedding-size 4 --hidden-size 4 --epochs 1 --no-baselines --parts network"


def run(command: str, folder: Path, **rest: Any) -> "subprocess.CompletedProcess[bytes]":
    """Runs a line of bash, in which `tidegate` is the command."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not here")
    script = f'tidegate() {{ "{sys.executable}" -m tidegate "$@"; }}; {command}'
    return subprocess.run([bash, "-c", script], cwd=folder, capture_output=True, check=False, **rest)


def test_standard_output_gets_a_model_alone(folder: Path, tmp_path: Path) -> None:
    """With `-o -` the model is all that goes to stdout, what is said goes to stderr, and what was there stays."""
    Path(tmp_path, "log").write_bytes(b"before")
    done = run(f"tidegate train train.csv -o - {SHORT} >> '{tmp_path}/log'", folder)
    assert done.returncode == 0, done.stderr
    written = Path(tmp_path, "log").read_bytes()
    assert written.startswith(b"before")
    Path(tmp_path, "m.safetensors").write_bytes(written.removeprefix(b"before"))
    assert tidegate.load(tmp_path / "m.safetensors").labels == ("neg", "pos")
    assert b"wrote /dev/stdout" in done.stderr


@pytest.mark.parametrize(
    ("name", "start"), [("predict", b"text,label,prediction"), ("embed", b"\x93NUMPY"), ("explain", b"\x89PNG")]
)
def test_a_pipe_gets_an_output(folder: Path, name: str, start: bytes) -> None:
    """Process substitution, whose name has no suffix, gets the first kind of file that a command writes."""
    what = {"predict": "test.csv -o", "embed": "test.csv -o", "explain": "'a good film' --png"}[name]
    done = run(f"{{ tidegate {name} model.safetensors {what} >(cat >&3); }} 3>&1 >/dev/null | cat", folder)
    assert done.stdout.startswith(start), done.stderr


@pytest.mark.parametrize("command", ["predict model.safetensors test.csv -o {}", f"train train.csv {SHORT} -o {{}}"])
def test_a_fifo_stays_one(shell: Shell, tmp_path: Path, command: str) -> None:
    """A named pipe is written to, and its reader gets what a file would hold."""
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()), daemon=True)
    reader.start()
    code, _, err = shell(command.format(fifo))
    assert code == 0, err
    reader.join()
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    if command.startswith("predict"):
        assert shell(command.format(tmp_path / "file.csv"))[0] == 0
        assert read == [(tmp_path / "file.csv").read_bytes()]
    else:
        assert read[0][8:9] == b"{"


def test_a_device_stays_one(shell: Shell) -> None:
    """/dev/null takes anything and is a device afterwards."""
    assert shell("predict model.safetensors test.csv -o /dev/null")[0] == 0
    assert shell("embed model.safetensors test.csv -o /dev/null")[0] == 0
    assert shell("explain model.safetensors good --html /dev/null --png /dev/null")[0] == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_standard_input_is_an_input(folder: Path, tmp_path: Path) -> None:
    """A file that comes by standard input, or to which standard output is appended, is not written to."""
    shutil.copy(folder / "test.csv", tmp_path / "a.csv")
    shutil.copy(folder / "model.safetensors", tmp_path)
    before = (tmp_path / "a.csv").read_bytes()
    for command in (
        "tidegate predict model.safetensors - --from csv -o a.csv < a.csv",
        "tidegate predict model.safetensors a.csv -o - >> a.csv",
        "tidegate predict model.safetensors a.csv >> a.csv",
    ):
        done = run(command, tmp_path)
        assert done.returncode == 2
        assert b"is also an input" in done.stderr
        assert (tmp_path / "a.csv").read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "command", ["info", "predict model.safetensors test.csv", "evaluate model.safetensors test.csv --json"]
)
def test_a_full_standard_output_is_named(folder: Path, command: str) -> None:
    """What cannot be printed is one error, and not one more when Python ends."""
    done = run(f"tidegate {command} > /dev/full", folder)
    assert (done.returncode, done.stderr) == (2, b"error: standard output: No space left on device\n")


def test_a_reader_who_has_gone_does_not_stop_a_training(folder: Path, tmp_path: Path) -> None:
    """What is printed may be lost, on a full disk or for want of a reader; the model is written all the same."""
    done = run(
        f"tidegate train train.csv -o '{tmp_path}/m.safetensors' {SHORT} | true; echo ${{PIPESTATUS[0]}}", folder
    )
    assert done.stdout == b"0\n", done.stderr
    assert tidegate.load(tmp_path / "m.safetensors").labels == ("neg", "pos")


def test_a_closed_standard_output_is_an_error(folder: Path) -> None:
    """Tables have nowhere to go without standard output, and that is said."""
    done = run("tidegate predict model.safetensors test.csv >&-", folder)
    assert (done.returncode, done.stderr) == (2, b"error: standard output is closed\n")


def test_a_terminal_gets_no_binary_file(terminal: Callable[..., str]) -> None:
    """An output that is a terminal is refused: it would act on the bytes."""
    with pytest.raises(AssertionError, match="is a terminal, expected a file or a pipe for an array of numpy"):
        terminal("embed model.safetensors test.csv -o /dev/stdout")
