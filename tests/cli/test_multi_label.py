"""Several labels a row, from training to prediction: texts and sequences, separators, lists and fastText's marks."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate

Shell = Callable[..., tuple[int, str, str]]
WORDS = {"fun": "clown", "love": "kiss", "war": "tank"}
QUICK = "--embedding-size 8 --epochs 8 --batch-size 16 --learning-rate 0.1 --cell average --no-baselines"


def films(count: int, seed: int) -> list[tuple[str, list[str]]]:
    """Texts with a word for each of their labels among others."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        labels = [label for label in WORDS if rng.random() < 0.4]
        found.append((" ".join(rng.permutation(["a", "film", *map(WORDS.__getitem__, labels)])), labels))
    return found


def write(path: Path, rows: list[tuple[Any, list[str]]]) -> None:
    """Writes rows as the suffix says: labels between separators, as lists, or as fastText's marks."""
    texts = {
        ".csv": lambda text, labels: f"{text},{'|'.join(labels)}",
        ".jsonl": lambda text, labels: json.dumps({"text": text, "label": labels}),
        ".txt": lambda text, labels: " ".join([*(f"__label__{label}" for label in labels), text]),
    }
    lines = [texts[path.suffix](*row) for row in rows]
    path.write_text("\n".join(["text,label"] * (path.suffix == ".csv") + lines), encoding="utf-8")


@pytest.fixture(scope="module")
def genres(folder: Path) -> Path:
    """Films in three kinds of tables, and a model trained on labels between separators."""
    from tidegate.cli import main

    for kind in ("csv", "jsonl", "txt"):
        write(folder / f"films.{kind}", films(300, 0))
    write(folder / "full.csv", [film for film in films(100, 2) if film[1]])
    write(folder / "later.csv", films(40, 1))
    arguments = f"train {folder}/films.csv -o {folder}/genres.safetensors --multi-label | {QUICK}".split()
    assert main(arguments) == 0
    return folder / "genres.safetensors"


@pytest.mark.parametrize("kind", ["jsonl", "txt"])
def test_lists_and_marks_train_the_same_model(shell: Shell, folder: Path, genres: Path, kind: str) -> None:
    """Lists of labels and fastText's marks need no separator, and give the same weights as cells with one."""
    code, out, err = shell(f"train films.{kind} -o other.safetensors --task multi-label {QUICK}")
    assert code == 0, err
    assert "a row on average" in out
    code, _, err = shell("evaluate other.safetensors later.csv --multi-label |")
    assert code == 0, err
    first, second = tidegate.load(genres), tidegate.load(folder / "other.safetensors")
    assert (first.config.separator, second.config.separator) == ("|", None)
    assert all(np.array_equal(first.arrays[name], second.arrays[name]) for name in first.arrays)


def test_a_model_is_judged_and_described(shell: Shell, genres: Path) -> None:
    """`evaluate` prints F1 of all labels and of each, with its best threshold; `info` names the task."""
    code, out, err = shell("evaluate genres.safetensors later.csv")
    assert (code, err) == (0, "")
    assert all(word in out for word in ("micro F1", "macro F1", "subset accuracy", "best threshold", *WORDS))
    code, out, _ = shell("evaluate genres.safetensors later.csv --json --class war --threshold 0.5")
    found = json.loads(out)
    assert found["micro_f1"] > 0.95
    assert found["points"][0]["recall"] == found["per_label"]["war"]["recall"]
    assert "multi-label" in shell("info genres.safetensors")[1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", ["love|war", "", "fun"]),
        ("--top-k 1", ["love", None, "fun"]),
        ("--threshold 0.5 --threshold love=0", ["love|war", "love", "fun|love"]),
        ("--threshold 0", ["fun|love|war"] * 3),
        ("--threshold 0.5 --top-k 1", [None, "", "fun"]),
    ],
)
def test_labels_are_predicted(shell: Shell, genres: Path, folder: Path, options: str, expected: list[Any]) -> None:
    """The labels that reach their threshold, and no more than wanted, stand as in training before p_LABEL."""
    (folder / "new.csv").write_text("text\na tank kiss\na film\nclown", encoding="utf-8")
    code, out, err = shell(f"predict genres.safetensors new.csv {options}")
    assert code == 0, err
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == ["text", "prediction", "p_fun", "p_love", "p_war"]
    for row, labels in zip(rows, expected, strict=True):
        if labels is None:
            assert row["prediction"] in WORDS
        elif options != "--top-k 1" or labels != "love":
            assert row["prediction"] == labels
    model = tidegate.load(genres)
    assert model.predict(["a tank kiss", "a film"]).tolist() == [("love", "war"), ()]


def test_sequences_have_several_labels(shell: Shell, folder: Path) -> None:
    """Sequences of numbers are trained on in the same way; lists of labels come out as lists, and go in again."""
    rng = np.random.default_rng(0)
    with (folder / "moves.jsonl").open("w", encoding="utf-8") as file:
        for _ in range(120):
            x = rng.normal(size=(6, 2)) + rng.choice([-1, 1], 2)
            labels = [name for k, name in enumerate(("right", "up")) if x[:, k].mean() > 0]
            file.write(json.dumps({"track": x.tolist(), "label": labels}) + "\n")
    code, _, err = shell(
        f"train moves.jsonl -o moves.safetensors --task multi-label {QUICK.replace('--embedding-size 8', '')}"
    )
    assert code == 0, err
    code, out, _ = shell("evaluate moves.safetensors moves.jsonl --json")
    assert json.loads(out)["subset_accuracy"] > 0.9
    code, out, _ = shell("predict moves.safetensors moves.jsonl --to jsonl")
    found = [json.loads(line) for line in out.splitlines()]
    assert sum(row["prediction"] == row["label"] for row in found) > 100


def test_each_label_of_sequences_may_have_a_column(shell: Shell, folder: Path) -> None:
    """Columns of 1 and 0, or true and false, are labels of the sequences of a long table; evaluate finds them again."""
    rng, lines = np.random.default_rng(0), ["session,x,y,right,up\n"]
    for b in range(120):
        right, up = rng.random(2) < 0.5
        x = rng.normal(size=(6, 2)) + 2 * np.array([right, up]) - 1
        lines += [f"s{b},{x:.4f},{y:.4f},{int(right)},{up}\n" for x, y in x.tolist()]
    (folder / "columns.csv").write_text("".join(lines), "utf-8")
    asked = "--features x,y --label right --label up --task multi-label"
    code, out, err = shell(
        f"train columns.csv {asked} -o columns.safetensors {QUICK.replace('--embedding-size 8', '')}"
    )
    assert code == 0, err
    assert "labels: columns 'right', 'up'" in out.replace("\n", " ")
    code, out, err = shell("evaluate columns.safetensors columns.csv --json")
    assert code == 0, err
    assert json.loads(out)["subset_accuracy"] > 0.8
    assert set(json.loads(out)["per_label"]) == {"right", "up"}
    (folder / "wrong.csv").write_text("session,x,y,right,up\na,1,1,2,0\na,1,1,2,0\nb,1,1,1,1\nb,1,2,1,1\n", "utf-8")
    code, _, err = shell(f"train wrong.csv {asked} -o columns.safetensors")
    assert (code, err.count("\n")) == (2, 1)
    assert "row 1 of label column 'right' holds '2', expected 1 or 0" in err
    code, _, err = shell("evaluate columns.safetensors columns.csv --label right")
    assert (code, err.count("\n")) == (2, 1)
    assert "--label names no column 'up', expected one for each label of the model" in err
    (folder / "never.csv").write_text("session,x,y,right,up\na,1,1,0,1\na,1,1,0,1\nb,1,1,0,0\nb,1,2,0,0\n", "utf-8")
    code, _, err = shell(f"train never.csv {asked} -o columns.safetensors")
    assert (code, err.count("\n")) == (2, 1)
    assert "no row has a 1 in label column 'right', expected some from which the label is learned" in err
    code, out, err = shell("evaluate columns.safetensors never.csv --json")
    assert code == 0, err
    assert json.loads(out)["per_label"]["right"]["support"] == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train full.csv -o w.safetensors", "--multi-label '|' predicts any number"),
        ("train films.csv -o w.safetensors", "--multi-label '|' reads"),
        ("train films.csv -o w.safetensors --multi-label ;", "does ';' stand between them?"),
        ("train films.csv -o w.safetensors --multi-label ''", "--multi-label is empty"),
        ("train films.csv -o w.safetensors --multi-label | --task regression", "but --task is regression"),
        ("train films.csv -o w.safetensors --multi-label | --parts ngrams", "classes that exclude each other"),
        ("train films.csv -o w.safetensors --multi-label | --class-weights balanced", "'multi-label'"),
        ("train films.jsonl -o w.safetensors", "--task multi-label trains with several labels"),
        ("predict genres.safetensors later.csv --threshold wra=0.5", "names the label 'wra', expected one of"),
        ("predict genres.safetensors later.csv --threshold 1.5", "expected a probability"),
        ("predict model.safetensors test.csv --top-k 1", "the model is one for classification"),
        ("evaluate genres.safetensors later.csv --threshold 0.5", "--class"),
        ("evaluate genres.safetensors later.csv --picture p.png", "the model predicts several"),
        ("evaluate genres.safetensors test.csv", "has the label"),
        ("evaluate model.safetensors test.csv --multi-label |", "the model is one for classification"),
        ("explain genres.safetensors 'a tank'", "this is a network for multi-label, expected one whose"),
    ],
)
def test_what_cannot_be_meant_is_refused(shell: Shell, genres: Path, command: str, message: str) -> None:
    """Options of the other tasks, unknown labels and labels that are none are one error that says what to do."""
    code, _, err = shell(command)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
