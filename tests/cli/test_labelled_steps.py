"""A label for each step, on the command line: tables with a label in each row, or lists of them."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tidegate

Shell = Callable[..., tuple[int, str, str]]
QUICK = "--hidden-size 6 --epochs 10 --batch-size 8 --learning-rate 0.05"
TO = "-o labels.safetensors --overwrite"
COLUMNS = "--key who --time ts --features a,b --label state"


@pytest.fixture(scope="module")
def machines(folder: Path) -> Path:
    """Readings of machines that run or rest, as a long table in any order and as lists; the state is in the heat."""
    rng = np.random.default_rng(0)
    rows, lists = [], []
    for m in range(16):
        runs = np.repeat(rng.integers(2, size=6), 5)
        heat, noise = (20 + 10 * runs + rng.normal(0, 2, 30)).round(3), rng.normal(size=30).round(3)
        states = ["runs" if each else "rests" for each in runs]
        rows += [[f"m{m}", t, heat[t], noise[t], states[t]] for t in range(30)]
        lists.append({"steps": np.stack([heat, noise], axis=1).tolist(), "state": states})
    with (folder / "machines.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["who", "ts", "a", "b", "state"])
        first = [rows[30 * m] for m in range(16)]  # keys come in the order of their first rows
        others = [row for i, row in enumerate(rows) if i % 30]
        table.writerows([*first, *(others[i] for i in rng.permutation(len(others)))])
    (folder / "machines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lists), "utf-8")
    return folder


def test_each_row_of_a_long_table_has_a_label(shell: Shell, machines: Path) -> None:
    """The model finds them, is compared with what has no memory, and writes a row for each step; so does a stream."""
    code, out, err = shell(f"train machines.csv {COLUMNS} --label-per-step --memory 1GB {TO} {QUICK}")
    assert code == 0, err
    assert "data: data for --label-per-step is read whole: --memory has no effect on it" in out.replace("\n", " ")
    assert "14 sequences to train on and 2 to judge by" in out
    assert "labels: rests " in out
    model = tidegate.load(machines / "labels.safetensors", tidegate.SequenceModel)
    assert (model.config.task, model.config.target, model.config.key) == ("labelling", "state", "who")
    assert set(model.metrics["baselines"]) == {"frequency", "linear"}
    code, out, _ = shell("evaluate labels.safetensors machines.csv --json")
    report = json.loads(out)
    assert (code, report["n"]) == (0, 16 * 30)
    assert report["accuracy"] > 0.9
    assert "steps " in shell("evaluate labels.safetensors machines.csv")[1]
    code, out, _ = shell("predict labels.safetensors machines.csv --to jsonl")
    found = [json.loads(line) for line in out.splitlines()]
    rows = [(f"m{m}", str(t), t + 1) for m in range(16) for t in range(30)]
    assert [(row["who"], row["ts"], row["step"]) for row in found] == rows
    with (machines / "machines.csv").open(encoding="utf-8") as file:
        known = {(row["who"], int(row["ts"])): row["state"] for row in csv.DictReader(file)}
    right = [row["prediction"] == known[row["who"], row["step"] - 1] for row in found]
    assert np.mean(right) == pytest.approx(report["accuracy"])
    steps = json.loads((machines / "machines.jsonl").read_text("utf-8").splitlines()[0])["steps"]
    stdin = "who,a,b\n" + "".join(f"m0,{a},{b}\n" for a, b in steps)
    heard = [json.loads(line) for line in shell("stream labels.safetensors", stdin=stdin)[1].splitlines()]
    assert [row["p_runs"] for row in heard] == [row["p_runs"] for row in found[:30]]
    assert shell("explain labels.safetensors --file machines.csv --row 1")[0] == 0


@pytest.fixture
def labeller(folder: Path) -> Path:
    """A model of two features with random weights."""
    columns = {"columns": ("a", "b"), "key": "who", "time": "ts", "target": "state", "labels": ("rests", "runs")}
    config = tidegate.SequenceConfig(cell="gru", task="labelling", features=2, hidden_size=4, **columns)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in config.shapes().items()}
    tidegate.SequenceModel(config, arrays).save(folder / "labeller.safetensors")
    return folder


def test_labelled_steps_can_be_joined_back(shell: Shell, labeller: Path) -> None:
    """Each row has the key and the time of its step under their names, as they stand in the table, in Parquet typed."""
    (labeller / "few.csv").write_text("m,at,a,b\nx,2026-01-01 10:00,1,2\ny,2026-01-02,3,4\nx,2026-01-01 09:00,0,1\n")
    command = "predict labeller.safetensors {} --key m --time at"
    found = list(csv.DictReader(shell(command.format("few.csv"))[1].splitlines()))
    assert [(row["m"], row["at"], row["step"]) for row in found] == [
        ("x", "2026-01-01 09:00", "1"),
        ("x", "2026-01-01 10:00", "2"),
        ("y", "2026-01-02", "1"),
    ]
    moments = pa.array([1_000_000_000_000_000_003, 5, 1], pa.timestamp("ns", "UTC"))
    keys, numbers = pa.array([7, 8, 7]), pa.array([1.0, 2.0, 3.0])
    pq.write_table(pa.table({"m": keys, "at": moments, "a": numbers, "b": numbers}), labeller / "few.parquet")
    assert shell(command.format("few.parquet") + " -o labelled.parquet --overwrite")[0] == 0
    table = pq.read_table(labeller / "labelled.parquet")
    assert table["at"].equals(pa.chunked_array([moments.take(pa.array([2, 0, 1]))]))
    assert table["m"].to_pylist() == [7, 7, 8]


def test_a_column_of_the_table_keeps_its_name(shell: Shell, labeller: Path) -> None:
    """Times that are called step stand in the place of the number of each; a key that would be lost is an error."""
    (labeller / "few.csv").write_text("p_runs,step,a,b\nx,30,1,2\nx,10,3,4\n")
    code, _, err = shell("predict labeller.safetensors few.csv --key p_runs --time step")
    assert code == 2
    assert "the input has a column 'p_runs', which predict would add" in err
    (labeller / "few.csv").write_text("who,step,a,b\nx,30,1,2\nx,10,3,4\n")
    code, out, _ = shell("predict labeller.safetensors few.csv --time step")
    found = list(csv.DictReader(out.splitlines()))
    assert (code, list(found[0])[:3]) == (0, ["who", "step", "prediction"])
    assert [row["step"] for row in found] == ["10", "30"]


def test_lists_of_steps_have_lists_of_labels(shell: Shell, machines: Path) -> None:
    """The same sequences as lists give the same weights."""
    weights = []
    for asked in (f"machines.csv {COLUMNS}", "machines.jsonl --features steps --label state"):
        code, _, err = shell(f"train {asked} --label-per-step {TO} {QUICK} --no-baselines")
        assert code == 0, err
        model = tidegate.load(machines / "labels.safetensors")
        weights.append(b"".join(array.tobytes() for array in model.arrays.values()))
    assert weights[0] == weights[1]
    assert json.loads(shell("evaluate labels.safetensors machines.jsonl --json")[1])["n"] == 480
    code, out, _ = shell("predict labels.safetensors machines.jsonl")
    assert out.splitlines()[0] == "sequence,step,prediction,p_rests,p_runs"
    assert out.splitlines()[-1].startswith("16,30,")


def test_an_unknown_label_of_a_step_is_located(shell: Shell, machines: Path) -> None:
    """`evaluate` says which step of which sequence has a label that the model does not know."""
    lines = [{"steps": [[0, 0]] * 2, "state": ["runs", "rests"]}, {"steps": [[0, 0]] * 2, "state": ["runs", "stops"]}]
    (machines / "stops.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    code, _, err = shell("evaluate labels.safetensors stops.jsonl")
    assert code == 2
    assert "step 2 of sequence 2 has the label 'stops', expected one of 'rests', 'runs'" in err


def test_a_label_that_is_none_is_located(shell: Shell, machines: Path) -> None:
    """The sequence and the step are named, whatever stands in the cell."""
    lines = [{"x": [0, 0, 1], "y": ["a", "b", "a"]}, {"x": [0, 1, 1], "y": ["a", {"b": 1}, "b"]}]
    (machines / "nested.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    code, _, err = shell("train nested.jsonl --features x --label y --label-per-step -o n.safetensors")
    assert code == 2
    assert "step 2 of row 2 of label column 'y' holds {'b': 1}" in err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train machines.csv --key who --features a,b --label state", "expected one label for each sequence"),
        ("train machines.csv --key who --features a --label state,b --label-per-step", "expected one for --label-per"),
        ("train machines.csv --key who --features a --label b --label-per-step", "numbers with a fraction"),
        ("train gaps.csv --label-per-step", "'x' of column 'key' has no label in column 'label' at step 2"),
        ("train short.jsonl --features x --label y --label-per-step", "row 2 has 1 labels in column 'y', expected"),
        ("train one.jsonl --features x --label y --label-per-step", "row 1 has the label 'a' in column 'y', expected"),
        ("train copies.csv --label-per-step", "feature 'code' tells the label: at each step, each label has a number"),
        (
            "train machines.csv --label-per-step --task regression",
            "gives each step one class, but --task is regression",
        ),
        (
            "train machines.csv --label-per-step --multi-label /",
            "gives each step one class, but --multi-label is given",
        ),
        ("train train.csv --label-per-step", "--label-per-step is about sequences of numbers"),
        (f"train machines.csv {COLUMNS} --label-per-step --bidirectional", "reads forward"),
    ],
)
def test_labels_that_cannot_be_meant(shell: Shell, machines: Path, command: str, message: str) -> None:
    """Labels that are not one for each step are one line that says so, before anything is trained."""
    (machines / "gaps.csv").write_text("key,v,label\nx,1,a\nx,2,\ny,1,b\ny,2,a\n", "utf-8")
    copies = "".join(f"{k // 8},{k},{k % 3},{'abc'[k % 3]}\n" for k in range(24))
    (machines / "copies.csv").write_text("key,v,code,label\n" + copies, "utf-8")
    (machines / "short.jsonl").write_text('{"x": [1, 2], "y": ["a", "b"]}\n{"x": [1, 2], "y": ["a"]}\n', "utf-8")
    (machines / "one.jsonl").write_text('{"x": [1, 2], "y": "a"}\n{"x": [1, 2], "y": "b"}\n', "utf-8")
    code, _, err = shell(f"{command} {TO}")
    assert code == 2
    assert message in err
    assert "Traceback" not in err
