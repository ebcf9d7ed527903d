"""The frame: conditions crossed with seeds, in an order that a stopped run can be read from."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from tidegate.study import QUESTIONS
from tidegate.study.findings import Findings, Row
from tidegate.study.frame import Setup, Study, find, run


def measure(condition: Row, seed: int, setup: Setup) -> Iterator[Row]:
    """Yields two rows, the second of which says something of its own."""
    yield {"score": seed}
    yield {"score": seed, "extra": setup.sizes["size"]}


def study(**options: Any) -> Study:
    """A study that measures nothing."""
    return Study(
        name="vanishing",
        title="A title",
        method="A method.",
        sizes={"size": 10, "other": 1},
        quick={"size": 2},
        conditions=lambda _: [{"what": "a"}, {"what": "b"}],
        measure=measure,
        conclude=lambda rows, _: Findings([f"{len(rows)} rows"]),
        **options,
    )


def test_each_seed_meets_all_conditions_before_the_next() -> None:
    """A run that is stopped has the same seeds for all conditions, but for the last."""
    found = list(run(study(), Setup(2, {"size": 3})))
    assert [(m.condition["what"], m.seed) for m in found] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert [(m.number, m.of) for m in found] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_tuned_study_tries_every_learning_rate_once() -> None:
    """After the first seed each condition goes on with the learning rate that was best by what is held out there."""

    def measured(condition: Row, seed: int, _: Setup) -> Iterator[Row]:
        yield {"held_out": abs(condition.get("learning_rate", 0) - (2 if condition["what"] == "a" else 3)), "score": 0}

    rated = [{"what": what, "learning_rate": rate} for what in "ab" for rate in (1, 2, 4)]
    options: dict[str, Any] = {"conditions": lambda _: [*rated, {"what": "c"}], "measure": measured, "tuned": True}
    found = list(run(replace(study(), **options), Setup(3, {})))
    assert [m.condition for m in found[:7]] == [*rated, {"what": "c"}]
    assert [m.condition for m in found[7:10]] == [rated[2], rated[3], {"what": "c"}]
    assert [(m.number, m.of, m.seed) for m in found[-3:]] == [(11, 13, 2), (12, 13, 2), (13, 13, 2)]


def test_rows_say_what_they_are_of() -> None:
    """Each row holds its condition and its seed beside what was measured."""
    (first,) = islice(run(study(), Setup(2, {"size": 3})), 1)
    assert first.rows == [
        {"what": "a", "seed": 0, "score": 0},
        {"what": "a", "seed": 0, "score": 0, "extra": 3},
    ]


def test_what_all_need_is_got_first() -> None:
    """Nothing is measured when it cannot be had."""

    def refuse(_: Setup) -> None:
        raise ConnectionError("no reviews")

    with pytest.raises(ConnectionError, match="no reviews"):
        next(run(study(prepare=refuse), Setup(2, {"size": 3})))


def test_a_quick_run_has_sizes_of_its_own() -> None:
    """What a quick run does not change stays, and fewer seeds are enough."""
    chosen = study(seeds=7)
    assert chosen.setup() == Setup(7, {"size": 10, "other": 1})
    assert chosen.setup(quick=True) == Setup(2, {"size": 2, "other": 1})
    assert chosen.setup(3, quick=True).seeds == 3


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_study_is_found_by_its_name(name: str) -> None:
    """It has the name, the question and something to compare; a quick run changes sizes that there are."""
    found = find(name)
    assert (found.name, found.question) == (name, QUESTIONS[name])
    assert found.quick.keys() <= found.sizes.keys()
    assert found.conditions(found.setup())


def test_an_unknown_study_is_refused() -> None:
    """The error names those that there are."""
    with pytest.raises(ValueError, match=r"no study 'vanish', expected one of vanishing, reset-gate"):
        find("vanish")


def test_a_missing_package_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setattr("tidegate.study.frame.find_spec", lambda name: None if name == "matplotlib" else name)
    with pytest.raises(ImportError, match=r"studies need matplotlib: pip install 'tidegate\[plot\]'"):
        find("vanishing")
