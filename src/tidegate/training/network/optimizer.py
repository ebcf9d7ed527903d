"""How weights follow gradients: AdamW, one cycle of the learning rate, clipped gradients, and torch on one thread."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import cos, isfinite, pi
from types import MappingProxyType
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from tidegate.training.group import ALONE, Group
from tidegate.training.network.shares import sum_gradients

_RISING = 0.2  # share of the steps
_FIRST, _LAST = 1 / 25, 1 / 25e4  # rates in units of the highest, those of torch's OneCycleLR
_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # torch's own
_STATE = ("step", "exp_avg", "exp_avg_sq")  # of each parameter


def one_cycle(step: int, steps: int, highest: float) -> float:
    """Computes the learning rate of a step: it rises, and then falls to almost 0, each as half a cosine.

    One cycle: Smith & Topin 2019, "Super-Convergence", as torch's OneCycleLR has it.

    Args:
        step: From 0.
        steps: How many there will be.
        highest: The highest rate.
    """
    top = (_RISING if _RISING * steps != 1 else 2 * _RISING) * steps - 1  # a rise of one step alone has no first rate
    if step <= top:
        start, end, share = _FIRST * highest, highest, step / top
    else:
        start, end, share = highest, _LAST * highest, (step - top) / (steps - 1 - top)
    return end + (start - end) / 2 * (1 + cos(pi * share))


class Optimizer:
    """AdamW with a learning rate that goes through one cycle, and gradients that are clipped.

    It calls torch's function of AdamW: the classes of `torch.optim` load torch's compiler, which takes a second.

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
        self._rate, self._steps, self._weight_decay, self._done = learning_rate, steps, weight_decay, 0
        self._state = [
            (torch.zeros(()), torch.zeros_like(parameter), torch.zeros_like(parameter)) for parameter in self.parameters
        ]

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
        self._follow()
        self._done += 1
        for parameter in self.parameters:
            parameter.grad = None
        return total

    @property
    def remedy(self) -> str:
        """What to try where training has diverged."""
        return "a smaller learning rate" if self.clip else "a clip above 0, or a smaller learning rate"

    @torch.no_grad()
    def _follow(self) -> None:
        """Clips the gradients, and makes a step of AdamW with those parameters that have one."""
        moved = [
            (parameter, parameter.grad, state)
            for parameter, state in zip(self.parameters, self._state, strict=True)
            if parameter.grad is not None
        ]
        gradients, states = [gradient for _, gradient, _ in moved], [state for *_, state in moved]
        if self.clip and gradients:
            norm = nn.utils.get_total_norm(gradients)
            if norm > self.clip:
                nn.utils.clip_grads_with_norm_([parameter for parameter, *_ in moved], self.clip, norm)
        adamw(
            [parameter for parameter, *_ in moved],
            gradients,
            [average for _, average, _ in states],
            [square for *_, square in states],
            [],
            [step for step, *_ in states],
            fused=True,
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=one_cycle(self._done, self._steps, self._rate),
            weight_decay=self._weight_decay,
            eps=_EPSILON,
            maximize=False,
        )

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Returns what `restore` needs: arrays by name, and the schedule, ready for JSON."""
        arrays = {
            f"{i}.{name}": value.numpy(force=True)
            for i, state in enumerate(self._state)
            for name, value in zip(_STATE, state, strict=True)
        }
        return arrays, {"steps": self._done}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], schedule: Mapping[str, Any]) -> None:
        """Continues where `state` was taken."""
        self._done = schedule["steps"]
        for i, state in enumerate(self._state):
            for name, value in zip(_STATE, state, strict=True):
                value.copy_(torch.from_numpy(arrays[f"{i}.{name}"]))


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keeps torch to one thread: its idle threads spin for a while, on the processors that the native kernels need."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
