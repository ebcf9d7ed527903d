"""The study of Cho's claim: what it says follows from the units."""

import numpy as np
import pytest

from tidegate.study.findings import Row
from tidegate.study.short_memory import STUDY


def rows(slopes: dict[str, float]) -> list[Row]:
    """Rows of tasks whose units have correlations of so much, with some luck of the seed."""
    rng = np.random.default_rng(0)
    return [
        {
            "task": task,
            "seed": seed,
            "score": 1.0,
            "before_training": 0.0,
            "low": -1.0,
            "high": 1.0,
            "correlation": slope + 0.01 * rng.normal(),
            "memory": [1.0, 2.0],
            "reset": [0.5, 0.6],
        }
        for task, slope in slopes.items()
        for seed in range(4)
    ]


@pytest.mark.parametrize(("slope", "word"), [(0.5, "supported"), (-0.5, "contradicted"), (0.0, "left open")])
def test_the_claim_is_judged_by_its_interval(slope: float, word: str) -> None:
    """It is supported where the correlation is clear of 0 on the side that it names, contradicted on the other."""
    found = STUDY.conclude(rows({"copy": slope}), STUDY.setup(4))
    assert found.verdict[0].endswith(f"is {word} on copy.")


def test_each_task_has_its_judgement_and_its_cloud() -> None:
    """Tasks may disagree, and the units of one network each are drawn."""
    found = STUDY.conclude(rows({"copy": 0.5, "adding": -0.5}), STUDY.setup(4))
    assert found.verdict[0].endswith("is supported on copy; contradicted on adding.")
    assert "adding, seed 0" in found.figures[1].svg
