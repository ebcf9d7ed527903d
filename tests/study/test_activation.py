"""The study of activations: what it says follows from what was measured."""

from tidegate.study.activation import ADD, CANDIDATES, LATCH, SQUASHES, STUDY
from tidegate.study.findings import Row


def rows() -> list[Row]:
    """Rows in which relu with hard sigmoids comes apart at the high learning rate, and identity is worse everywhere."""
    found: list[Row] = []
    for candidate in CANDIDATES:
        for gate in SQUASHES:
            for rate in (0.01, 0.1):
                apart = (candidate, gate, rate) == ("relu", "hard_sigmoid", 0.1)
                row = {"candidate": candidate, "gate": gate, "learning_rate": rate, "diverged": apart}
                for seed in range(3):
                    score = 0.0 if apart else 0.9 - 0.3 * (candidate == "identity") + 0.001 * seed
                    row |= {"steps": None if apart else 100 + seed, "largest": None if apart else 1.5, "usual": None}
                    found += [
                        row | {"task": task, "seed": seed, "score": score, "held_out": score} for task in (ADD, LATCH)
                    ]
    return found


def test_what_came_apart_is_counted() -> None:
    """Trainings whose loss was not finite are counted over all tasks and learning rates."""
    found = STUDY.conclude(rows(), STUDY.setup(3))
    (trouble,) = [sentence for sentence in found.verdict if "no longer finite" in sentence]
    assert "relu, hard sigmoid 6 of 12" in trouble
    assert "tanh, sigmoid 0 of 12" in trouble


def test_what_is_worse_is_said_to_be() -> None:
    """Against tanh and sigmoid, a clear loss is given in points, and what is equal may be chance."""
    sentence = STUDY.conclude(rows(), STUDY.setup(3)).verdict[0]
    assert "identity, sigmoid −30.0 (−30.0 to −30.0);" in sentence
    assert "tanh, hard sigmoid 0.0 (0.0 to 0.0), may be chance" in sentence


def test_the_table_shows_time_and_range() -> None:
    """Steps are the median of the seeds that were good enough; numbers that are not there are left open."""
    table = STUDY.conclude(rows(), STUDY.setup(3)).tables[0]
    assert table.rows[0][0] == "tanh, sigmoid"
    assert table.rows[0][3:] == ["101 (3 of 3)", "0 of 6", "0 of 6", "–", "1.50"]
