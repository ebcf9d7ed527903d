"""Commands on folders and patterns of files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate.data import tables

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def cut(folder: Path) -> Path:
    """The labelled texts to train on and to judge by, cut into files of three kinds each."""
    for name in ("train", "test"):
        table = tables.read(folder / f"{name}.csv")
        (folder / "cut" / name).mkdir(parents=True)
        for i, suffix in enumerate(("csv", "jsonl", "parquet")):
            rows = slice(len(table) * i // 3, len(table) * (i + 1) // 3)
            tables.write(
                folder / "cut" / name / f"{i}.{suffix}", {key: values[rows] for key, values in table.columns.items()}
            )
    return folder / "cut"


def test_training_on_a_pattern_is_training_on_the_whole(shell: Shell, folder: Path, cut: Path, small: str) -> None:
    """The files of a pattern, and a folder to judge by, give the weights that the tables give that they were cut of."""
    weights = []
    for file, held in (("train.csv", "test.csv"), ("'cut/train/*'", "cut/test")):
        command = f"train {file} --validation {held} -o whole.safetensors {small} --no-baselines --epochs 1"
        code, out, err = shell(command)
        assert code == 0, err
        weights.append(tidegate.load(folder / "whole.safetensors").arrays)
    assert "of cut/train/*" in out
    for name, array in weights[0].items():
        np.testing.assert_array_equal(array, weights[1][name])


def test_every_row_of_a_folder_is_answered(shell: Shell, folder: Path, cut: Path) -> None:
    """predict, embed and evaluate give for a folder what they give for the whole table."""
    for file, name in (("test.csv", "whole"), ("cut/test", "parts")):
        assert shell(f"predict model.safetensors {file} -o {name}.parquet")[0] == 0
        assert shell(f"embed model.safetensors {file} -o {name}.npy")[0] == 0
    whole, parts = (tables.read(folder / f"{name}.parquet").columns for name in ("whole", "parts"))
    assert whole == parts
    np.testing.assert_array_equal(np.load(folder / "whole.npy"), np.load(folder / "parts.npy"))
    judged = [shell(f"evaluate model.safetensors {file} --json") for file in ("test.csv", "cut/test/*.*")]
    assert judged[0] == judged[1]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("predict model.safetensors cut/test -o cut/test/0.csv", "cut/test/0.csv is also an input (cut/test)"),
        ("predict model.safetensors 'cut/test/*.csv' -o cut/test/0.csv", "is also an input (cut/test/*.csv)"),
        ("predict model.safetensors 'cut/*.csv'", "no file fits the pattern 'cut/*.csv'"),
        ("predict model.safetensors cut/none", "there is no file 'cut/none'"),
        ("predict model.safetensors 'is it good?'", "for a text itself there is predict MODEL --words TEXT"),
        ("train 'cut/*.csv' -o new.safetensors", "no file fits the pattern 'cut/*.csv'"),
    ],
)
def test_mistakes_are_one_line(shell: Shell, cut: Path, command: str, message: str) -> None:
    """Nothing is lost that was an input, and what is missing is named."""
    code, _, err = shell(command)
    assert code == 2
    assert message in err
    assert len(tables.read(cut / "test")) == 50
