"""`tidegate train` on sequences of numbers: what it takes, what it says, and what it refuses."""

import csv
import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.cli.reading.targets import Wanted, find_task
from tidegate.cli.train.progress import Stop, follow
from tidegate.cli.train.sequences import describe_columns, targets_of
from tidegate.data import series

Shell = Callable[..., tuple[int, str, str]]
TO = "-o walk.safetensors"
QUICK = "--hidden-size 4 --epochs 1 --batch-size 16 --no-baselines"


def walks(count: int = 40, seed: int = 0) -> list[tuple[np.ndarray[Any, Any], str]]:
    """Random walks [T, 2] that drift up or down, in units of their own, with the name of the direction."""
    rng = np.random.default_rng(seed)
    found = []
    for b in range(count):
        drift = (1, -1)[b % 2]
        steps = rng.normal(drift, 1, (rng.integers(5, 12), 1)).cumsum(axis=0) * 100
        found.append((np.hstack([steps, rng.normal(20, 1, steps.shape)]), "up" if drift > 0 else "down"))
    return found


def long_rows(data: list[tuple[Any, str]]) -> list[dict[str, Any]]:
    """A row for each step, shuffled."""
    rows = [
        {"session": f"s{b}", "ts": 10 * t, "height": x[t, 0], "heat": x[t, 1], "label": label}
        for b, (x, label) in enumerate(data)
        for t in range(len(x))
    ]
    return [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def write_json(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows as JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_training_on_several_files(shell: Shell, folder: Path) -> None:
    """A folder, and a pattern to judge by, give the weights that the tables give that they were cut of."""
    weights = []
    for name, rows in (("fold", long_rows(walks())), ("held", long_rows(walks(10, 1)))):
        (folder / name).mkdir()
        write_csv(folder / f"{name}.csv", rows)
        for n in (0, 1):
            write_csv(folder / name / f"{n}.csv", rows[n * 60 : (n + 1) * 60 if n == 0 else None])
    for file, held in (("fold.csv", "held.csv"), ("fold", "'held/*.csv'"), ("'fold/*.csv'", "held")):
        key = "" if file == "fold" else "--key session"
        code, out, err = shell(f"train {file} {key} --validation {held} {TO} {QUICK} --overwrite")
        assert code == 0, err
        weights.append(tidegate.load(folder / "walk.safetensors").arrays)
        assert "told apart by column 'session', in the order of 'ts'" in out.replace("\n", " ")
    for other in weights[1:]:
        for name, array in weights[0].items():
            np.testing.assert_array_equal(array, other[name])
    code, _, err = shell(f"train fold --validation 'none/*.csv' {TO} {QUICK} --overwrite")
    assert (code, "no file fits the pattern 'none/*.csv'" in err) == (2, True)


@pytest.fixture
def sensors(folder: Path) -> Path:
    """A long table `sensors.csv`, and the same sequences as lists in `lists.jsonl`."""
    write_csv(folder / "sensors.csv", long_rows(walks()))
    write_json(folder / "lists.jsonl", [{"walk": x.tolist(), "label": label} for x, label in walks()])
    return folder


def test_a_long_table_is_understood(shell: Shell, sensors: Path) -> None:
    """Key, time, features and labels are guessed and said; the model knows them, learns, and beats chance."""
    code, out, _ = shell(f"train sensors.csv {TO} --hidden-size 8 --epochs 30 --learning-rate 0.03 --threads 2")
    assert code == 0
    assert (
        "sequences: told apart by column 'session', in the order of 'ts'; features: 'height', 'heat'; "
        "labels: column 'label' of sensors.csv"
    ) in out
    assert "36 sequences to train on and 4 to judge by" in out
    assert re.search(r"^labels: down 50%, up 50%$", out, re.MULTILINE)
    rows = [re.split(r"\s{2,}", line.strip())[0] for line in out.splitlines()]
    assert [row for row in rows if row in {"average", "compounding", "statistics", "GRU"}] == [
        "average",
        "compounding",
        "statistics",
        "GRU",
    ]
    assert re.search(r"^The GRU is .* the best baseline, ", out, re.MULTILINE)
    model = tidegate.load(sensors / "walk.safetensors", tidegate.SequenceModel)
    assert (model.config.columns, model.config.key, model.config.time) == (("height", "heat"), "session", "ts")
    assert model.config.target == "label"
    fresh = walks(60, seed=7)
    assert (model.predict([x for x, _ in fresh]) == [label for _, label in fresh]).mean() > 0.9


def test_both_forms_train_one_model(shell: Shell, sensors: Path) -> None:
    """A long table and the same sequences as lists, in the same order, end with the same bits."""
    rows = long_rows(walks())
    rows.sort(key=lambda row: (int(row["session"][1:]), row["ts"]))
    write_csv(sensors / "sorted.csv", rows)
    assert shell(f"train sorted.csv -o one.safetensors {QUICK}")[0] == 0
    assert shell(f"train lists.jsonl -o two.safetensors {QUICK}")[0] == 0
    one, two = (tidegate.load(sensors / f"{name}.safetensors", tidegate.SequenceModel) for name in ("one", "two"))
    assert {name: array.tobytes() for name, array in one.arrays.items()} == {
        name: array.tobytes() for name, array in two.arrays.items()
    }
    assert two.config.columns == ("walk",)
    assert two.config.feature_names == ("walk[0]", "walk[1]")


def test_columns_may_be_named(shell: Shell, sensors: Path) -> None:
    """Options say which columns are which; the others are said not to be used."""
    code, out, err = shell(f"train sensors.csv {TO} {QUICK} --key session --features heat --label label")
    assert code == 0
    assert "features: 'heat'; labels: column 'label'" in out
    assert "not used: 'height'" in err
    assert tidegate.load(sensors / "walk.safetensors", tidegate.SequenceModel).config.features == 1


def test_all_may_be_trained_on(shell: Shell, sensors: Path) -> None:
    """With --validation 0 nothing is held out, which is said; a file to judge by is read for the same columns."""
    code, out, err = shell(f"train sensors.csv {TO} {QUICK} --validation 0")
    assert code == 0
    assert "40 sequences to train on and as many to judge by" in out
    assert "the rows to judge by are those to train on: the scores say nothing about other sequences" in err
    write_csv(sensors / "held.csv", long_rows(walks(10, seed=3)))
    assert (
        "40 sequences to train on and 10 to judge by"
        in shell(f"train sensors.csv {TO} {QUICK} --validation held.csv")[1]
    )


def test_gaps_are_said(shell: Shell, sensors: Path) -> None:
    """Missing values are counted by feature, and the model reads them."""
    rows = long_rows(walks())
    for row in rows[::3]:
        row["heat"] = ""
    write_csv(sensors / "gaps.csv", rows)
    code, _, err = shell(f"train gaps.csv {TO} {QUICK}")
    assert code == 0
    assert re.search(r"missing values, which the model learns to read: 'heat' 33\.\d%", err)
    assert tidegate.load(sensors / "walk.safetensors", tidegate.SequenceModel).config.missing == (1,)


def test_sequences_that_come_again_are_counted(shell: Shell, sensors: Path) -> None:
    """Sequences to judge by that are trained on too are counted, whatever their keys are called."""
    held = [row | {"session": "other " + row["session"]} for row in long_rows(walks(12)[:6])]
    held += [row | {"session": "new " + row["session"]} for row in long_rows(walks(4, seed=9))]
    write_csv(sensors / "held.csv", held)
    _, _, err = shell(f"train sensors.csv {TO} {QUICK} --validation held.csv")
    assert "6 of the 10 sequences to judge by are trained on too: scores are too good" in err
    twice = [{"walk": x.tolist(), "label": label} for x, label in walks(20)]
    write_json(sensors / "twice.jsonl", [*twice, *(row | {"label": "down"} for row in twice[:4])])
    _, _, err = shell(f"train twice.jsonl {TO} {QUICK} --validation held.jsonl")
    assert "--validation is 'held.jsonl'" in err
    _, _, err = shell(f"train twice.jsonl {TO} {QUICK} --validation 0")
    assert "4 sequences stand more than once among those to train on, in 8 rows" in err
    assert re.search(r"^2 sequences stand there with different labels$", err, re.MULTILINE)


def test_fractions_are_a_regression(shell: Shell, sensors: Path) -> None:
    """Labels that are numbers with fractions are predicted as numbers, which is said, and never taken for classes."""
    rows = [{"walk": x.tolist(), "end": round(x[-1, 0] / 3, 4)} for x, _ in walks(60)]
    write_json(sensors / "ends.jsonl", rows)
    how = "--hidden-size 8 --epochs 40 --learning-rate 0.03 --dropout 0 --threads 2"
    code, out, _ = shell(f"train ends.jsonl {TO} {how} --label end")
    assert code == 0
    assert "task: regression, as the labels are numbers" in out
    assert re.search(r"^numbers of 'end': -?\d", out, re.MULTILINE)
    table = {row[0]: row[1:] for line in out.splitlines() if len(row := re.split(r"\s{2,}", line.strip())) == 5}
    assert list(table) == ["mean", "average", "compounding", "statistics", "GRU"]
    assert float(table["mean"][0]) <= 0
    assert float(table["GRU"][0]) > 0.8
    assert float(table["GRU"][2]) < float(table["mean"][2])
    assert "smaller by" in out
    model = tidegate.load(sensors / "walk.safetensors", tidegate.SequenceModel)
    assert model.config.labels == ("end",)
    assert set(model.metrics["baselines"]["mean"]) == {"r2", "rmse", "mae", "seconds"}


def test_several_numbers(shell: Shell, sensors: Path) -> None:
    """A regression may have several numbers, named by their columns; --task decides where the labels do not."""
    rows = [{"walk": x.tolist(), "first": x[0, 0], "steps": len(x)} for x, _ in walks()]
    write_json(sensors / "two.jsonl", rows)
    assert shell(f"train two.jsonl {TO} {QUICK} --label first,steps")[0] == 0
    assert tidegate.load(sensors / "walk.safetensors").config.labels == ("first", "steps")
    assert shell(f"train two.jsonl {TO} {QUICK} --label steps")[0] == 0
    assert tidegate.load(sensors / "walk.safetensors").config.task == "classification"
    assert shell(f"train two.jsonl {TO} {QUICK} --label steps --task regression")[0] == 0
    assert tidegate.load(sensors / "walk.safetensors").config.task == "regression"
    code, _, err = shell(f"train two.jsonl {TO} {QUICK} --label first,steps --task classification")
    assert code == 2
    assert "--label names 2 columns, expected one for classes, or --task regression" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--text height", "the texts of column 'height' are numbers, such as .*--key COLUMN takes each row for a step"),
        ("--key session --vectors glove.txt", "--vectors is about texts, but sequences of numbers are read"),
        ("--max-length 10", "--max-length is about texts"),
        ("--parts ngrams", "--parts is about texts"),
        ("--embedding-size 10", "--embedding-size is about texts"),
        ("--key session --text height", "--text is about texts"),
        ("--freeze", "--freeze is about texts"),
        ("--word-dropout 0.2", "--word-dropout is about texts"),
        ("--key label --label label", "column 'label' is given as one of the key and as the label"),
        ("--key label", "'(up|down)' of column 'label' has the label 's\\d+' in row .* of column 'session'"),
        ("--key nobody", r"there is no column 'nobody'; the columns are 'session' \(text\)"),
        ("--label ts --task regression", "has the label"),
        ("--features label", "row 1 of column 'label' holds '(up|down)' among its numbers"),
    ],
)
def test_what_cannot_be_meant(shell: Shell, sensors: Path, options: str, message: str) -> None:
    """Options that do not fit the table are one error, before training."""
    code, out, err = shell(f"train sensors.csv {TO} {QUICK} {options}")
    assert (code, out) == (2, "")
    assert re.search(message, err)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"x": [n, 1.0], "label": f"u{n}"} for n in range(60)], "has 60 different labels in 60 rows"),
        ([{"x": [n, 1.0], "label": n} for n in range(60)], "has 60 different labels in 60 rows.*--task regression"),
        ([{"x": [n, 1.0], "label": ("a", "b", "a|b")[n % 3]} for n in range(60)], "several labels in one cell"),
        ([{"x": [n, 1.0], "label": "only"} for n in range(60)], r"found 1 label\(s\) \(only\)"),
        ([{"x": [n, 1.0], "label": None if n == 7 else "ab"[n % 2]} for n in range(60)], "first row 8: fill them in"),
        (
            [{"x": [[n, n % 2 * 3.5], [0, n % 2 * 3.5]], "label": "ab"[n % 2]} for n in range(60)],
            r"feature 'x\[1\]' tells the label: it never changes within a sequence",
        ),
        (
            [{"x": [[n, n / 7], [0, n / 7]], "label": n / 7} for n in range(60)],
            r"feature 'x\[1\]' tells the label",
        ),
        ([{"x": [n, float("inf")], "label": "ab"[n % 2]} for n in range(60)], r"sequences\[\d+\] has inf at step 1"),
        ([{"x": [[n], [n, 1]], "label": "ab"[n % 2]} for n in range(60)], "row 1 of column 'x'"),
    ],
)
def test_wrong_data_is_refused(shell: Shell, folder: Path, rows: list[dict[str, Any]], message: str) -> None:
    """A label a row, several labels a cell, one class, a missing label, a copy of the label: each is one error."""
    write_json(folder / "wrong.jsonl", rows)
    code, _, err = shell(f"train wrong.jsonl {TO} {QUICK} --features x --label label")
    assert code == 2
    assert re.search(message, err)


@pytest.mark.parametrize("cell", ["inf", "1,5", "warm"])
def test_one_bad_cell_does_not_remove_a_feature(shell: Shell, sensors: Path, cell: str) -> None:
    """A cell that is no number is an error with its place, unless the other columns are asked for."""
    rows = long_rows(walks())
    rows[6]["heat"] = cell
    write_csv(sensors / "wrong.csv", rows)
    code, _, err = shell(f"train wrong.csv {TO} {QUICK}")
    assert code == 2
    assert f"row 7 of column 'heat' holds {cell!r}, expected a number" in err
    assert "to leave a column out on purpose, name the others with --features" in err
    code, _, err = shell(f"train wrong.csv {TO} {QUICK} --features height")
    assert code == 0
    assert "not used: 'heat'" in err


def test_features_may_be_given_one_by_one(shell: Shell, sensors: Path) -> None:
    """Several --features are all taken, in their order, also with commas in one of them."""
    for features in ("--features heat --features height", "--features heat,height"):
        assert shell(f"train sensors.csv {TO} {QUICK} {features}")[0] == 0
        config: Any = tidegate.load(sensors / "walk.safetensors").config
        assert config.columns == ("heat", "height")
    code, out, _ = shell("predict walk.safetensors sensors.csv --features height --features heat")
    assert code == 0
    assert len(out.splitlines()) == 1 + 40  # the names of the columns, and the sequences


def test_equal_keys_to_judge_by_are_noticed(shell: Shell, sensors: Path) -> None:
    """Sequences in a file to validate with whose key is one of those to train on are counted in a note."""
    rows = long_rows(walks(12, seed=5))
    write_csv(sensors / "valid.csv", [row | {"session": f"s{int(row['session'][1:]) + 36}"} for row in rows])
    err = shell(f"train sensors.csv {TO} {QUICK} --validation valid.csv")[2]
    assert "4 of the 12 sequences to judge by have a key that is trained on too" in err
    write_csv(sensors / "valid.csv", [row | {"session": f"v{row['session']}"} for row in rows])
    assert "have a key" not in shell(f"train sensors.csv {TO} {QUICK} --validation valid.csv")[2]


def test_an_unknown_task_is_named_plainly(shell: Shell, sensors: Path) -> None:
    """The error about an option has the words of the console, and none of a library's."""
    code, _, err = shell(f"train sensors.csv {TO} --task nothing")
    assert code == 2
    assert "'nothing' is not one of" in err
    assert "Value error" not in err


def test_a_key_without_a_label_is_named(shell: Shell, sensors: Path) -> None:
    """In a long table, what has no label is named by its key, and so is what has two."""
    rows = long_rows(walks())
    write_csv(sensors / "wrong.csv", [row | {"label": ""} if row["session"] == "s7" else row for row in rows])
    assert "'s7' of column 'session' has no label in column 'label'" in shell(f"train wrong.csv {TO} {QUICK}")[2]
    rows[5]["label"] = "sideways"
    write_csv(sensors / "wrong.csv", rows)
    err = shell(f"train wrong.csv {TO} {QUICK}")[2]
    assert f"{rows[5]['session']!r} of column 'session' has the label" in err
    assert "expected one label for each sequence" in err


def test_rows_of_numbers_ask_for_a_key(shell: Shell, folder: Path) -> None:
    """A table of numbers without an obvious key is not taken for texts; the error names --key."""
    write_csv(folder / "wide.csv", [{"a": n / 3, "b": n % 5, "label": "xy"[n % 2]} for n in range(60)])
    code, _, err = shell(f"train wide.csv {TO} {QUICK}")
    assert code == 2
    assert "--key" in err


def test_a_run_is_continued(shell: Shell, sensors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a signal stops writes what it has, and goes on with --resume to the same bits."""
    how = "--hidden-size 4 --batch-size 16 --epochs 3 --checkpoint-every 0"
    assert shell(f"train lists.jsonl -o whole.safetensors {how}")[0] == 0
    with monkeypatch.context() as patched:
        patched.setattr("tidegate.cli.train.trainings.follow", stop_after_an_epoch)
        code, _, err = shell(f"train lists.jsonl -o cut.safetensors {how}")
    assert code == 130
    assert "the best so far is the model of the average" in err
    assert "--resume continues this run" in err
    code, _, err = shell(f"train lists.jsonl -o cut.safetensors {how} --resume")
    assert code == 0
    assert "resumed" in err
    whole, cut = (tidegate.load(sensors / f"{name}.safetensors") for name in ("whole", "cut"))
    assert all((whole.arrays[name] == cut.arrays[name]).all() for name in whole.arrays)
    assert not (sensors / "cut.safetensors.checkpoint").exists()


def stop_after_an_epoch(title: str, events: Any, stop: Stop, unit: str) -> Iterator[Any]:
    """Follows a training until its first epoch, as Ctrl-C does."""
    for epoch in follow(title, events, stop, unit):
        yield epoch
        stop.signal = signal.SIGINT


@pytest.mark.parametrize(
    ("levels", "hint"),
    [("0.9,0.1", ""), ("0,1", ""), ("10,50,90", ": divide by 100"), ("low", ""), ("0.5,nan", "")],
)
def test_levels_of_quantiles_are_checked_before_reading(levels: str, hint: str) -> None:
    """They ascend between 0 and 1; percent have a hint."""
    with pytest.raises(ValueError, match=rf"--quantiles is '{levels}', .* such as 0.1,0.5,0.9{hint}$"):
        Wanted(quantiles=levels)


def test_a_list_is_no_number_to_predict() -> None:
    """Lists of labels are an error with their row and column, for numbers as for the choice of a task."""
    with pytest.raises(ValueError, match=r"row 2 of label column 'y' holds \['up', 'step'\]"):
        find_task("auto", {"y": ["up", ["up", "step"]]})
    table = series.Series([np.zeros((1, 1))], {"y": [["up"]]}, series.Roles(features=("x",), labels=("y",)), {})
    with pytest.raises(ValueError, match=r"row 1 of column 'y' holds \['up'\], expected a number"):
        targets_of(table, Wanted(task="regression"))


@pytest.mark.parametrize(("size", "said"), [(900.0, "this looks like sound"), (0.5, "sequences are long")])
def test_long_sequences_are_said_at_once(capsys: pytest.CaptureFixture[str], size: float, said: str) -> None:
    """Sound that is read as plain numbers, and other long sequences, have a note right after reading."""
    steps = np.tile([size, -size], 1000)[:, None]
    roles = series.Roles(features=("x",), labels=("y",))
    describe_columns(series.Series([steps], {"y": ["a"]}, roles, {}), "clips.parquet")
    assert f"{said}" in (err := capsys.readouterr().err)
    assert "--frontend logmel" in err


def test_tasks_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    """Fractions that hardly come again are numbers, half stars and whole numbers are classes, unless one says so."""
    numbers, stars = [n / 7 for n in range(50)], [n / 2 for n in range(10)] * 5
    assert find_task("auto", {"y": numbers}) == "regression"
    assert find_task("auto", {"y": stars}) == "classification"
    assert find_task("auto", {"y": [1, 2] * 9}) == "classification"
    assert find_task("classification", {"y": numbers}) == "classification"
    assert find_task("regression", {"y": [1, 2]}) == "regression"
    assert capsys.readouterr().out.count("task: regression") == 1


def test_spoken_digits_and_rolls_are_read(folder: Path, shell: Shell) -> None:
    """A column of samples, and one of 0/1 vectors, are sequences; where the label is not obvious it is asked for."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rng = np.random.default_rng(0)
    samples = [rng.integers(-900, 900, rng.integers(20, 40)).astype(np.int16) for _ in range(40)]
    rolls = [rng.integers(0, 2, (9, 5)).astype(bool).tolist() for _ in range(40)]
    digits, speakers = [b % 2 for b in range(40)], ["ab"[b % 2] for b in range(40)]
    columns = {"pcm": pa.array(samples, pa.list_(pa.int16())), "digit": digits, "speaker": speakers}
    parquet.write_table(pa.table(columns), folder / "digits.parquet")
    parquet.write_table(pa.table({"roll": rolls, "label": speakers}), folder / "rolls.parquet")
    code, _, err = shell(f"train digits.parquet {TO} {QUICK}")
    assert code == 2
    assert "it may be 'digit' or 'speaker'" in err
    assert shell(f"train digits.parquet {TO} {QUICK} --label digit")[0] == 0
    assert shell(f"train rolls.parquet {TO} {QUICK}")[0] == 0
    assert series.read(folder / "rolls.parquet").sequences[0].tolist() == np.array(rolls[0], float).tolist()
