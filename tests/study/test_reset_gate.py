"""The study of the reset gate: its measure of the candidate, and what it says."""

import numpy as np
import pytest
import torch

from tidegate.ops.cells import Cell
from tidegate.sequences.recurrent import Recurrent
from tidegate.study.findings import Row
from tidegate.study.networks import Reader
from tidegate.study.reset_gate import ADD, AFRESH, GRU, NEITHER, NO_RESET, STUDY, VARIANTS, at_markers, candidate_norms
from tidegate.study.tasks import starting_afresh


def candidate(h: torch.Tensor, a: torch.Tensor, w_hh: torch.Tensor, b_hh: torch.Tensor, reset: bool) -> torch.Tensor:
    """The candidate of one step by its equation, from W x + b_ih and the state before."""
    c, H = w_hh @ h + b_hh, len(h)
    r = torch.sigmoid(a[:H] + c[:H]) if reset else torch.ones(H, dtype=h.dtype)
    return torch.tanh(a[2 * H :] + r * c[2 * H :])


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_candidates_slope_is_that_of_its_equation(variant: str) -> None:
    """‖∂n/∂h‖ equals the norm of the Jacobian that autograd finds for the equation, reset gate included."""
    torch.manual_seed(0)
    task, choices = starting_afresh(5), VARIANTS[variant]
    reader = Reader(task, Cell.of("gru", **choices), 6)
    layer = Recurrent(reader.weights(), reader.cell)
    x = task.draw(np.random.default_rng(0), 2).x
    (trace,) = layer.trace(x)
    found = candidate_norms(trace, layer.weights["weight_hh_l0"], 1)

    w_ih, w_hh, b_ih, b_hh = (torch.from_numpy(array).double() for array in layer.weights.values())
    for t, h in enumerate(trace.walk(1).previous):
        a = w_ih @ torch.from_numpy(x[t, 1]).double() + b_ih
        reset = choices.get("reset") != "off"
        jacobian = torch.autograd.functional.jacobian(  # type: ignore[no-untyped-call]
            lambda h, a=a, reset=reset: candidate(h, a, w_hh, b_hh, reset), torch.tensor(h).double()
        )
        assert found[t] == pytest.approx(float(torch.linalg.matrix_norm(jacobian, 2)), rel=1e-4)


def test_a_closed_reset_gate_hides_the_past_at_markers() -> None:
    """A gate that a marker closes leaves the candidate nothing of the past there, and all of it elsewhere."""
    torch.manual_seed(0)
    task = starting_afresh(10)
    reader = Reader(task, "gru", 6)
    with torch.no_grad():
        weights = dict(reader.rnn.named_parameters())
        weights["weight_ih_l0"][:6] = 0
        weights["weight_ih_l0"][:6, -1] = -40
        weights["weight_hh_l0"][:6] = 0
        weights["bias_ih_l0"][:6] = 20
    found = at_markers(reader, task, 0)
    assert found["candidate_at_markers"] < 1e-4
    assert found["candidate_elsewhere"] > 0.1
    assert found["state_at_markers"] > 0.1  # z still carries the state over


def rows(gain: float, spread: float = 0.001) -> list[Row]:
    """Rows in which the GRU is ahead of the one without reset gate by so much, a little more from seed to seed."""
    markers = {f"{what}_{at}": 0.5 for what in ("error", "candidate", "state") for at in ("at_markers", "elsewhere")}
    scores = {GRU: 0.9, NO_RESET: 0.9 - gain, NEITHER: 0.3}
    return [
        {
            "task": task,
            "variant": name,
            "learning_rate": 0.01,
            "seed": seed,
            "score": score + spread * seed * (name == GRU),
            "held_out": score,
        }
        | (markers if task == AFRESH else {})
        for task in (AFRESH, ADD)
        for name, score in scores.items()
        for seed in range(4)
    ]


@pytest.mark.parametrize(
    ("gain", "says"),
    [
        (0.2, "helps on start afresh, adding"),
        (-0.2, "harms on start"),
        (-0.0015, "makes no difference beyond chance"),
    ],
)
def test_the_answer_follows_from_the_pairs(gain: float, says: str) -> None:
    """Whether the gate helps, harms or does nothing is read off the interval."""
    assert f"the reset gate {says}" in STUDY.conclude(rows(gain), STUDY.setup(4)).verdict[0]


def test_the_rnn_is_compared_too() -> None:
    """Each variant has its sentence, in points, and the markers their table."""
    found = STUDY.conclude(rows(0.2), STUDY.setup(4))
    assert any("r = 1, z = 0: the RNN −60.2" in sentence for sentence in found.verdict)
    assert [table.title for table in found.tables][-1].startswith("Start afresh: at markers")
