"""`tidegate train` on data that is said to be larger than the memory."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate.cli.train import spooling

Shell = Callable[..., tuple[int, str, str]]
TO = "-o new.safetensors --no-baselines --memory 1GB"


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is taken for one that does not fit into memory, so that small ones show what large ones do."""
    monkeypatch.setattr(spooling, "_GROWS", 10**9)


def test_texts_are_read_part_by_part(large: None, shell: Shell, folder: Path, small: str) -> None:
    """What is done, how many rows are held out, and where the n-grams come from is said; the model is as good."""
    code, out, err = shell(f"train train.csv {TO} {small} --parts gru,ngrams")
    assert code == 0, err
    assert re.search(r"^data: about [\d,.]+ GB in memory, and 1.0 GB may be used \(--memory\)", out, re.MULTILINE)
    counts = re.search(r"^(\d+) texts to train on and (\d+) to judge by", out, re.MULTILINE)
    assert counts
    assert sum(map(int, counts.groups())) == 400
    assert 15 < int(counts[2]) < 70
    assert re.search(r"^labels: neg \d+%, pos \d+%$", out, re.MULTILINE)
    assert f"n-grams are fitted to a sample of {counts[1]} texts" in out
    model = tidegate.load(folder / "new.safetensors", tidegate.TextModel)
    assert model.predict(["the good film", "a boring film"]).tolist() == ["pos", "neg"]
    assert not (folder / "new.safetensors.checkpoint").exists()


def test_others_to_judge_by_and_numbers_to_predict(large: None, shell: Shell, folder: Path) -> None:
    """A validation file is read likewise, and numbers with fractions make it a regression as ever."""
    rng = np.random.default_rng(0)
    for name, count in [("stars.csv", 200), ("others.csv", 50)]:
        rows = [f"{'good ' * int(n)}film,{n + rng.random():.2f}" for n in rng.integers(0, 5, count)]
        (folder / name).write_text("\n".join(["text,stars", *rows]) + "\n", encoding="utf-8")
    code, out, err = shell(f"train stars.csv {TO} --validation others.csv --hidden-size 4 --epochs 1")
    assert code == 0, err
    assert "200 texts to train on and 50 to judge by" in out
    assert "regression" in out
    assert re.search(r"numbers of 'stars': .*, of a sample$", out, re.MULTILINE)
    assert tidegate.load(folder / "new.safetensors").config.labels == ("stars",)


@pytest.mark.parametrize("long", [True, False])
def test_sequences_are_read_part_by_part(large: None, shell: Shell, folder: Path, long: bool) -> None:
    """A long table, whose rows are put apart by key, and one with lists train a model of sequences."""
    rng = np.random.default_rng(0)
    lines = ["session,x,label" if long else "x;label"]
    for key, ups in enumerate(rng.integers(0, 2, 120).tolist()):
        steps = np.cumsum(rng.normal(2.0 * ups - 1, 1, 8)).round(3).tolist()
        label = "up" if ups else "down"
        lines += [f"{key},{x},{label}" for x in steps] if long else [f"{steps};{label}"]
    head, *rest = lines
    lines = [head, *(rng.permutation(rest).tolist() if long else rest)]
    (folder / "numbers.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    code, out, err = shell(
        f"train numbers.csv {TO} --hidden-size 4 --epochs 3" + (" --key session" if long else " --features x")
    )
    assert code == 0, err
    counts = re.search(r"^(\d+) sequences to train on and (\d+) to judge by", out, re.MULTILINE)
    assert counts
    assert sum(map(int, counts.groups())) == 120
    assert tidegate.load(folder / "new.safetensors").config.labels == ("down", "up")


def test_data_that_fits_is_read_into_memory(shell: Shell, small: str) -> None:
    """Nothing is said, and nothing changes, where the data is small beside the memory."""
    code, out, _ = shell(f"train train.csv -o new.safetensors --no-baselines {small} --memory 2GB --epochs 1")
    assert code == 0
    assert "data:" not in out
    assert "360 texts to train on and 40 to judge by" in out


@pytest.mark.parametrize("numbers", [False, True])
def test_truth_values_among_words_are_words(
    large: None, shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch, numbers: bool
) -> None:
    """A word in a late part decides what True and False are, as in memory, whatever the first part looked like."""
    monkeypatch.setattr(spooling, "_ROWS", 50)
    spelt = ["True", "False"] * (2100 if numbers else 60) + ["maybe"] * 60
    rows = [f"[{b % 7}, 2];{label}" if numbers else f"so {label};{label}" for b, label in enumerate(spelt)]
    (folder / "late.csv").write_text(
        "\n".join(["x;label" if numbers else "text;label", *rows]) + "\n", encoding="utf-8"
    )
    how = " --features x" if numbers else ""
    code, _, err = shell(f"train late.csv {TO} --hidden-size 2 --epochs 1 --cell average --label label{how}")
    assert code == 0, err
    assert tidegate.load(folder / "new.safetensors").config.labels == ("False", "True", "maybe")


def test_that_memory_has_no_effect_is_said(shell: Shell, folder: Path) -> None:
    """What is read whole whatever its size is named where a memory is given."""
    (folder / "tags.csv").write_text("text,tags\n" + "so good,a|b\nso bad,b\n" * 20, encoding="utf-8")
    code, out, err = shell(f"train tags.csv {TO} --multi-label | --hidden-size 2 --epochs 1")
    assert code == 0, err
    assert re.search(r"^data: data for --task multi-label is read whole: --memory has no effect", out, re.MULTILINE)
