"""The next steps of sequences, from training to forecasts."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tidegate

Shell = Callable[..., tuple[int, str, str]]
QUICK = "--hidden-size 8 --epochs 12 --batch-size 8 --learning-rate 0.03 --dropout 0"
COLUMNS = "--key who --time ts --features a,b"


@pytest.fixture(scope="module")
def waves(folder: Path) -> Path:
    """Waves in a long table, a roll of 0 and 1 as lists, and a model of each."""
    from tidegate.cli import main

    rng = np.random.default_rng(0)
    with (folder / "waves.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["who", "ts", "a", "b"])
        for b in range(24):
            t = np.arange(30) + rng.integers(8)
            x = np.stack([100 + 50 * np.sin(t * np.pi / 4), np.cos(t * np.pi / 4)], axis=1)
            table.writerows([f"w{b}", i, *step] for i, step in enumerate(x.round(4).tolist()))
    with (folder / "rolls.jsonl").open("w", encoding="utf-8") as file:
        for _ in range(24):
            shift = int(rng.integers(3))
            roll = [[int((t + k + shift) % 3 == 0) for k in range(3)] for t in range(12)]
            file.write(json.dumps({"roll": roll}) + "\n")
    arguments = f"train {folder}/waves.csv {COLUMNS} --task next -o {folder}/waves.safetensors {QUICK}"
    assert main(arguments.split()) == 0
    arguments = f"train {folder}/rolls.jsonl --features roll --task next -o {folder}/rolls.safetensors {QUICK}"
    assert main(arguments.split()) == 0
    return folder


def test_a_model_of_numbers_is_judged_beside_simple_forecasts(shell: Shell, waves: Path) -> None:
    """The metrics hold the last value, a season ago and a linear model; `evaluate` scores every step."""
    model = tidegate.load(waves / "waves.safetensors")
    assert (model.config.task, model.config.labels, model.config.horizon) == ("next", ("a", "b"), 1)
    assert set(model.metrics["baselines"]) == {"last value", "seasonal naive (8)", "linear"}
    assert model.metrics["baselines"]["seasonal naive (8)"]["r2"] > model.metrics["baselines"]["last value"]["r2"]
    code, out, err = shell("evaluate waves.safetensors waves.csv --json")
    assert code == 0, err
    found = json.loads(out)
    assert found["n"] == 24 * 29
    assert found["r2"] > 0.8
    assert "steps" in shell("evaluate waves.safetensors waves.csv")[1]
    assert "next" in shell("info waves.safetensors")[1]


def test_a_table_without_a_key_is_one_sequence(shell: Shell, folder: Path) -> None:
    """The rows of a single meter, in any order, are put in order by time; forecasts go on from the last of them."""
    rng, waves = np.random.default_rng(0), np.sin(np.arange(240) * np.pi / 4) * 50 + 100
    rows = [f"{hour},{value:.4f},{rng.normal():.3f}" for hour, value in enumerate(waves)]
    (folder / "load.csv").write_text("\n".join(["hour,load,heat", *rng.permutation(rows)]) + "\n", encoding="utf-8")
    asked = f"train load.csv --time hour --task next -o load.safetensors {QUICK} --overwrite"
    code, out, err = shell(f"{asked} --features load")
    assert code == 0, err
    assert "one sequence: all rows, in the order of 'hour'; features: 'load' of load.csv" in out
    assert json.loads(shell("evaluate load.safetensors load.csv --json")[1])["n"] == 239
    code, out, err = shell("predict load.safetensors load.csv --steps 3")
    assert code == 0, err
    first, *forecast = csv.reader(io.StringIO(out))
    assert first == ["sequence", "step", "load"]
    assert [row[:2] for row in forecast] == [["1", "1"], ["1", "2"], ["1", "3"]]
    (folder / "sorted.csv").write_text("\n".join(["hour,load,heat", *rows]) + "\n", encoding="utf-8")
    assert shell("predict load.safetensors sorted.csv --steps 3")[1] == out
    keyed = "\n".join(["who,hour,load", *("a," + row.rpartition(",")[0] for row in rows)]) + "\n"
    (folder / "keyed.csv").write_text(keyed, encoding="utf-8")
    assert shell(f"{asked} --features load --key who".replace("load.csv", "keyed.csv"))[0] == 0
    assert shell("predict load.safetensors keyed.csv --steps 3")[1].splitlines()[1].split(",")[2] == forecast[0][2]
    code, out, err = shell(asked)  # nothing is said of the columns but their times
    assert code == 0, err
    assert "features: 'load', 'heat' of load.csv" in out


def test_a_table_without_a_key_is_no_sequence_where_numbers_count_its_rows(shell: Shell, folder: Path) -> None:
    """A column such as `id` may tell sequences apart: who means none of that names the features."""
    (folder / "counted.csv").write_text("id,x\n" + "".join(f"{i},{i % 3}\n" for i in range(60)), encoding="utf-8")
    train = f"train counted.csv --task next -o counted.safetensors {QUICK}"
    code, _, err = shell(train)
    assert code == 2
    assert "name the column that tells the sequences apart with --key" in err
    code, out, err = shell(f"{train} --time id --features x")
    assert code == 0, err
    assert "one sequence: all rows, in the order of 'id'" in out


def test_a_model_of_zeros_and_ones_is_judged_by_likelihood(shell: Shell, waves: Path) -> None:
    """Features that are 0 or 1 are probabilities, whose log-likelihood is summed over a step."""
    assert tidegate.load(waves / "rolls.safetensors").config.task == "next-binary"
    code, out, err = shell("evaluate rolls.safetensors rolls.jsonl --json")
    assert code == 0, err
    found = json.loads(out)
    assert found["nll"] == -found["log_likelihood"]
    assert found["nll"] < 1.5 < 3 * np.log(2)
    assert "log-likelihood" in shell("evaluate rolls.safetensors rolls.jsonl")[1]


def test_steps_are_forecast(shell: Shell, waves: Path) -> None:
    """Each sequence gets rows of its own, with its key, the number of the step, and the features."""
    code, out, err = shell("predict waves.safetensors waves.csv --steps 3")
    assert code == 0, err
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [list(rows[0]), len(rows)] == [["who", "step", "a", "b"], 72]
    assert [(row["who"], row["step"]) for row in rows[2:4]] == [("w0", "3"), ("w1", "1")]
    assert all(row["a"] == str(float(str(np.float32(row["a"])))) for row in rows)  # the digits that a float32 has
    code, out, err = shell("predict waves.safetensors waves.csv")
    assert next(iter(csv.DictReader(io.StringIO(out))))["prediction_a"] == rows[0]["a"]
    code, out, err = shell("predict rolls.safetensors rolls.jsonl --steps 4 --to jsonl")
    found = [json.loads(line) for line in out.splitlines()]
    assert found[4]["sequence"] == 2
    assert {found[0][f"roll[{k}]"] for k in range(3)} <= {0, 1}


def test_several_steps_at_once(shell: Shell, waves: Path) -> None:
    """With a horizon, a model predicts several steps after each one, and forecasts go on from them."""
    command = f"train waves.csv {COLUMNS} --task next --horizon 2 -o two.safetensors {QUICK} --epochs 1 --no-baselines"
    assert shell(command)[0] == 0
    model = tidegate.load(waves / "two.safetensors")
    assert model.config.labels == ("a +1", "b +1", "a +2", "b +2")
    assert len(shell("predict two.safetensors waves.csv --steps 3")[1].splitlines()) == 73
    assert json.loads(shell("evaluate two.safetensors waves.csv --json")[1])["n"] == 24 * 28


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_model_of_zeros_and_ones_reads_nothing_else(shell: Shell, waves: Path, command: str) -> None:
    """Another number is an error that names its row and step, counted from 1."""
    rolls = [[[0, 1, 0]] * 3, [[0, 1, 0], [0, 0.5, 1], [7, 0, 0]]]
    (waves / "odd.jsonl").write_text("".join(json.dumps({"roll": roll}) + "\n" for roll in rolls), encoding="utf-8")
    code, _, err = shell(f"{command} rolls.safetensors odd.jsonl")
    assert code == 2
    assert "row 2: 'roll[1]' is 0.5 at step 2, expected 0 or 1" in err


def test_a_gap_in_training_is_named(shell: Shell, waves: Path) -> None:
    """It has a file, a row or a key, a column and a step, counted from 1."""
    (waves / "gaps.jsonl").write_text('{"x": [[1, 2], [3, 4]]}\n{"x": [[1, 2], [3, null]]}\n', encoding="utf-8")
    code, _, err = shell("train gaps.jsonl --features x --task next -o w.safetensors")
    assert code == 2
    assert "gaps.jsonl: row 2: 'x[1]' is missing at step 2: to predict steps, fill gaps before" in err
    (waves / "gaps.csv").write_text("who,ts,a\nu,1,3\nu,2,\n", encoding="utf-8")
    code, _, err = shell("train gaps.csv --key who --time ts --features a --task next -o w.safetensors")
    assert "gaps.csv: 'u' of column 'who': 'a' is missing at step 2" in err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (f"train waves.csv {COLUMNS} --task next --label who", "so there is no --label"),
        (f"train waves.csv {COLUMNS} --horizon 3", "--horizon 3 is about predicting next steps"),
        (f"train waves.csv {COLUMNS} --no-residual", "--no-residual are about predicting next steps"),
        ("train rolls.jsonl --features roll --task next --residual", "residual is True, but the model has task="),
        ("train rolls.jsonl --features roll --task next --loss huber", "loss is 'huber', which is a loss of numbers"),
        (f"train waves.csv {COLUMNS} --task next --horizon 30", "expected more than the horizon, 30"),
        (f"train waves.csv {COLUMNS} --task next --cell average", "needs a recurrent cell that reads forward"),
        (f"train waves.csv {COLUMNS} --task next --bidirectional", "needs a recurrent cell that reads forward"),
        (f"train waves.csv {COLUMNS} --task next --summary mean", "and the summary 'last'"),
        (f"train waves.csv {COLUMNS} --task next --class-weights balanced", "class_weights is 'balanced'"),
        ("predict model.safetensors test.csv --steps 2", "--steps is about next steps"),
        ("evaluate waves.safetensors waves.csv --by who", "--by scores rows apart"),
        ("evaluate waves.safetensors waves.csv --threshold 0.5", "the model predicts numbers"),
        (
            "explain rolls.safetensors --file rolls.jsonl --row 1",
            "this is a network for next-binary, expected",
        ),
        ("explain waves.safetensors --file waves.csv --row 1", "this is a network for next, expected one whose"),
    ],
)
def test_what_cannot_be_meant_is_refused(shell: Shell, waves: Path, command: str, message: str) -> None:
    """Labels, texts, and networks that read ahead or sum up are one error that says what to do."""
    code, _, err = shell(command + " -o w.safetensors" * command.startswith("train"))
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
