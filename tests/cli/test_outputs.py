"""Outputs of the commands: no input, no file of another kind and no device is ever replaced."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.data import tables

pytest.importorskip("typer")
pytest.importorskip("torch")

Shell = Callable[..., tuple[int, str, str]]
PYTHON = [sys.executable, "-m", "tidegate"]
SHORT = "--embedding-size 4 --hidden-size 4 --epochs 1 --no-baselines --parts network"

AN_INPUT = [
    "train train.csv -o train.csv",
    "train train.csv -o ./train.csv",
    "train train.csv -o {here}/train.csv",
    "train {here}/train.csv -o train.csv",
    "train train.csv -o folder/../train.csv",
    "train train.csv -o link.csv",
    "train link.csv -o train.csv",
    "train link.csv -o link.csv",
    "train train.csv -o hard.safetensors",
    "train train.csv -o soft.safetensors",
    "train train.csv -o folder/far.safetensors",
    "train train.csv -o train.csv --overwrite",
    "train train.csv -o hard.safetensors --overwrite",
    "train train.csv -o /dev/fd/{open}",
    "train train.csv -o /proc/self/fd/{open}",
    "train train.csv -o /proc/{pid}/fd/{open}",
    "train train.csv --validation held.csv -o held.csv",
    "train train.csv --validation held.csv -o held.csv --overwrite",
    "train train.csv --vectors v.npz -o v.npz",
    "train train.csv --vectors foreign.safetensors -o foreign.safetensors",
    "train train.csv --vectors foreign.safetensors -o foreign.safetensors --overwrite",
    "predict model.safetensors train.csv -o train.csv",
    "predict model.safetensors train.csv -o train.csv --overwrite",
    "predict model.safetensors train.csv -o link.csv",
    "predict model.safetensors link.csv -o train.csv",
    "predict model.safetensors train.csv -o hard.csv",
    "predict model.safetensors train.csv -o /dev/fd/{open}",
    "predict model.safetensors train.csv -o model.safetensors",
    "predict model.safetensors train.csv -o linked-model.csv",
    "predict model.safetensors table.parquet -o table.parquet",
    "embed model.safetensors table.parquet -o table.parquet",
    "embed model.safetensors train.csv -o train.csv",
    "embed model.safetensors train.csv -o model.safetensors",
    "embed model.safetensors train.csv -o hard.npy",
    "explain model.safetensors --file page.html --html page.html",
    "explain model.safetensors --file train.csv --row 1 --html hard.html",
    "explain model.safetensors --file train.csv --row 1 --png hard.png",
    "explain model.safetensors good --html model.safetensors",
    "units model.safetensors train.csv --png hard.png",
    "units model.safetensors train.csv --png model.safetensors",
]

ANOTHER_KIND = [
    "train train.csv -o notes.safetensors",
    "train train.csv -o foreign.safetensors",
    "train train.csv -o cut.safetensors",
    "train train.csv -o latest.safetensors",
    "predict model.safetensors train.csv -o picture.csv",
    "predict model.safetensors train.csv -o model.csv",
    "predict model.safetensors train.csv -o page.csv",
    "predict model.safetensors train.csv -o table.csv.gz",
    "predict model.safetensors train.csv -o notes.jsonl",
    "predict model.safetensors train.csv -o notes.parquet",
    "embed model.safetensors train.csv -o notes.npy",
    "embed model.safetensors train.csv -o notes.parquet",
    "explain model.safetensors good --html notes.html",
    "explain model.safetensors good --png notes.png",
    "units model.safetensors train.csv --png notes.png",
    "study vanishing --quick -o site",
]

ANOTHER_SUFFIX = [
    ("train train.csv -o new.csv", ".safetensors"),
    ("train train.csv -o held.csv", ".safetensors"),
    ("train train.csv -o new", ".safetensors"),
    ("train train.csv -o new.pt", ".safetensors"),
    ("train train.csv -o new.safetensors.gz", ".safetensors"),
    (
        "predict model.safetensors train.csv -o new.safetensors",
        ".csv, .tsv, .tab, .jsonl, .ndjson, .json, .parquet or .pq",
    ),
    ("predict model.safetensors train.csv -o new", ".csv, .tsv, "),
    ("predict model.safetensors train.csv -o new.txt", ".csv, .tsv, "),
    ("predict model.safetensors train.csv -o new.parquet.gz", ".csv, .tsv, "),
    ("embed model.safetensors train.csv -o new.csv", ".npy, .parquet or .pq"),
    ("embed model.safetensors train.csv -o new", ".npy, .parquet or .pq"),
    ("explain model.safetensors good --html new.jpg", ".html or .htm"),
    ("explain model.safetensors good --png new.jpg", ".png"),
    ("units model.safetensors train.csv --png new.svg", ".png"),
]

NO_PLACE = [
    ("train train.csv -o folder", "folder is a folder, expected the name of a file"),
    ("predict model.safetensors train.csv -o folder", "folder is a folder"),
    ("embed model.safetensors train.csv -o .", "is a folder"),
    ("explain model.safetensors good --html folder", "folder is a folder"),
    ("train train.csv -o nowhere/new.safetensors", "there is no folder nowhere to write new.safetensors to"),
    ("train train.csv -o train.csv/new.safetensors", "train.csv"),
    ("train train.csv -o locked.safetensors", "locked.safetensors is write-protected"),
    ("train train.csv -o locked.safetensors --overwrite", "locked.safetensors is write-protected"),
    ("predict model.safetensors train.csv -o shut/new.csv", "the folder shut cannot be written to"),
    ("train train.csv -o shut/new.safetensors", "the folder shut cannot be written to"),
    ("train train.csv -o circle.safetensors", "circle.safetensors"),
    ("train train.csv -o {long}.safetensors", "File name too long"),
    ("train train.csv -o /dev/fd/987", "/dev/fd/987: Bad file descriptor"),
    ("predict model.safetensors train.csv -o /dev/fd/{read}", "cannot be written to"),
    ("study vanishing --quick -o held.csv", "held.csv is a file, expected a folder"),
]


@pytest.fixture
def place(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A folder with inputs, links to them and files of all kinds; what the names in the commands stand for."""
    from safetensors.numpy import save_file

    for name in ("train.csv", "model.safetensors"):
        shutil.copy(folder / name, tmp_path)
    shutil.copy(folder / "test.csv", tmp_path / "held.csv")
    monkeypatch.chdir(tmp_path)
    for path in ("folder", "shut", "site"):
        Path(path).mkdir()
    tables.write("table.parquet", tables.read("held.csv").columns)
    np.savez("v.npz", words=np.array(["good"]), vectors=np.ones((1, 4), np.float32))
    save_file({"x": np.ones(3, np.float32)}, "foreign.safetensors")
    Path("cut.safetensors").write_bytes(Path("model.safetensors").read_bytes()[:-9])
    Path("page.html").write_text("<!DOCTYPE html><p>a good film", "utf-8")
    Path("picture.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    shutil.copy("model.safetensors", "model.csv")
    shutil.copy("page.html", "page.csv")
    for name in (
        "notes.safetensors",
        "notes.parquet",
        "notes.npy",
        "notes.html",
        "notes.png",
        "notes.jsonl",
        "table.csv.gz",
    ):
        Path(name).write_text("dear,diary\n1,2\n", "utf-8")
    Path("site/index.md").write_text("# My site\n", "utf-8")
    for name in ("hard.safetensors", "hard.csv", "hard.npy", "hard.html", "hard.png"):
        os.link("train.csv", name)
    for link, target in (
        ("link.csv", "train.csv"),
        ("soft.safetensors", "train.csv"),
        ("folder/far.safetensors", "../link.csv"),
        ("linked-model.csv", "model.safetensors"),
        ("latest.safetensors", "held.csv"),
        ("circle.safetensors", "circle.safetensors"),
    ):
        Path(link).symlink_to(target)
    Path("locked.safetensors").write_bytes(Path("model.safetensors").read_bytes())
    Path("locked.safetensors").chmod(0o444)
    Path("shut").chmod(0o555)
    with open("train.csv", "r+b") as writable, open("held.csv", "rb") as readable:
        numbers = {"open": writable.fileno(), "read": readable.fileno()}
        yield {"here": tmp_path, "pid": os.getpid(), "long": "a" * 300, **numbers}
    Path("shut").chmod(0o755)


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder, and where its links point."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path)] = os.fsencode(path.readlink())
        elif path.is_file():
            found[str(path)] = path.read_bytes() + str(path.stat().st_mode).encode()
    return found


@pytest.fixture
def refused(shell: Shell, place: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Runs a command that must be refused before it has read anything, and must leave all as it is; the error."""

    def worked(*_: Any, **__: Any) -> None:
        raise AssertionError("it has begun to work")

    def run(command: str) -> str:
        monkeypatch.chdir(place["here"])
        before = contents(place["here"])
        for name in ("tidegate.load", "tidegate.data.tables.read", "tidegate.study.frame.run"):
            monkeypatch.setattr(name, worked)
        code, out, err = shell(command.format(**place))
        assert (code, out) == (2, ""), err
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert contents(place["here"]) == before
        return err

    return run


def test_the_table_has_40_commands_and_more() -> None:
    """The inputs of at least 40 commands are tried, and as many other mistakes."""
    assert len(AN_INPUT) >= 40
    assert len(ANOTHER_KIND) + len(ANOTHER_SUFFIX) + len(NO_PLACE) >= 40


@pytest.mark.parametrize("command", AN_INPUT)
def test_an_output_is_no_input(refused: Callable[[str], str], command: str) -> None:
    """A file that is read is never written, by whatever name, and `--overwrite` does not allow it."""
    err = refused(command)
    assert "is also an input" in err
    assert "--overwrite" not in err


@pytest.mark.parametrize("command", ANOTHER_KIND)
def test_a_file_of_another_kind_stays(refused: Callable[[str], str], command: str) -> None:
    """What is there and is no such file is not replaced, and the error says how it can be."""
    err = refused(command)
    assert "would be lost: --overwrite replaces it" in err


@pytest.mark.parametrize(("command", "suffixes"), ANOTHER_SUFFIX)
def test_the_suffix_must_fit(refused: Callable[[str], str], command: str, suffixes: str) -> None:
    """A name with another suffix, or none, is refused with those that are possible."""
    assert f"expected a file that ends in {suffixes}" in refused(command)


@pytest.mark.parametrize(("command", "message"), NO_PLACE)
def test_where_nothing_can_be_written(refused: Callable[[str], str], command: str, message: str) -> None:
    """Folders, write-protected files and folders, names without a place: one error that names them."""
    assert message in refused(command)


@pytest.mark.parametrize(
    "command",
    [
        f"train train.csv -o old.safetensors {SHORT}",
        f"train train.csv -o notes.safetensors --overwrite {SHORT}",
        f"train train.csv -o latest.safetensors --overwrite {SHORT}",
        f"train train.csv -o NEW.SAFETENSORS {SHORT}",
        f"train train.csv -o empty.safetensors {SHORT}",
        "predict model.safetensors train.csv -o old.csv",
        "predict model.safetensors train.csv -o new.csv.gz",
        "predict model.safetensors train.csv -o notes.parquet --overwrite",
        "predict model.safetensors train.csv -o page.csv --overwrite",
        "embed model.safetensors train.csv -o notes.npy --overwrite",
        "explain model.safetensors good --html page.html --png notes.png --overwrite",
        "units model.safetensors train.csv --png notes.png --overwrite",
    ],
)
@pytest.mark.usefixtures("place")
def test_what_may_be_replaced(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """A model takes the place of a model, a table that of a table, and with `--overwrite` of anything."""
    monkeypatch.chdir(tmp_path)
    shutil.copy("model.safetensors", "old.safetensors")
    Path("old.csv").write_text("text,prediction\nold,pos\n", "utf-8")
    Path("empty.safetensors").touch()
    before = {name: Path(name).read_bytes() for name in ("train.csv", "model.safetensors")}
    code, _, err = shell(command)
    assert code == 0, err
    assert before == {name: Path(name).read_bytes() for name in before}
    assert not list(Path().glob(".*.tmp"))


def test_a_lone_table_is_not_replaced(shell: Shell, tmp_path: Path) -> None:
    """`data` makes two tables where there is none; one that is there alone may be somebody's own."""
    (tmp_path / "imdb").mkdir()
    (tmp_path / "imdb" / "train.parquet").write_bytes(b"mine")
    code, _, err = shell(f"data imdb --folder {tmp_path} --url http://127.0.0.1:9/")
    assert code == 2
    assert "train.parquet is there without test.parquet" in err
    assert (tmp_path / "imdb" / "train.parquet").read_bytes() == b"mine"


def test_a_study_replaces_its_own_report(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of reports can be written to again; other people's files in it are not those of a report."""
    from tidegate.study import report
    from tidegate.study.findings import Findings
    from tidegate.study.frame import Setup, find

    study = find("vanishing")
    kept = report.record(study, Setup(3, {"size": 10}), [], Findings([], [], []), 1.0, True)
    report.write(tmp_path, kept, [])
    (tmp_path / "vanishing.svg").write_text('<?xml version="1.0"?><svg/>', "utf-8")
    report.check_folder(tmp_path, study, overwrite=False)
    for name in ("vanishing.html", "vanishing.json", "vanishing.svg", "index.md"):
        mine = tmp_path / name
        kept_bytes = mine.read_bytes()
        mine.write_text(json.dumps({"my": "own"}), "utf-8")
        with pytest.raises(FileExistsError, match=name):
            report.check_folder(tmp_path, study, overwrite=False)
        report.check_folder(tmp_path, study, overwrite=True)
        mine.write_bytes(kept_bytes)
