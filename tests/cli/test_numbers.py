"""The commands beside `train` on models of sequences of numbers: predict, evaluate, embed, explain, info, compress."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import tidegate
from tidegate.cli import main
from tidegate.models.metrics.reports import score_numbers

Shell = Callable[..., tuple[int, str, str]]
Array = np.ndarray[Any, Any]


def tracks(count: int, seed: int) -> list[tuple[Array, str, float]]:
    """Sequences [T, 2] that rise or fall, with the name of the direction and the last height."""
    rng = np.random.default_rng(seed)
    found = []
    for b in range(count):
        x = np.stack([rng.normal((1, -1)[b % 2], 1, n := rng.integers(4, 9)).cumsum(), rng.normal(20, 3, n)], axis=1)
        found.append((x.round(6), ("up", "down")[b % 2], round(float(x[-1, 0]), 4)))
    return found


def write(folder: Path, name: str, data: list[tuple[Array, str, float]]) -> None:
    """Writes tracks as a long CSV file, shuffled, and as lists in JSON Lines and Parquet."""
    rows = [(f"s{b}", t, *x[t], label, end) for b, (x, label, end) in enumerate(data) for t in range(len(x))]
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["session", "ts", "height", "heat", "label", "end"])
        table.writerows(rows[i] for i in np.random.default_rng(0).permutation(len(rows)))
    lists = [
        {"track": x.tolist(), "label": label, "end": end, "place": "ab"[b % 3 == 0]}
        for b, (x, label, end) in enumerate(data)
    ]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lists), encoding="utf-8")
    parquet.write_table(pa.Table.from_pylist(lists), folder / f"{name}.parquet")


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """A folder with tracks, a classifier of long tables, and a classifier and a regression of lists."""
    write(folder, "walks", tracks(80, 0))
    write(folder, "fresh", tracks(30, 1))
    how = ["--hidden-size", "8", "--epochs", "20", "--learning-rate", "0.03", "--no-baselines"]
    for name, file, label in (
        ("long", "walks.csv", "label"),
        ("lists", "walks.jsonl", "label"),
        ("ends", "walks.jsonl", "end"),
    ):
        asked = ["--label", label, *(["--features", "height,heat"] if name == "long" else [])]
        assert main(["train", str(folder / file), "-o", str(folder / f"{name}.safetensors"), *how, *asked]) == 0
    return folder


def rows_of(text: str) -> list[dict[str, str]]:
    """Reads the rows of a CSV text."""
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_for_each_sequence_of_a_long_table(shell: Shell, trained: Path) -> None:
    """Each key gets its prediction, in the order of first rows; other columns and labels are not needed."""
    lines = (trained / "fresh.csv").read_text(encoding="utf-8").splitlines()
    (trained / "unlabelled.csv").write_text("\n".join(line.rsplit(",", 2)[0] for line in lines), encoding="utf-8")
    code, out, err = shell("predict long.safetensors unlabelled.csv")
    assert (code, err) == (0, "")
    rows = rows_of(out)
    assert list(rows[0]) == ["session", "prediction", "p_down", "p_up"]
    assert [row["session"] for row in rows] == list(dict.fromkeys(line.split(",")[0] for line in lines[1:]))
    model, data = tidegate.load(trained / "long.safetensors"), tracks(30, 1)
    expected = model.predict_proba([data[int(row["session"][1:])][0] for row in rows])
    np.testing.assert_allclose([[float(row["p_down"]), float(row["p_up"])] for row in rows], expected, atol=1e-6)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("to", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_kind_in_and_out(shell: Shell, trained: Path, suffix: str, to: str) -> None:
    """All columns go to every kind of output, but the lists that were read to Parquet alone, which keeps its types."""
    assert shell(f"predict lists.safetensors fresh{suffix} -o out{to}")[0] == 0
    names = ["label", "end", "place", "prediction", "p_down", "p_up"]
    expected = tidegate.load(trained / "lists.safetensors").predict([x for x, *_ in tracks(30, 1)]).tolist()
    if to == ".parquet":
        found = parquet.read_table(trained / "out.parquet")
        assert found.column_names == ["track", *names]
        assert found["prediction"].to_pylist() == expected
        assert found["track"].to_pylist() == [x.tolist() for x, *_ in tracks(30, 1)]
    elif to == ".jsonl":
        rows = [json.loads(line) for line in (trained / "out.jsonl").read_text(encoding="utf-8").splitlines()]
        assert list(rows[0]) == names
        assert [row["prediction"] for row in rows] == expected
    else:
        text = (trained / f"out{to}").read_text(encoding="utf-8")
        listed = list(csv.DictReader(io.StringIO(text), delimiter="\t" if to == ".tsv" else ","))
        assert [row["prediction"] for row in listed] == expected
        assert list(listed[0]) == names


def test_numbers_come_from_a_pipe(shell: Shell, trained: Path) -> None:
    """Standard input is read as a file is, lists and long tables."""
    for model, file, kind in (("lists", "fresh.jsonl", "jsonl"), ("long", "fresh.csv", "csv")):
        text = (trained / file).read_text(encoding="utf-8")
        code, out, _ = shell(f"predict {model}.safetensors - --from {kind} --to jsonl", stdin=text)
        assert code == 0
        assert out == shell(f"predict {model}.safetensors {file} --to jsonl")[1]
        assert out.count("\n") == 30


def test_tables_in_several_files(shell: Shell, trained: Path) -> None:
    """predict, embed and evaluate give for a folder or a pattern what they give for the table that it was cut of."""
    for suffix, begin in (("csv", 1), ("jsonl", 0)):
        (trained / suffix).mkdir(exist_ok=True)
        head, rows = (
            (lines := (trained / f"fresh.{suffix}").read_text(encoding="utf-8").splitlines())[:begin],
            lines[begin:],
        )
        for n, part in enumerate((rows[:7], rows[7:])):
            (trained / suffix / f"{n}.{suffix}").write_text("\n".join(head + part) + "\n", encoding="utf-8")
    for model, file, cut in (
        ("long", "fresh.csv", "csv"),
        ("lists", "fresh.jsonl", "'jsonl/*'"),
        ("ends", "fresh.jsonl", "jsonl"),
    ):
        for command in ("predict {} {} --to jsonl", "evaluate {} {} --json", "embed {} {} -o v.npy --overwrite"):
            done = [
                (
                    shell(command.format(f"{model}.safetensors", source))[:2],
                    (trained / "v.npy").exists() and (trained / "v.npy").read_bytes(),
                )
                for source in (file, cut)
            ]
            assert done[0] == done[1]
            assert done[0][0][0] == 0


def test_sequences_without_a_step_are_answered(shell: Shell, trained: Path) -> None:
    """A part of empty sequences only, as of one line by a pipe, is no mistake, for a model that knows gaps either."""
    rows = [json.loads(line) for line in (trained / "walks.jsonl").read_text(encoding="utf-8").splitlines()]
    rows[0]["track"][1][1] = None
    (trained / "holes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    how = "--hidden-size 4 --epochs 1 --no-baselines --label label"
    assert shell(f"train holes.jsonl -o holes.safetensors {how}")[0] == 0
    for model in ("holes", "lists"):
        code, out, err = shell(
            f"predict {model}.safetensors - --from jsonl --to jsonl", stdin='{"id": 1, "track": []}\n'
        )
        assert code == 0, err
        assert json.loads(out)["prediction"] in {"up", "down"}


def test_a_regression_predicts_numbers(shell: Shell, trained: Path) -> None:
    """Numbers are predicted in their own units, and judged by R², RMSE and MAE, in parts of the rows too."""
    code, out, _ = shell("predict ends.safetensors fresh.jsonl")
    assert code == 0
    rows, data = rows_of(out), tracks(30, 1)
    model = tidegate.load(trained / "ends.safetensors")
    assert list(rows[0])[-1] == "prediction"
    found = [float(row["prediction"]) for row in rows]
    np.testing.assert_allclose(found, model.predict([x for x, *_ in data]), rtol=1e-5)
    report = json.loads(shell("evaluate ends.safetensors fresh.jsonl --json --by place")[1])
    expected = score_numbers(np.array([[end] for *_, end in data]), np.array(found)[:, None], ["end"])
    assert report["r2"] == pytest.approx(expected.r2, abs=1e-4)
    assert report["mae"] == pytest.approx(expected.mae, abs=1e-4)
    assert report["n"] == 30
    assert {name: part["n"] for name, part in report["by"]["place"].items()} == {"a": 20, "b": 10}
    shown = shell("evaluate ends.safetensors fresh.parquet --by place")[1]
    assert re.search(r"^sequences +30 *$", shown, re.MULTILINE)
    assert re.search(rf"^R² +{report['r2']:.4f} *$", shown, re.MULTILINE)
    assert re.search(r"^ place +R² +RMSE +MAE +sequences *$", shown, re.MULTILINE)


def test_classes_are_judged(shell: Shell, trained: Path) -> None:
    """Accuracy is that of the model, for a long table and for lists; the table speaks of sequences."""
    data = tracks(30, 1)
    for name, file in (("long", "fresh.csv"), ("lists", "fresh.parquet")):
        model = tidegate.load(trained / f"{name}.safetensors")
        right = (model.predict([x for x, *_ in data]) == [label for _, label, _ in data]).mean()
        assert json.loads(shell(f"evaluate {name}.safetensors {file} --json")[1])["accuracy"] == pytest.approx(right)
        assert right > 0.8
    shown = shell("evaluate lists.safetensors fresh.parquet --threshold 0.5")[1]
    assert "sequences taken for 'up'" in shown
    assert "texts" not in shown


def test_vectors_are_those_of_the_model(shell: Shell, trained: Path) -> None:
    """Each sequence gets its summary vector, in an array or beside its columns."""
    expected = tidegate.load(trained / "lists.safetensors").encode([x for x, *_ in tracks(30, 1)])
    assert shell("embed lists.safetensors fresh.jsonl -o vectors.npy")[0] == 0
    assert (np.load(trained / "vectors.npy") == expected).all()
    assert shell("embed lists.safetensors fresh.parquet -o vectors.parquet")[0] == 0
    found = parquet.read_table(trained / "vectors.parquet")
    assert (np.array(found["vector"].to_pylist(), np.float32) == expected).all()
    assert found.column_names == ["track", "label", "end", "place", "vector"]
    assert shell("embed long.safetensors fresh.csv -o keys.parquet")[0] == 0
    assert parquet.read_table(trained / "keys.parquet").column_names == ["session", "vector"]


def test_columns_may_have_other_names(shell: Shell, trained: Path) -> None:
    """Options name the columns of a file that calls them otherwise."""
    text = (trained / "fresh.csv").read_text(encoding="utf-8")
    (trained / "other.csv").write_text(text.replace("session,ts,height,heat", "who,when,z,t", 1), encoding="utf-8")
    code, _, err = shell("predict long.safetensors other.csv")
    assert code == 2
    assert "there is no column 'height'" in err
    code, out, _ = shell("predict long.safetensors other.csv --key who --time when --features z,t")
    assert code == 0
    assert out.partition("\n")[2] == shell("predict long.safetensors fresh.csv")[1].partition("\n")[2]


def test_steps_and_features_are_explained(shell: Shell, trained: Path) -> None:
    """The record has the ledger and what each number counts; both add up to the answer."""
    record = json.loads(shell("explain lists.safetensors --file fresh.jsonl --row 3 --json")[1])
    model: Any = tidegate.load(trained / "lists.safetensors")
    x = tracks(30, 1)[2][0]
    expected = model.explain(x)
    np.testing.assert_allclose(record["contributions"], expected.contributions)
    assert record["features"] == ["track[0]", "track[1]"]
    assert record["values"] == x.tolist()
    median = np.broadcast_to(model.features.center, x.shape)
    logits, nothing = model.scores([x, median])
    counts = np.array(record["by_feature"])
    assert counts.shape == x.shape
    assert counts.sum() == pytest.approx((logits[1] - logits[0]) - (nothing[1] - nothing[0]), abs=1e-4)
    shown = shell("explain lists.safetensors --file fresh.jsonl --row 3")[1]
    assert re.search(r"^step +after +memory +kept +counts$", shown, re.MULTILINE)
    assert re.search(r"^ track\[0\] +[+−]\d", shown, re.MULTILINE)
    assert "words" not in shown
    assert shell("explain long.safetensors --file fresh.csv --row 1 --html series.html")[0] == 0
    assert "<span" in (trained / "series.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", ["lists", "ends"])
@pytest.mark.parametrize("method", ["ledger", "integrated-gradients", "occlusion"])
def test_every_method_explains(shell: Shell, trained: Path, model: str, method: str) -> None:
    """Each method has a line for each step, for classes and for numbers."""
    code, out, _ = shell(f"explain {model}.safetensors --file fresh.jsonl --row 1 --method {method}")
    assert code == 0
    steps = [line for line in out.splitlines() if re.match(r"\d+ +-?[\d.]+", line)]
    assert len(steps) == len(tracks(30, 1)[0][0])


def test_a_number_is_explained_in_its_units(shell: Shell, trained: Path) -> None:
    """The steps of a regression add up to the number, and the picture is drawn; there is no page of probabilities."""
    record = json.loads(shell("explain ends.safetensors --file fresh.jsonl --row 2 --json")[1])
    number = tidegate.load(trained / "ends.safetensors").predict([tracks(30, 1)[1][0]])[0]
    assert record["bias"][0] + np.sum(record["contributions"]) == pytest.approx(number, rel=1e-4)
    assert record["after"][-1][0] == pytest.approx(number, rel=1e-4)
    assert record["probability_after"] is None
    assert "the number 'end'" in shell("explain ends.safetensors --file fresh.jsonl --row 2")[1]
    assert "--png draws them" in shell("explain ends.safetensors --file fresh.jsonl --row 2 --html e.html")[2]
    pytest.importorskip("matplotlib")
    assert shell("explain ends.safetensors --file fresh.jsonl --row 2 --png e.png")[0] == 0
    assert (trained / "e.png").read_bytes().startswith(b"\x89PNG")


def test_gaps_belong_to_their_feature(shell: Shell, trained: Path) -> None:
    """What is said of the gaps of a feature counts for it, and its values are null where they are missing."""
    rows = [json.loads(line) for line in (trained / "walks.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows[::2]:
        row["track"][1][1] = None
    (trained / "gaps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    how = "--hidden-size 4 --epochs 1 --no-baselines --label label"
    assert shell(f"train gaps.jsonl -o gaps.safetensors {how}")[0] == 0
    record = json.loads(shell("explain gaps.safetensors --file gaps.jsonl --row 1 --json")[1])
    assert record["values"][1][1] is None
    assert np.shape(record["by_feature"]) == np.shape(record["values"])
    assert "1 of which may be missing" in shell("info gaps.safetensors")[1].replace("\n", " ")


def test_info_names_the_columns(shell: Shell, trained: Path) -> None:
    """Features and the columns that are looked for are listed, and the numbers of a regression."""
    out = shell("info long.safetensors")[1]
    assert re.search(r"^input +2 features per step: 'height', 'heat' *$", out, re.MULTILINE)
    assert re.search(r"^columns +key 'session', time 'ts', labels 'label' *$", out, re.MULTILINE)
    assert re.search(r"^numbers +end *$", shell("info ends.safetensors")[1], re.MULTILINE)


def test_smaller_weights_are_checked(shell: Shell, trained: Path) -> None:
    """Compress compares accuracy or R² on sequences before and after, and the smaller model predicts."""
    code, out, _ = shell("compress long.safetensors -o small.safetensors --to bfloat16 --check fresh.csv --tolerance 9")
    assert code == 0
    assert re.search(r"^ accuracy +[01]\.\d{4} +[01]\.\d{4} +[+-]\d\.\d\d points *$", out, re.MULTILINE)
    assert shell("predict small.safetensors fresh.csv")[0] == 0
    out = shell("compress ends.safetensors -o few.safetensors --check fresh.jsonl --tolerance 9")[1]
    assert re.search(r"^ R² +", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "predict long.safetensors fresh.csv --text height",
            "--text height names a column of texts, but the model reads",
        ),
        (
            "predict model.safetensors test.csv --key label",
            "--key is about sequences of numbers, but the model reads texts",
        ),
        ("predict long.safetensors test.csv", "there is no column 'height'"),
        ("predict model.safetensors fresh.csv", "cannot tell which column holds the texts"),
        (
            "predict long.safetensors --words text",
            "it holds a model that reads sequences of numbers, expected a model that",
        ),
        ("units long.safetensors fresh.csv --text label", "--text label names a column of texts, but the model reads"),
        (
            "units model.safetensors test.csv --features label",
            "--features is about sequences of numbers, but the model",
        ),
        ('explain long.safetensors "a text"', "the model reads sequences of numbers: give a table of them with --file"),
        ("explain long.safetensors --file fresh.csv", "has 30 sequences: no --row is given, expected 1..30"),
        ("explain long.safetensors --file fresh.csv --row 31", "row is 31, expected 1..30"),
        ("explain lists.safetensors --file fresh.jsonl --row 1 --class sideways", "the class is 'sideways'"),
        ("evaluate ends.safetensors fresh.jsonl --threshold 0.5", "--threshold is about the probability of classes"),
        (
            "evaluate ends.safetensors fresh.jsonl --label label",
            "row 1 of column 'label' holds 'up', expected a number",
        ),
        (
            "evaluate lists.safetensors fresh.jsonl --label place",
            "row 1 has the label 'b', expected one of 'down', 'up'",
        ),
        ("evaluate long.safetensors fresh.csv --by place", "there is no column 'place' to score by"),
    ],
)
def test_mistakes_are_one_line(shell: Shell, trained: Path, command: str, message: str) -> None:
    """What does not fit the model is one line that says so."""
    code, out, err = shell(command)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([[1, None], [2, 3]], "row 2: 'track[1]' is missing, as it never was in training, at step 1"),
        ([[1, 2], [2, float("inf")]], "row 2: 'track[1]' is inf at step 2"),
        ([[1, 2, 3]], "row 2 of column 'track' has steps of 3 numbers, expected 2"),
    ],
)
def test_what_was_not_learned_is_named(shell: Shell, trained: Path, steps: list[Any], message: str) -> None:
    """A gap, an infinite number and other features are errors with row, step and feature."""
    rows = [{"track": [[1, 2]]}, {"track": steps}]
    (trained / "wrong.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code, _, err = shell("predict lists.safetensors wrong.jsonl")
    assert code == 2
    assert message in err


def test_quantiles_are_predicted(shell: Shell, trained: Path) -> None:
    """`--quantiles` trains a regression whose answers are columns of their levels, judged beside constant ones."""
    command = "train walks.csv --key session --features height,heat --label end -o q.safetensors"
    quick = "--hidden-size 4 --epochs 2 --batch-size 16"
    code, out, err = shell(f"{command} --quantiles 0.1,0.9 {quick}")
    assert code == 0, err
    assert "constant quantiles" in out
    code, out, _ = shell("evaluate q.safetensors fresh.csv --json")
    found = json.loads(out)
    assert set(found) >= {"r1", "pinball", "coverage", "below"}
    assert "coverage" in shell("evaluate q.safetensors fresh.csv")[1]
    code, out, _ = shell("predict q.safetensors fresh.csv")
    for row in csv.DictReader(io.StringIO(out)):
        assert float(row["prediction_end 0.1"]) <= float(row["prediction_end 0.9"])
    for options, message in (
        ("--quantiles 0.9,0.1", "expected ascending levels between 0 and 1"),
        ("--quantiles a", "expected ascending levels between 0 and 1, such as 0.1,0.5,0.9"),
        ("--quantiles 0.5 --task next", "--quantiles are those of a regression"),
    ):
        code, _, err = shell(f"{command} {quick} {options}")
        assert (code, message in err) == (2, True), err
