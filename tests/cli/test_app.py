"""The command line as a whole: help, versions, errors, exit codes, and what it does not import."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

Shell = Callable[..., tuple[int, str, str]]
COMMANDS = ("train", "evaluate", "predict", "embed", "info", "data")


def test_the_commands_are_listed(shell: Shell) -> None:
    """`--help` names every command."""
    code, out, _ = shell("--help")
    assert code == 0
    assert all(f" {command} " in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_80_columns(shell: Shell, command: str) -> None:
    """`-h` explains a command within the width of a terminal."""
    code, out, _ = shell(f"{command} -h")
    assert code == 0
    assert f"Usage: tidegate {command}" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_version_is_told(shell: Shell) -> None:
    """`--version` prints the installed version."""
    assert shell("--version") == (0, f"tidegate {version('tidegate')}\n", "")


@pytest.mark.parametrize("command", ["nonsense", "train", "train train.csv --epochs none", "info --nonsense", "data x"])
def test_wrong_usage_has_exit_code_2(shell: Shell, command: str) -> None:
    """Unknown commands and options and missing arguments are told on stderr."""
    code, out, err = shell(command)
    assert (code, out) == (2, "")
    assert "Usage: tidegate" in err


def fail(*_: object) -> None:
    """Fails in a way that no user is to blame for."""
    raise RuntimeError("a wheel\ncame off")


def test_a_failure_has_exit_code_1(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is one line too, with a hint how to see more."""
    monkeypatch.setattr("tidegate.load", fail)
    message = "error: RuntimeError: a wheel came off (--debug shows where it comes from)\n"
    assert shell("info model.safetensors") == (1, "", message)


@pytest.mark.parametrize("command", ["--debug info model.safetensors", "info model.safetensors --debug"])
def test_debug_shows_the_traceback(shell: Shell, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """`--debug`, wherever it stands, shows the way to the error."""
    monkeypatch.setattr("tidegate.load", fail)
    code, _, err = shell(command)
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert "in fail" in err


def test_the_environment_can_ask_for_the_traceback(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """TIDEGATE_DEBUG=1 does what `--debug` does, TIDEGATE_DEBUG=0 does not."""
    for value, shown in (("1", True), ("0", False)):
        monkeypatch.setenv("TIDEGATE_DEBUG", value)
        assert ("Traceback" in shell("info nothing.safetensors")[2]) == shown


def test_ctrl_c_has_exit_code_130(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is interrupted says no more than that."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tidegate.load", interrupt)
    code, out, err = shell("info model.safetensors")
    assert (code, out) == (130, "")
    assert "Traceback" not in err


def python(code: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Runs code in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


def test_only_training_imports_torch(folder: Path) -> None:
    """What only reads a model leaves torch alone, and training would be noticed."""
    commands = [
        ["evaluate", "model.safetensors", "test.csv", "--json"],
        ["predict", "model.safetensors", "test.csv", "-o", "fresh.parquet"],
        ["predict", "model.safetensors", "--words", "a good film"],
        ["embed", "model.safetensors", "test.csv", "-o", "fresh.npy"],
        ["explain", "model.safetensors", "a good film"],
        ["explain", "model.safetensors", "a good film", "--html", "fresh.html"],
        ["units", "model.safetensors", "test.csv"],
        ["info", "model.safetensors"],
        ["info"],
        ["train", "--help"],
    ]
    training = ["train", "train.csv", "-o", "fresh.safetensors", "--cell", "average", "--no-baselines", "--epochs", "1"]
    code = f"""
import sys
from tidegate.cli import main
for commands in ({commands}, [{training}]):
    print("done:", [main(command) for command in commands], "torch" in sys.modules)"""
    done = python(code, folder)
    told = [line for line in done.stdout.splitlines() if line.startswith("done:")]
    assert told == [f"done: {[0] * len(commands)} False", "done: [0] True"], done.stderr


def test_what_cannot_be_trained_on_is_refused_before_torch_starts(folder: Path) -> None:
    """A table or a file of vectors that cannot be read is one error at once, and not after the seconds of an import."""
    (folder / "no.csv").write_text("text,label\na,b,c\n")
    (folder / "no.parquet").write_bytes(b"PAR1 and no more")
    (folder / "no.vec").write_bytes(b"film " + b"0.25 " * 500_000)
    (folder / "nosteps.csv").write_text("session,x,label\n1,a,b\n")
    commands = [
        ["train", "no.csv", "-o", "no.safetensors"],
        ["train", "no.parquet", "-o", "no.safetensors"],
        ["train", "nothing.csv", "-o", "no.safetensors"],
        ["train", "nosteps.csv", "-o", "no.safetensors", "--key", "session", "--features", "x"],
        ["train", "train.csv", "-o", "no.safetensors", "--vectors", "no.vec"],
        ["train", "train.csv", "-o", "no.safetensors", "--validation", "no.csv"],
    ]
    code = f"import sys; from tidegate.cli import main; print([main(c) for c in {commands}], 'torch' in sys.modules)"
    done = python(code, folder)
    assert done.stdout.splitlines()[-1] == f"{[2] * len(commands)} False", done.stderr
    assert done.stderr.count("error: no") == len(commands)  # the name of the file stands first
    assert "line 1 has 2,097,152 bytes or more" in done.stderr


@pytest.mark.parametrize(
    ("missing", "extra", "command"),
    [("typer", "cli", ["info"]), ("rich", "cli", ["info"]), ("torch", "train", ["train", "train.csv"])],
)
def test_a_missing_extra_has_its_install_line(folder: Path, missing: str, extra: str, command: list[str]) -> None:
    """Where a package is not installed, one line says how to get it, with exit code 2."""
    code = f"import sys; sys.modules[{missing!r}] = None; from tidegate.cli import main; sys.exit(main({command}))"
    done = python(code, folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith(f": pip install 'tidegate[{extra}]'\n")
    assert done.stderr.count("\n") == 1


def test_python_can_run_it_as_a_module(folder: Path) -> None:
    """`python -m tidegate` is the command, its exit code included."""
    command = [sys.executable, "-m", "tidegate"]
    done = subprocess.run([*command, "--version"], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"tidegate {version('tidegate')}\n")
    assert subprocess.run([*command, "nonsense"], cwd=folder, capture_output=True, check=False).returncode == 2
