"""`tidegate study`: every study by its command, tiny, from the data to the report."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidegate.study import QUESTIONS

Shell = Callable[..., tuple[int, str, str]]

pytest.importorskip("matplotlib")


Done = Callable[[str], tuple[str, Path]]


@pytest.fixture(scope="module")
def finished() -> dict[str, tuple[str, Path]]:
    """The studies that tests have run."""
    return {}


@pytest.fixture
def done(
    finished: dict[str, tuple[str, Path]], shell: Shell, reviews: Path, tmp_path_factory: pytest.TempPathFactory
) -> Done:
    """Runs a study by its command, once for all tests; returns what it prints and the folder of its report."""

    def run(name: str) -> tuple[str, Path]:
        if name not in finished:
            folder = tmp_path_factory.mktemp(name)
            code, out, _ = shell(f"study {name} --quick --data {reviews} --output {folder}")
            assert code == 0
            finished[name] = out, folder
        return finished[name]

    return run


def numbers(folder: Path, name: str) -> Any:
    """The numbers that a study has left."""
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_study_runs_by_its_command(done: Done, name: str) -> None:
    """The command measures every condition with every seed, and leaves report, numbers and summary page."""
    out, folder = done(name)
    kept = numbers(folder, name)
    assert (kept["study"], kept["question"], kept["complete"]) == (name, QUESTIONS[name], True)
    assert {row["seed"] for row in kept["rows"]} == {0, 1}
    assert kept["tables"]
    assert all(len(row) == len(table["columns"]) for table in kept["tables"] for row in table["rows"])
    page = (folder / f"{name}.html").read_text(encoding="utf-8")
    assert page.count("<figure>") >= 2
    for sentence in kept["verdict"]:
        assert f"- {sentence}" in out
        assert f"- {sentence}" in (folder / "index.md").read_text(encoding="utf-8")


def test_a_study_is_the_same_again(done: Done, shell: Shell, reviews: Path, tmp_path: Path) -> None:
    """Two runs with the same seeds measure the same numbers."""
    _, folder = done("attribution")
    assert shell(f"study attribution --quick --data {reviews} --output {tmp_path}")[0] == 0
    assert numbers(folder, "attribution")["rows"] == numbers(tmp_path, "attribution")["rows"]


def test_words_that_decide_are_found(done: Done) -> None:
    """Where two words alone make the class, removing what each method ranks highest beats random words."""
    kept = numbers(done("attribution")[1], "attribution")
    assert all(gain["low"] > 0 for row in kept["rows"] for gain in row["gains"].values())
    assert "ledger, integrated-gradients, occlusion with an interval clear of 0 in every model" in kept["verdict"][0]


def test_what_is_near_is_learnt_and_what_is_far_is_not(done: Done) -> None:
    """In a tiny run a GRU finds a deciding word two words before the end, and none sixty words before."""
    kept = numbers(done("vanishing")[1], "vanishing")
    alone = [row for row in kept["rows"] if row["network"] == "GRU" and row["training"] == "each distance alone"]
    assert all(row["score"] > 0.95 for row in alone if row["distance"] == 2)
    assert all(row["score"] < 0.7 for row in alone if row["distance"] == 60)


def test_without_a_name_the_studies_are_listed(shell: Shell) -> None:
    """Each name stands beside what it asks."""
    code, out, _ = shell("study")
    assert code == 0
    for name, question in QUESTIONS.items():
        assert name in out
        assert question.split(",")[0] in out


def test_an_unknown_study_is_a_mistake(shell: Shell) -> None:
    """It ends with exit code 2 and the names that there are."""
    code, _, err = shell("study vanish")
    assert code == 2
    assert "expected one of vanishing, reset-gate" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_what_is_done(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    """A run that is interrupted reports the rows that were measured, and says that it was stopped."""
    from tidegate.study import networks, vanishing

    calls = []

    def fit(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        if len(calls) > 3:
            signal.raise_signal(number)
        return networks.fit(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(vanishing, "fit", fit)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it would be ignored
    try:
        code, out, err = shell(f"study vanishing --quick --output {tmp_path}")
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 128 + number
    assert "stopped" in err
    assert "wrote" in out
    kept = numbers(tmp_path, "vanishing")
    assert not kept["complete"]
    assert len([row for row in kept["rows"] if row["training"] != "none"]) == 3


def test_an_error_keeps_what_was_measured_before(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When a trial fails after an hour of others, these are reported, and then the error."""
    from tidegate.study import vanishing

    def fail(*_: object, **__: object) -> None:
        raise FloatingPointError("out of range")

    monkeypatch.setattr(vanishing, "fit", fail)
    code, out, err = shell(f"study vanishing --quick --output {tmp_path}")
    assert code == 1
    assert "out of range" in err
    assert "wrote" in out
    assert not numbers(tmp_path, "vanishing")["complete"]


def test_nothing_is_written_when_nothing_was_measured(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C before the first measurement leaves no report."""
    from tidegate.study import vanishing

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(vanishing, "gradient_norms", interrupt)
    assert shell(f"study vanishing --quick --output {tmp_path}")[0] == 130
    assert list(tmp_path.iterdir()) == []
