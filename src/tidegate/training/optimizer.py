"""How weights follow gradients: AdamW, one cycle of the learning rate, clipped gradients, and torch on one thread."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Optimizer:
    """AdamW with a learning rate that rises during the first fifth of all steps and then falls to 0 as half a cosine.

    One cycle: Smith & Topin 2019, "Super-Convergence".

    Args:
        parameters: What to train; those that need no gradient are left alone.
        learning_rate: At its highest.
        steps: How many steps there will be at most.
        weight_decay: Of AdamW.
        clip: Largest norm of the gradient; 0 for any.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        steps: int,
        weight_decay: float = 0.0,
        clip: float = 1.0,
    ) -> None:
        self.parameters, self.clip = [parameter for parameter in parameters if parameter.requires_grad], clip
        self.adamw = torch.optim.AdamW(self.parameters, learning_rate, weight_decay=weight_decay, fused=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.adamw, learning_rate, total_steps=steps, pct_start=0.2, cycle_momentum=False
        )

    def step(self, loss: Tensor) -> None:
        """Follows the gradient of a loss.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        if not loss.isfinite():
            remedy = "a smaller learning rate" if self.clip else "a clip above 0, or a smaller learning rate"
            raise FloatingPointError(f"the loss is {loss.item()}, training has diverged: try {remedy}")
        loss.backward()  # type: ignore[no-untyped-call]
        if self.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.adamw.step()
        self.adamw.zero_grad()
        self.schedule.step()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keeps torch to one thread: its idle threads spin for a while, on the processors that the native kernels need."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
