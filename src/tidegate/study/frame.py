"""The frame of every study: conditions crossed with seeds, one measured after the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from tidegate.study import QUESTIONS
from tidegate.study.findings import Findings, Row, best

_NEEDED = {"torch": "train", "pyarrow": "train", "matplotlib": "plot"}
SEEDS, QUICK_SEEDS = 5, 2


class Setup(NamedTuple):
    """What a run is made with.

    Attributes:
        seeds: How many seeds, from 0.
        sizes: The study's numbers, by name.
        data: Folder of the reviews; None for where `tidegate data` keeps them.
    """

    seeds: int
    sizes: Mapping[str, Any]
    data: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Study:
    """An experiment: what it compares, how one condition is measured, and what follows.

    Attributes:
        name: Its name on the command line.
        title: A heading.
        method: What is done, in a paragraph.
        sizes: Its numbers, by name.
        quick: Those that differ in a quick run, which shows that all parts work and answers nothing.
        seeds: How many seeds it takes.
        conditions: Lists what is compared, from the setup.
        measure: Measures one condition with one seed; yields rows, to which the frame adds condition and seed.
        conclude: Draws the conclusion from the rows that there are, be they all or not.
        prepare: Gets what all conditions need, such as reviews, before time is spent on any.
        tuned: Whether the first seed alone tries every learning rate, and the others take the one that was best there,
            by `held_out`; otherwise every seed tries them all.
    """

    name: str
    title: str
    method: str
    sizes: Mapping[str, Any]
    quick: Mapping[str, Any]
    conditions: Callable[[Setup], Sequence[Row]]
    measure: Callable[[Row, int, Setup], Iterator[Row]]
    conclude: Callable[[Sequence[Row], Setup], Findings]
    prepare: Callable[[Setup], object] | None = None
    seeds: int = SEEDS
    tuned: bool = False

    @property
    def question(self) -> str:
        """What it asks."""
        return QUESTIONS[self.name]

    def setup(self, seeds: int | None = None, data: Path | None = None, *, quick: bool = False) -> Setup:
        """Decides what is left open."""
        sizes = {**self.sizes, **(self.quick if quick else {})}
        return Setup(seeds or (QUICK_SEEDS if quick else self.seeds), sizes, data)


class Measured(NamedTuple):
    """One condition with one seed is measured.

    Attributes:
        number: Which one, from 1.
        of: How many there are.
        condition: What was measured.
        seed: With which seed.
        rows: What came out.
        seconds: How long it took.
    """

    number: int
    of: int
    condition: Row
    seed: int
    rows: list[Row]
    seconds: float


def find(name: str) -> Study:
    """Imports a study by its name.

    Raises:
        ImportError: A package that studies need is not here.
        ValueError: There is no such study.
    """
    if name not in QUESTIONS:
        raise ValueError(f"there is no study {name!r}, expected one of {', '.join(QUESTIONS)}")
    for package, extra in _NEEDED.items():
        if find_spec(package) is None:
            raise ImportError(f"studies need {package}: pip install 'tidegate[{extra}]'")
    study: Study = import_module(f"tidegate.study.{name.replace('-', '_')}").STUDY
    return study


def run(study: Study, setup: Setup) -> Iterator[Measured]:
    """Measures every condition with every seed; whoever has seen enough stops listening.

    All conditions are measured with one seed before the next begins, so that what is there when a run is stopped can be
    compared; those of a tuned study with every learning rate only with the first.

    Yields:
        A `Measured` for each.
    """
    if study.prepare:
        study.prepare(setup)
    conditions = list(study.conditions(setup))
    later = len(_by_rates(conditions)) if study.tuned else len(conditions)
    number, of = 0, len(conditions) + (setup.seeds - 1) * later
    first: list[Row] = []
    for seed in range(setup.seeds):
        if seed == 1 and study.tuned:
            conditions = [_best(rates, first) for rates in _by_rates(conditions)]
        for condition in conditions:
            began = perf_counter()
            rows = [condition | {"seed": seed} | row for row in study.measure(condition, seed, setup)]
            number, first = number + 1, first + rows if seed == 0 else first
            yield Measured(number, of, condition, seed, rows, perf_counter() - began)


def _by_rates(conditions: Sequence[Row]) -> list[list[Row]]:
    """Groups conditions that differ in the learning rate alone."""
    groups: dict[tuple[tuple[str, Any], ...], list[Row]] = {}
    for condition in conditions:
        others = tuple(item for item in condition.items() if item[0] != "learning_rate")
        groups.setdefault(others, []).append(condition)
    return list(groups.values())


def _best(rates: Sequence[Row], rows: Sequence[Row]) -> Row:
    """Chooses the condition whose learning rate was best by the rows of the first seed."""
    scored = [row for row in rows if "held_out" in row and any(rate.items() <= row.items() for rate in rates)]
    chosen = best(scored)
    return next(rate for rate in rates if not chosen or rate["learning_rate"] == chosen[0]["learning_rate"])
