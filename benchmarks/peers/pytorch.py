"""torch.nn.GRU, run eagerly; ragged rows as a packed sequence, and episodes as the rows of one."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from case import Array, Case
from contender import Contender

Forward = Callable[[Tensor], Tensor]


def layer(case: Case, kind: type[torch.nn.GRU] = torch.nn.GRU) -> torch.nn.GRU:
    """Returns a layer with the weights of a case."""
    cell = case.cell
    made = kind(cell.I, cell.H, cell.layers, bidirectional=cell.bidirectional)
    made.load_state_dict({name: torch.from_numpy(array) for name, array in case.weights.items()})
    return made


def whole(gru: Callable[..., Any], case: Case) -> Forward:
    """Runs rows of equal length."""
    return lambda x: gru(x)[0]


def packed(gru: Callable[..., Any], case: Case) -> Forward:
    """Runs padded rows of any length: packs them, and pads the result, as a model around the layer has to."""
    lengths, T = torch.from_numpy(case.lengths), case.cell.T

    def forward(x: Tensor) -> Tensor:
        y, _ = gru(pack_padded_sequence(x, lengths, enforce_sorted=False))
        return pad_packed_sequence(y, total_length=T)[0]

    return forward


def episodes(gru: Callable[..., Any], case: Case) -> Forward:
    """Runs every episode as a row of its own; where the rows go is known beforehand, as it is in several epochs."""
    cut = case.episodes
    order, back, batch_sizes = map(torch.from_numpy, (cut.order, cut.back, cut.batch_sizes))

    def forward(x: Tensor) -> Tensor:
        y, _ = gru(PackedSequence(x.flatten(0, 1).index_select(0, order), batch_sizes))
        return y.data.index_select(0, back).unflatten(0, x.shape[:2])

    return forward


def step_by_step(gru: Callable[..., Any], case: Case) -> Forward:
    """Runs one step at a time and clears the states that an episode starts with, as recurrent policies often do."""
    keep = torch.from_numpy(~case.episode_starts).float().unsqueeze(2)

    def forward(x: Tensor) -> Tensor:
        h, ys = x.new_zeros(1, x.shape[1], case.cell.H), []
        for t in range(len(x)):
            y, h = gru(x[t : t + 1], h * keep[t])
            ys.append(y)
        return torch.cat(ys)

    return forward


def forwards(case: Case) -> dict[str, Callable[[Callable[..., Any], Case], Forward]]:
    """Returns the ways in which torch can run a case, by what they are called."""
    if case.cell.episode:
        return {"episodes as rows": episodes, "step by step": step_by_step}
    if not case.cell.lengths:
        return {"": whole}
    return {"packed": packed}


def inference_of(forward: Forward, case: Case) -> Callable[[], Tensor]:
    """Returns a forward pass without gradients."""
    x = torch.from_numpy(case.x)

    def call() -> Tensor:
        with torch.inference_mode():
            return forward(x)

    return call


def training_of(forward: Forward, gru: torch.nn.Module, case: Case) -> Callable[[], Mapping[str, Tensor]]:
    """Returns a training step: forward and backward, with the gradients of input and weights."""
    data, dy = torch.from_numpy(case.x), torch.from_numpy(case.dy)

    def call() -> Mapping[str, Tensor]:
        gru.zero_grad()
        x = data.detach().requires_grad_()
        forward(x).backward(dy)
        return {"dx": x.grad, "weight_ih_l0": gru.weight_ih_l0.grad, "weight_hh_l0": gru.weight_hh_l0.grad}

    return call


def answer(result: Any) -> Mapping[str, Array]:
    """Turns tensors into arrays."""
    named = {"y": result} if isinstance(result, Tensor) else result
    return {name: tensor.numpy() for name, tensor in named.items()}


def at_its_best(call: Callable[[], Any], case: Case, threads: int, setting: str = "") -> list[Contender]:
    """Returns a call with all threads, and for a small case also with one."""
    return [
        Contender(call, answer, ", ".join(filter(None, [setting, f"{n} threads"])), partial(torch.set_num_threads, n))
        for n in case.thread_counts(threads)
    ]


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes without gradients."""
    gru = layer(case).eval()
    ways = {name: inference_of(make(gru, case), case) for name, make in forwards(case).items()}
    return [contender for name, call in ways.items() for contender in at_its_best(call, case, threads, name)]


def training(case: Case, threads: int) -> list[Contender]:
    """Runs training steps."""
    gru = layer(case)
    ways = {name: training_of(make(gru, case), gru, case) for name, make in forwards(case).items()}
    return [contender for name, call in ways.items() for contender in at_its_best(call, case, threads, name)]
