"""JAX: a compiled scan over the steps, with the input products of all steps taken out of it and done as one."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from case import Case
from contender import Contender
from grid import Cell

Tensor = jax.Array
Weights = Mapping[str, Tensor]
States = tuple[Tensor, ...]

UNROLLED = (1, 4)
"""Steps in one turn of the compiled loop: which is faster depends on the shape."""


def _gru(products: Tensor, recurrent: Tensor, states: States) -> States:
    """Takes a step, given W x + b_ih and U h + b_hh."""
    (h,) = states
    xr, xz, xn = jnp.split(products, 3, 1)
    hr, hz, hn = jnp.split(recurrent, 3, 1)
    z = jax.nn.sigmoid(xz + hz)
    n = jnp.tanh(xn + jax.nn.sigmoid(xr + hr) * hn)
    return (n + z * (h - n),)


def _lstm(products: Tensor, recurrent: Tensor, states: States) -> States:
    i, f, g, o = jnp.split(products + recurrent, 4, 1)
    c = jax.nn.sigmoid(f) * states[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _rnn(activation: Callable[[Tensor], Tensor], products: Tensor, recurrent: Tensor, states: States) -> States:
    return (activation(products + recurrent),)


STEPS: dict[str, Callable[[Tensor, Tensor, States], States]] = {
    "gru": _gru,
    "lstm": _lstm,
    "rnn_tanh": partial(_rnn, jnp.tanh),
    "rnn_relu": partial(_rnn, jax.nn.relu),
}
"""A step of each network; the first of its states is h."""


def _direction(
    cell: Cell, weights: Weights, suffix: str, x: Tensor, keep: Tensor | None, live: Tensor | None, unroll: int
) -> Tensor:
    """Runs one direction over x [T, B, I]; `keep` clears states before a step, `live` says which steps count."""
    take = STEPS[cell.network]
    w_hh, b_hh = weights[f"weight_hh_{suffix}"], weights[f"bias_hh_{suffix}"]
    products = x @ weights[f"weight_ih_{suffix}"] + weights[f"bias_ih_{suffix}"]

    def step(states: States, now: Any) -> tuple[States, Tensor]:
        products, keep, live = now
        states = states if keep is None else tuple(state * keep for state in states)
        new = take(products, states[0] @ w_hh + b_hh, states)
        if live is None:
            return new, new[0]
        new = tuple(jnp.where(live, after, before) for after, before in zip(new, states, strict=True))
        return new, jnp.where(live, new[0], 0)

    start = (jnp.zeros((x.shape[1], w_hh.shape[0]), x.dtype),) * cell.states
    return jax.lax.scan(step, start, (products, keep, live), reverse=suffix.endswith("reverse"), unroll=unroll)[1]


def _forward(case: Case, unroll: int) -> Callable[[Weights, Tensor], Tensor]:
    """Returns a function of weights and x. Walking backwards, a state stays 0 until its row has begun."""
    cell, T = case.cell, case.cell.T
    keep = None if case.episode_starts is None else jnp.asarray(~case.episode_starts, jnp.float32)[..., None]
    live = None if case.lengths is None else jnp.asarray(np.arange(T)[:, None] < case.lengths)[..., None]

    def forward(weights: Weights, x: Tensor) -> Tensor:
        for layer in range(cell.layers):
            suffixes = (f"l{layer}", f"l{layer}_reverse")[: cell.directions]
            ys = [_direction(cell, weights, suffix, x, keep, live, unroll) for suffix in suffixes]
            x = ys[0] if len(ys) == 1 else jnp.concatenate(ys, 2)
        return x

    return forward


def _arguments(case: Case) -> tuple[Weights, Tensor]:
    """Returns weights [I, G·H] and [H, G·H], as a program written for JAX keeps them, and x."""
    weights = {name: jnp.asarray(np.ascontiguousarray(array.T)) for name, array in case.weights.items()}
    return weights, jnp.asarray(case.x)


def _turns(case: Case) -> tuple[int, ...]:
    return UNROLLED if max(UNROLLED) <= case.cell.T else (1,)


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes."""
    weights, x = _arguments(case)

    def contender(unroll: int) -> Contender:
        compiled = jax.jit(_forward(case, unroll)).lower(weights, x).compile()
        call = lambda: jax.block_until_ready(compiled(weights, x))  # noqa: E731 - it is timed
        return Contender(call, lambda y: {"y": np.asarray(y)}, f"unroll={unroll}")

    return [contender(unroll) for unroll in _turns(case)]


def training(case: Case, threads: int) -> list[Contender]:
    """Runs training steps: the gradients of weights and input of the loss that has the gradient dy."""
    weights, x = _arguments(case)
    dy = jnp.asarray(case.dy)

    def contender(unroll: int) -> Contender:
        forward = _forward(case, unroll)
        step = jax.value_and_grad(lambda weights, x, dy: jnp.vdot(forward(weights, x), dy), (0, 1))
        compiled = jax.jit(step).lower(weights, x, dy).compile()
        call = lambda: jax.block_until_ready(compiled(weights, x, dy))  # noqa: E731 - it is timed
        return Contender(call, _gradients, f"unroll={unroll}")

    return [contender(unroll) for unroll in _turns(case)]


def _gradients(result: Any) -> Mapping[str, Any]:
    weights, dx = result[1]
    return {"dx": np.asarray(dx)} | {name: np.asarray(weights[name]).T for name in ("weight_ih_l0", "weight_hh_l0")}
