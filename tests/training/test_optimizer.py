"""The optimizer beside torch's own classes: AdamW, OneCycleLR and clip_grad_norm_."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tidegate.training.network.optimizer import Optimizer  # noqa: E402

RATE, DECAY = 0.1, 0.3


def start() -> list[Any]:
    """Draws parameters, the last of which no loss depends on."""
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in ((7, 5), (5,), (3,))]


def loss_of(parameters: list[Any], step: int) -> Any:
    """Computes a loss whose gradients are larger than 1 at some steps and smaller at others."""
    weight, bias, _ = parameters
    torch.manual_seed(step)
    return ((torch.randn(4, 7) @ weight + bias) ** 2).mean() * (0.01, 1.0, 30.0)[step % 3]


@pytest.mark.parametrize("clip", [0.0, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6, 7, 10, 23, 100])
def test_steps_are_those_of_torchs_classes(steps: int, clip: float) -> None:
    """Weights have the same bits after every step, also if the training is interrupted after each of them."""
    theirs, ours = start(), start()
    adamw = torch.optim.AdamW(theirs, RATE, weight_decay=DECAY, fused=True)
    rising = 0.2 if steps != 5 else 0.4  # torch divides by zero where they are a single one
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        adamw, RATE, total_steps=steps, pct_start=rising, cycle_momentum=False
    )
    optimizer = Optimizer(ours, RATE, steps, DECAY, clip)
    for step in range(steps):
        loss_of(theirs, step).backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(theirs, clip)
        adamw.step()
        adamw.zero_grad()
        if step + 1 < steps:
            schedule.step()
        arrays, done = optimizer.state()
        optimizer = Optimizer(ours, RATE, steps, DECAY, clip)
        optimizer.restore({name: array.copy() for name, array in arrays.items()}, done)
        optimizer.step(loss_of(ours, step))
        for mine, other in zip(ours, theirs, strict=True):
            assert torch.equal(mine, other), step
