"""Intervals over seeds, comparisons in pairs, and the words for them."""

import math
from typing import Any

import numpy as np
import pytest

from tidegate.inspection.statistics import Interval
from tidegate.study.findings import against, best, clear, over_seeds, paired, pick, scored, values, versus, written

ROWS = [
    {"net": net, "rate": rate, "seed": seed, "score": base + seed + luck}
    for net, base in (("a", 0.5), ("b", 0.0))
    for rate, luck in ((1, 0.0), (2, 0.1))
    for seed in range(3)
]


@pytest.mark.parametrize("count", [2, 5, 12])
def test_the_interval_holds_the_mean_as_often_as_it_says(count: int) -> None:
    """Of normal samples, however few, 95 in 100 have the true mean inside."""
    samples = np.random.default_rng(0).normal(size=(10_000, count))
    found = [over_seeds(sample) for sample in samples]
    assert np.mean([interval.low < 0 < interval.high for interval in found]) == pytest.approx(0.95, abs=0.007)


def test_one_seed_gives_no_interval() -> None:
    """Of one value alone nothing is sure, and only the mean is written."""
    found = over_seeds([0.5])
    assert not clear(found)
    assert written(found) == "0.500"


def test_pairs_cancel_what_a_seed_does_to_both() -> None:
    """A difference that is the same for each seed has an interval of no width, however far seeds lie apart."""
    first, second = pick(ROWS, net="a", rate=1), pick(ROWS, net="b", rate=1)
    found = paired(first, second, "score")
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert not clear(over_seeds(row["score"] for row in first))


def test_seeds_that_only_one_has_are_left_out() -> None:
    """A run that was stopped compares the seeds that both conditions have."""
    assert paired(pick(ROWS, net="a", rate=1), pick(ROWS, net="b", rate=1)[:2], "score").mean == pytest.approx(0.5)


def test_the_best_choice_is_that_with_the_highest_mean() -> None:
    """All rows of one learning rate are chosen, and of no rows none; what is reported has no say in it."""
    assert values(best(pick(ROWS, net="a"), "score", "rate"), "rate") == [2]
    rows = [row | {"held_out": -row["score"]} for row in pick(ROWS, net="a")]
    assert values(best(rows, choice="rate"), "rate") == [1]
    assert best([]) == []


def test_a_choice_is_made_over_the_seeds_that_all_have() -> None:
    """Where a run was stopped, or tuned with its first seed, more rows are no merit, nor is luck with other seeds."""
    rows: list[dict[str, Any]] = [{"rate": 1, "seed": 0, "held_out": 0.9}, {"rate": 1, "seed": 1, "held_out": 0.1}]
    rows += [{"rate": 2, "seed": 0, "held_out": 0.5}]
    assert best(rows, choice="rate") == rows[:2]
    assert best(rows[1:], choice="rate") == rows[2:]


def test_groups_are_scored_by_their_names() -> None:
    """Each group has its own mean."""
    assert scored({"x": pick(ROWS, net="b", rate=1)}, "score")["x"].mean == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("difference", "sentence"),
    [
        (Interval(0.02, 0.01, 0.03), "A is ahead of B by 2.0 points (95 % interval 1.0 to 3.0)."),
        (Interval(-0.02, -0.03, -0.01), "B is ahead of A by 2.0 points (95 % interval 1.0 to 3.0)."),
        (
            Interval(0.02, -0.01, 0.05),
            "A and B do not clearly differ: 2.0 points for the former (95 % interval −1.0 to 5.0).",
        ),
        (
            Interval(0.02, -math.inf, math.inf),
            "A and B do not clearly differ: 2.0 points for the former (one seed alone).",
        ),
    ],
)
def test_a_comparison_says_who_is_ahead_only_if_it_is_clear(difference: Interval, sentence: str) -> None:
    """The words follow from the interval."""
    assert versus("A", "B", difference) == sentence


def test_what_is_not_clear_is_said_to_be() -> None:
    """Against a standard, a difference whose interval holds 0 may be chance."""
    groups = {
        "standard": [{"seed": seed, "score": 0.5} for seed in range(3)],
        "worse": [{"seed": seed, "score": 0.4 + 0.001 * seed} for seed in range(3)],
        "alike": [{"seed": seed, "score": 0.5 + 0.1 * (seed - 1)} for seed in range(3)],
    }
    said = against("standard", "adding", groups)
    assert said == (
        "Adding: standard reaches 0.500; against it, in points: worse −9.9 (−10.1 to −9.7); "
        "alike 0.0 (−24.8 to 24.8), may be chance."
    )
