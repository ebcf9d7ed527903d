"""How weights follow gradients: AdamW, one cycle of the learning rate, clipped gradients, and torch on one thread."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from types import MappingProxyType
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from tidegate.training.group import ALONE, Group
from tidegate.training.network.shares import sum_gradients


class Optimizer:
    """AdamW with a learning rate that rises during the first fifth of all steps and then falls to 0 as half a cosine.

    One cycle: Smith & Topin 2019, "Super-Convergence".

    Args:
        parameters: What to train; those that need no gradient are left alone.
        learning_rate: At its highest.
        steps: How many steps there will be at most.
        weight_decay: Of AdamW.
        clip: Largest norm of the gradient; 0 for any.
        group: The processes that train together.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        steps: int,
        weight_decay: float = 0.0,
        clip: float = 1.0,
        group: Group = ALONE,
    ) -> None:
        self.parameters, self.clip = [parameter for parameter in parameters if parameter.requires_grad], clip
        self.group = group
        self.adamw = torch.optim.AdamW(self.parameters, learning_rate, weight_decay=weight_decay, fused=True)
        rising = 0.2 if steps != 5 else 0.4  # of the steps; torch divides by zero where they are a single one
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.adamw, learning_rate, total_steps=steps, pct_start=rising, cycle_momentum=False
        )

    def step(
        self, loss: Tensor, touched: Mapping[Tensor, Tensor] = MappingProxyType({}), others: Sequence[Tensor] = ()
    ) -> float:
        """Follows the gradient of a loss.

        Args:
            loss: The loss, or this process's part of it: the loss is the sum over the group.
            touched: See `sum_gradients`.
            others: See `sum_gradients`.

        Returns:
            The loss of the whole batch.

        Raises:
            FloatingPointError: The loss is not finite.
            LostWorkerError: A process of the group has ended.
        """
        loss.backward()  # type: ignore[no-untyped-call]
        total = sum_gradients(self.group, self.parameters, loss.item(), touched, others)
        if not isfinite(total):
            raise FloatingPointError(f"the loss is {total}, training has diverged: try {self.remedy}")
        if self.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.adamw.step()
        self.adamw.zero_grad()
        self.schedule.step()
        return total

    @property
    def remedy(self) -> str:
        """What to try where training has diverged."""
        return "a smaller learning rate" if self.clip else "a clip above 0, or a smaller learning rate"

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Returns what `restore` needs: arrays by name, and the schedule, ready for JSON."""
        arrays = {
            f"{i}.{name}": value.numpy(force=True)
            for i, parameter in enumerate(self.parameters)
            for name, value in self.adamw.state[parameter].items()
        }
        return arrays, self.schedule.state_dict() | {"lr": [group["lr"] for group in self.adamw.param_groups]}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], schedule: Mapping[str, Any]) -> None:
        """Continues where `state` was taken."""
        for name, array in arrays.items():
            i, _, moment = name.partition(".")
            # a copy: torch allocates memory that is aligned, which that of a file need not be
            self.adamw.state[self.parameters[int(i)]][moment] = torch.from_numpy(array).clone()
        rates = schedule["lr"]
        self.schedule.load_state_dict({name: value for name, value in schedule.items() if name != "lr"})
        for group, rate in zip(self.adamw.param_groups, rates, strict=True):
            group["lr"] = rate


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keeps torch to one thread: its idle threads spin for a while, on the processors that the native kernels need."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
