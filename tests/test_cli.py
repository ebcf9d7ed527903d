"""The command line as its users meet it: what it prints, what it writes, how it ends."""

import csv
import io
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("torch")

import tidegate  # noqa: E402
from tidegate.cli import main  # noqa: E402

COMMAND = [sys.executable, "-m", "tidegate"]
SMALL = ["--embedding-size", "8", "--hidden-size", "8", "--batch-size", "16", "--epochs", "6", "--learning-rate", "0.02"]
TIMEOUT = 60.0  # seconds until a test that hangs is ended


def reviews(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Texts with a good or a bad word among others, and their labels."""
    rng = np.random.default_rng(seed)
    words = {"pos": ["good", "lovely", "great"], "neg": ["bad", "boring", "dull"]}
    for label in rng.choice(["neg", "pos"], count):
        text = [*rng.choice(["the", "film", "is", "a"], 6), rng.choice(words[str(label)]), "."]
        yield " ".join(rng.permutation(text)), str(label)


def write_csv(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("text", "label")) -> Path:
    """Writes a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv, test.csv and model.safetensors, trained on the first by the command line."""
    folder = tmp_path_factory.mktemp("cli")
    write_csv(folder / "train.csv", list(reviews(400, seed=0)))
    write_csv(folder / "test.csv", list(reviews(50, seed=1)))
    done = main(["train", str(folder / "train.csv"), "-o", str(folder / "model.safetensors"), *SMALL])
    assert done == 0
    return folder


Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shell(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs a command inside the folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        code = main(arguments)
        return code, *capsys.readouterr()

    return run


def in_terminal(arguments: Sequence[str], folder: Path, **environment: str) -> str:
    """Runs a command on a terminal of 80 columns and returns what it shows there."""
    leader, follower = pty.openpty()
    env = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "80"} | environment
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=follower, stdout=follower, stderr=follower, cwd=folder, env=env, close_fds=True
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 1 << 16)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert process.wait(TIMEOUT) == 0, shown.decode()
    return shown.decode().replace("\r\n", "\n")


def without_colours(shown: str) -> str:
    """Removes what a terminal does not show as characters."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)


# train


def test_train_shows_three_summaries_side_by_side(shell: Shell) -> None:
    """Accuracy, macro F1 and seconds of average, compounding and GRU stand in one table, above a verdict."""
    code, out, _ = shell("train", "train.csv", "-o", "new.safetensors", *SMALL, "--epochs", "30")
    assert code == 0
    rows = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    table = {row[0]: row[1:] for row in rows if row[0] in {"average", "compounding", "GRU", "accuracy"}}
    assert list(table) == ["accuracy", "average", "compounding", "GRU"]
    assert table["accuracy"] == ["macro F1", "seconds"]
    for name in ("average", "compounding", "GRU"):
        accuracy, f1, seconds = map(float, table[name])
        assert accuracy > 0.9
        assert f1 > 0.9
        assert seconds > 0
    assert re.search(r"^The GRU is ", out, re.MULTILINE)
    assert "wrote new.safetensors" in out


def test_train_says_what_it_read(shell: Shell) -> None:
    """Texts, labels with their shares, and words are told before training."""
    code, out, err = shell("train", "train.csv", "-o", "new.safetensors", "--cell", "average", "--epochs", "1")
    assert code == 0
    assert re.search(r"^360 texts to train on and 40 to judge by", out, re.MULTILINE)
    assert re.search(r"^labels: neg \d+%, pos \d+%$", out, re.MULTILINE)
    assert re.search(
        r"^average +epoch 1/1  loss \d\.\d+  accuracy \d\.\d+  [\d,]+k words/s  \d+:\d\d left$", err, re.MULTILINE
    )


def test_a_gru_that_is_no_better_is_called_so() -> None:
    """Three verdicts: not better, perhaps by chance, and better."""
    from tidegate.cli.comparison import verdict
    from tidegate.metrics import score

    def report(right: int) -> object:
        truth = np.arange(1000) % 2
        return score(truth, np.eye(2)[np.where(np.arange(1000) < right, truth, 1 - truth)], ("no", "yes"))

    assert verdict("GRU", report(700), report(750)).startswith(
        "The GRU is NOT better than the average: it is 5.0 points behind"
    )
    assert "both are equally accurate" in verdict("GRU", report(700), report(700))
    assert verdict("GRU", report(702), report(700)).startswith(
        "The GRU is ahead of the average by 0.2 points, which may be chance"
    )
    assert verdict("GRU", report(750), report(700)).startswith("The GRU is better than the average by 5.0 points")


def test_no_baselines_trains_the_gru_alone(shell: Shell) -> None:
    """Without baselines neither they nor a verdict are shown."""
    code, out, _ = shell("train", "train.csv", "-o", "new.safetensors", "--no-baselines", "--epochs", "1", *SMALL)
    assert code == 0
    assert "average" not in out
    assert "GRU" in out


def test_train_takes_every_kind_of_table(shell: Shell, folder: Path) -> None:
    """TSV, JSON Lines and Parquet are trained on like CSV, and give the same model."""
    from tidegate import tables

    columns = tables.read(folder / "train.csv").columns
    options = ["--no-baselines", "--epochs", "1", *SMALL]
    predictions = []
    for kind in ("csv", "tsv", "jsonl", "parquet"):
        tables.write(folder / f"same.{kind}", columns)
        assert shell("train", f"same.{kind}", "-o", "same.safetensors", *options)[0] == 0
        predictions.append(tidegate.load(folder / "same.safetensors").predict_proba(["good film", "bad film"]))
    for other in predictions[1:]:
        np.testing.assert_array_equal(predictions[0], other)


def test_validation_may_be_a_file_or_a_share(shell: Shell) -> None:
    """A file is judged by as a whole, a share is taken from each class, and anything else is refused."""
    few = ["--no-baselines", "--epochs", "1", "-o", "new.safetensors", *SMALL]
    assert (
        "400 texts to train on and 50 to judge by" in shell("train", "train.csv", "--validation", "test.csv", *few)[1]
    )
    assert "300 texts to train on and 100 to judge by" in shell("train", "train.csv", "--validation", "0.25", *few)[1]
    code, _, err = shell("train", "train.csv", "--validation", "nothing.csv", *few)
    assert code == 2
    assert err == "error: --validation is 'nothing.csv', expected a share such as 0.1 or a file\n"


def test_the_options_reach_the_model(shell: Shell, folder: Path) -> None:
    """Cell, sizes, summary and limits of the command line are those of the model."""
    options = "--cell rnn_tanh --summary last --embedding-size 5 --hidden-size 6 --num-layers 2 --bidirectional --vocab-size 9"
    code, _, _ = shell(
        "train",
        "train.csv",
        "-o",
        "new.safetensors",
        "--no-baselines",
        "--epochs",
        "1",
        *options.split(),
        "--max-length",
        "7",
    )
    assert code == 0
    config = tidegate.load(folder / "new.safetensors").config
    assert (config.cell, config.summary, config.embedding_size, config.hidden_size) == ("rnn_tanh", "last", 5, 6)
    assert (config.num_layers, config.bidirectional, config.vocab_size, config.max_length) == (2, True, 9, 7)


def test_a_given_rate_is_kept(shell: Shell, folder: Path) -> None:
    """`--rate` is compounding's growth factor."""
    assert (
        shell("train", "train.csv", "-o", "new.safetensors", "--no-baselines", "--cell", "compound", "--rate", "0.75")[
            0
        ]
        == 0
    )
    assert tidegate.load(folder / "new.safetensors").arrays["rate"].tolist() == [0.75]


def test_frozen_vectors_are_in_the_model(shell: Shell, folder: Path) -> None:
    """`--vectors` sets the embedding and its size, and `--freeze` keeps it."""
    (folder / "vectors.txt").write_text("good 1 2 3\nbad -1 -2 -3\n", encoding="utf-8")
    code, _, _ = shell(
        "train", "train.csv", "-o", "new.safetensors", "--vectors", "vectors.txt", "--freeze", "--no-baselines"
    )
    assert code == 0
    model = tidegate.load(folder / "new.safetensors")
    assert model.arrays["embedding.weight"][model.tokenizer.vocab.index("good")].tolist() == [1, 2, 3]


def test_the_same_seed_gives_the_same_file(shell: Shell, folder: Path) -> None:
    """Two trainings with one seed give the same weights, and another seed gives others."""
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        assert (
            shell("train", "train.csv", "-o", f"{name}.safetensors", "--seed", seed, "--no-baselines", *SMALL)[0] == 0
        )
    a, b, c = (tidegate.load(folder / f"{name}.safetensors").arrays for name in "abc")
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)
    assert a["head.weight"].tobytes() != c["head.weight"].tobytes()


def test_ctrl_c_keeps_the_best_model(folder: Path, tmp_path: Path) -> None:
    """Ctrl-C after the first epoch ends with exit code 130, and the best model so far is written."""
    model = tmp_path / "model.safetensors"
    command = [
        *COMMAND,
        "train",
        "train.csv",
        "-o",
        str(model),
        "--no-baselines",
        "--epochs",
        "100000",
        "--patience",
        "100000",
    ]
    process = subprocess.Popen(
        [*command, *SMALL], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 2/" in line:
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130, err
    assert "stopping; Ctrl-C again to stop at once" in err
    assert f"wrote {model}" in out
    assert tidegate.load(model).predict(["good"]).tolist() in (["neg"], ["pos"])


def test_ctrl_c_in_the_first_epoch_writes_nothing(shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a first epoch has ended there is no model to keep, and that is said."""
    from tidegate import training

    class Pressed(training.Step):
        def __post_init__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(training, "Step", Pressed)
    code, _, err = shell("train", "train.csv", "-o", "never.safetensors", *SMALL)
    assert code == 130
    assert "stopped before the first epoch of gru ended: there is no model to write" in err
    assert not (folder / "never.safetensors").exists()


def test_training_moves_a_bar_on_a_terminal(folder: Path) -> None:
    """On a terminal of 80 columns a bar shows loss, accuracy, speed and time left, and no line is longer."""
    shown = without_colours(in_terminal(["train", "train.csv", "-o", "new.safetensors", *SMALL], folder))
    assert re.search(r"GRU +━+ +\d/6  loss \d\.\d{3}  accuracy \d\.\d{3}  [\d,]+k words/s  \d+:\d\d left", shown)
    assert max(len(line) for line in re.split(r"[\r\n]", shown)) <= 80
