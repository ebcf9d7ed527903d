"""`tidegate info`: the machine, and what is in a model."""

import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import tidegate

Shell = Callable[..., tuple[int, str, str]]


def facts_of(out: str) -> dict[str, str]:
    """Reads names and values."""
    return dict(re.findall(r"^(\S(?: ?\S)*) {2,}(\S.*?) *$", out, re.MULTILINE))


def test_the_machine_is_described(shell: Shell) -> None:
    """Version, instruction sets with the one in use, threads, and the packages of each extra."""
    code, out, _ = shell("info")
    facts = facts_of(out)
    assert code == 0
    assert facts["tidegate"] == version("tidegate")
    assert [isa.removesuffix(" (used)") for isa in facts["instruction sets"].split(", ")] == tidegate.isas()
    assert facts["instruction sets"].count("(used)") == 1
    assert facts["threads"] == str(tidegate.get_num_threads())
    assert f"torch {version('torch')}" in facts["extra train"]


def test_a_missing_package_has_its_install_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed is called missing, with the line that installs it."""
    from tidegate.cli import info

    monkeypatch.setitem(info._EXTRAS, "train", ("no-such-package",))
    facts = facts_of(shell("info")[1])
    assert facts["extra train"] == "no-such-package missing  →  pip install 'tidegate[train]'"


def test_a_model_is_described(shell: Shell) -> None:
    """Cell, labels, vocabulary, sizes, versions and scores of a model file."""
    code, out, _ = shell("info model.safetensors")
    facts = facts_of(out)
    assert code == 0
    assert facts["cell"] == "GRU"
    assert facts["labels"] == "neg, pos"
    assert facts["vocabulary"].startswith("13 words: ")
    assert facts["layers"] == "1 × 8 units"
    assert facts["vector"] == "8 numbers"
    assert facts["parameters"].startswith(f"{13 * 8 + 2 * (3 * 8 * 8) + 2 * 3 * 8 + 2 * 8 + 2:,}: ")
    assert re.search(r"accuracy [01]", facts["validation"])


def test_a_network_of_vectors_is_described(shell: Shell, folder: Path) -> None:
    """A model that reads vectors has no words; commands that need texts name it."""
    config = tidegate.NetworkConfig(cell="lstm", labels=("speed",), input_size=3, hidden_size=4, task="regression")
    arrays = {name: np.zeros(shape, np.float32) for name, shape in config.shapes().items()}
    tidegate.Network(config, arrays).save(folder / "network.safetensors")
    facts = facts_of(shell("info network.safetensors")[1])
    assert (facts["cell"], facts["task"], facts["input"]) == ("LSTM", "regression", "3 numbers per step")
    assert "vocabulary" not in facts
    code, _, err = shell("predict network.safetensors test.csv")
    assert code == 2
    assert "network.safetensors: it holds a network that reads vectors, expected a model that reads texts" in err


def test_a_model_of_sequences_is_described(shell: Shell, folder: Path) -> None:
    """A model that reads sequences of numbers says how many features it has, and which may be missing."""
    config = tidegate.SequenceConfig(cell="gru", labels=("rest", "walk"), features=3, missing=(1,), hidden_size=4)
    arrays = {name: np.ones(shape, np.float32) for name, shape in config.shapes().items()}
    tidegate.SequenceModel(config, arrays).save(folder / "sequences.safetensors")
    facts = facts_of(shell("info sequences.safetensors")[1])
    assert facts["input"] == "3 features per step, 1 of which may be missing"
    assert "features 6" in facts["parameters"]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("labelling", "a label for each step (--label-per-step)"),
        ("next", "next steps (--task next)"),
        ("next-binary", "next steps of 0 and 1 (--task next)"),
    ],
)
def test_tasks_are_called_by_their_options(shell: Shell, folder: Path, task: str, said: str) -> None:
    """What `train` was asked for, not what the file calls it."""
    config = tidegate.SequenceConfig(cell="gru", labels=("a", "b"), features=2, hidden_size=4, task=task)
    arrays = {name: np.ones(shape, np.float32) for name, shape in config.shapes().items()}
    tidegate.SequenceModel(config, arrays).save(folder / "task.safetensors")
    assert facts_of(shell("info task.safetensors")[1])["task"] == said


def test_a_file_that_is_no_model_is_a_mistake(shell: Shell) -> None:
    """Other files are named in one line."""
    code, _, err = shell("info test.csv")
    assert code == 2
    assert err.startswith("error: test.csv: ")
