"""The study of vanishing gradients: what it says follows from what was measured."""

import numpy as np
import pytest
import torch

from tidegate.study.findings import Row
from tidegate.study.networks import Reader
from tidegate.study.tasks import adding
from tidegate.study.vanishing import ALONE, MIXED, NETWORKS, STUDY, gradient_norms

SETUP = STUDY.setup(3)


def rows(reach: dict[str, int]) -> list[Row]:
    """Rows of networks that learn up to a distance of their own with one learning rate, and never with another."""
    norms = {name: [-0.1 * d for d in SETUP.sizes["gradient_distances"]] for name in NETWORKS}
    found: list[Row] = [
        {"network": name, "training": "none", "seed": s, "log10_norms": norms[name]}
        for name in NETWORKS
        for s in range(3)
    ]
    for name, far in reach.items():
        for distance in SETUP.sizes["distances"]:
            for rate in (1e-3, 1e-2):
                accuracy = 1.0 if distance <= far and rate == 1e-2 else 0.5
                row = {
                    "network": name,
                    "distance": distance,
                    "learning_rate": rate,
                    "score": accuracy,
                    "held_out": accuracy,
                }
                found += [row | {"training": how, "seed": seed} for how in (ALONE, MIXED) for seed in range(3)]
    return found


def test_the_reach_of_each_network_is_said() -> None:
    """The farthest distance that is learnt with the best learning rate stands in the verdict and in the table."""
    found = STUDY.conclude(rows({"GRU": 300, "RNN tanh": 10, "RNN relu": 0}), SETUP)
    assert found.verdict[0].endswith("300 words: GRU; 10 words: RNN tanh; none of them: RNN relu.")
    table = found.tables[0]
    assert table.rows[0] == ["GRU", *["1.00 (1.00 to 1.00)"] * 4, "0.50 (0.50 to 0.50)"]
    assert "after 100 steps, in powers of ten: GRU 1e-10" in found.verdict[-1]


@pytest.mark.parametrize("count", [1, 21, 30])
def test_a_stopped_run_is_concluded_from_what_there_is(count: int) -> None:
    """Any beginning of the rows gives findings."""
    assert STUDY.conclude(rows({"GRU": 300})[:count], SETUP).verdict


def test_norms_are_those_of_the_recurrence() -> None:
    """A linear walk, of a relu that is never off, passes on exactly the powers of its weights."""
    task = adding(20)
    reader = Reader(task, "rnn_relu", 3, start="identity")
    with torch.no_grad():
        weights = dict(reader.rnn.named_parameters())
        weights["weight_hh_l0"].mul_(0.5)
        weights["weight_ih_l0"].fill_(1.0)
    found = gradient_norms(reader, task, 0, [1, 2, 10, 50])
    assert found == pytest.approx(np.log10([0.5, 0.25, 0.5**10]), abs=1e-3)
