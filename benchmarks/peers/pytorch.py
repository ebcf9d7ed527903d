"""The layers of torch.nn, run eagerly; ragged rows as a packed sequence, and episodes as the rows of one."""

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils._python_dispatch import TorchDispatchMode

from case import Array, Case
from contender import Contender
from tidegate.ops.cells import Cell

MODULES = {"gru": "GRU", "lstm": "LSTM", "rnn_tanh": "RNN", "rnn_relu": "RNN"}
"""The class of each network, here and in `tidegate.torch`."""

ONEDNN, STEPS = "oneDNN", "steps"

Forward = Callable[[Tensor], Tensor]


def layer(case: Case, library: ModuleType = torch.nn) -> torch.nn.RNNBase:
    """Returns a layer of torch.nn, or of tidegate.torch, with the weights of a case."""
    cell, network = case.cell, Cell.of(case.cell.network)
    kind, options = MODULES[network.name], network.chosen
    if kind == "RNN":
        options |= {"nonlinearity": network.name.removeprefix("rnn_")}
    made = getattr(library, kind)(cell.I, cell.H, cell.layers, bidirectional=cell.bidirectional, **options)
    made.load_state_dict({name: torch.from_numpy(array) for name, array in case.weights.items()})
    return made


def whole(module: Callable[..., Any], case: Case) -> Forward:
    """Runs rows of equal length."""
    return lambda x: module(x)[0]


def packed(module: Callable[..., Any], case: Case) -> Forward:
    """Runs padded rows of any length: packs them, and pads the result, as a model around the layer has to."""
    lengths, T = torch.from_numpy(case.lengths), case.cell.T

    def forward(x: Tensor) -> Tensor:
        y, _ = module(pack_padded_sequence(x, lengths, enforce_sorted=False))
        return pad_packed_sequence(y, total_length=T)[0]

    return forward


def episodes(module: Callable[..., Any], case: Case) -> Forward:
    """Runs every episode as a row of its own; where the rows go is known beforehand, as it is in several epochs."""
    cut = case.episodes
    order, back, batch_sizes = map(torch.from_numpy, (cut.order, cut.back, cut.batch_sizes))

    def forward(x: Tensor) -> Tensor:
        y, _ = module(PackedSequence(x.flatten(0, 1).index_select(0, order), batch_sizes))
        return y.data.index_select(0, back).unflatten(0, x.shape[:2])

    return forward


def step_by_step(module: Callable[..., Any], case: Case) -> Forward:
    """Runs one step at a time and clears the states that an episode starts with, as recurrent policies often do."""
    keep = torch.from_numpy(~case.episode_starts).float().unsqueeze(2)

    def forward(x: Tensor) -> Tensor:
        y, states = module(x[:1])
        ys = [y]
        for t in range(1, len(x)):
            states = states * keep[t] if isinstance(states, Tensor) else tuple(state * keep[t] for state in states)
            y, states = module(x[t : t + 1], states)
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


def training_of(forward: Forward, module: torch.nn.RNNBase, case: Case) -> Callable[[], Mapping[str, Tensor]]:
    """Returns a training step: forward and backward, with the gradients of input and weights."""
    data, dy = torch.from_numpy(case.x), torch.from_numpy(case.dy)

    def call() -> Mapping[str, Tensor]:
        module.zero_grad()
        x = data.detach().requires_grad_()
        forward(x).backward(dy)
        return {"dx": x.grad, "weight_ih_l0": module.weight_ih_l0.grad, "weight_hh_l0": module.weight_hh_l0.grad}

    return call


def answer(result: Any) -> Mapping[str, Array]:
    """Turns tensors into arrays."""
    named = {"y": result} if isinstance(result, Tensor) else result
    return {name: tensor.numpy() for name, tensor in named.items()}


class _Seen(TorchDispatchMode):
    """Collects the names of operations; a profiler would keep all tensors of the backward pass too."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.name())
        with self:  # in inference mode torch takes no operation apart by itself
            parts = func.decompose(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {})) if parts is NotImplemented else parts


def path(call: Callable[[], Any]) -> str:
    """Returns by which code torch runs its layers in a call: one operation of oneDNN a layer, or several a step."""
    with _Seen() as seen:
        call()
    return ONEDNN if any("mkldnn_rnn" in name for name in seen.names) else STEPS


def at_its_best(call: Callable[[], Any], case: Case, threads: int, setting: str = "") -> list[Contender]:
    """Returns a call with all threads, and for a small case also with one."""
    return [
        Contender(call, answer, ", ".join(filter(None, [setting, f"{n} threads"])), partial(torch.set_num_threads, n))
        for n in case.thread_counts(threads)
    ]


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes without gradients."""
    module = layer(case).eval()
    ways = {name: inference_of(make(module, case), case) for name, make in forwards(case).items()}
    return [contender for name, call in ways.items() for contender in at_its_best(call, case, threads, name)]


def training(case: Case, threads: int) -> list[Contender]:
    """Runs training steps."""
    module = layer(case)
    ways = {name: training_of(make(module, case), module, case) for name, make in forwards(case).items()}
    return [contender for name, call in ways.items() for contender in at_its_best(call, case, threads, name)]
