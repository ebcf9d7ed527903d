"""Problems for the native kernels: cases, their random arguments, calls of them, and comparisons."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from tidegate import ops
from tidegate.ops.cells import Cell

Array = npt.NDArray[np.float32]

Bools = npt.NDArray[np.bool_]

Result = tuple[Any, Any]  # ops.Forward and ops.Gradients

FORWARD = 5e-6  # largest absolute error of y, h_n and trace

CELLS = ("gru", "rnn_tanh", "rnn_relu", "lstm", "gru reset=before")

OTHERS = (
    "gru reset=off candidate=relu gate=hard_sigmoid",
    "gru update=off candidate=identity",
)  # all: test_ops_choices

LAYOUTS = ("time first", "batch first", "inside a wider array", "turned around", "packed")

every_cell = pytest.mark.parametrize("cell", CELLS + OTHERS)

every_isa = pytest.mark.parametrize("isa", ops.isas())

every_direction = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


class Case(NamedTuple):
    """One row of the table of sizes and options."""

    T: int
    B: int
    I: int
    H: int
    bias: bool = True
    h0: bool = True
    ragged: bool = False
    reverse: bool = False
    layout: str = "time first"
    threads: int = 1


# Large enough that several threads, blocks of steps and prepared input products are worth their while.
WIDE = [
    Case(50, 32, 100, 128, threads=2),
    Case(20, 70, 3, 40, ragged=True, threads=2, layout="batch first"),
    Case(31, 37, 33, 65, bias=False, ragged=True, reverse=True, threads=3),
    Case(60, 9, 129, 113, h0=False, ragged=True, threads=2),
    Case(25, 5, 200, 96, threads=3, layout="packed"),
    Case(40, 1, 64, 257, reverse=True, threads=3),
    Case(40, 3, 17, 201, ragged=True, reverse=True, threads=2),
    Case(30, 4, 9, 200, threads=3, layout="packed"),
    Case(6, 60, 30, 104),
]


def name_of(case: Case) -> str:
    """Names a case by its sizes and the options that are not the default."""
    options = {name: value for name, value in case._asdict().items() if value != Case._field_defaults.get(name)}
    return " ".join(f"{name}{value}" if name in "TBIH" else f"{name}={value}" for name, value in options.items())


@dataclass(frozen=True)
class Problem:
    """The arguments of one layer in float32, dense and time first, with the gradients of its outputs."""

    cell: str
    x: Array
    w_ih: Array
    w_hh: Array
    b_ih: Any  # Array, or None
    b_hh: Any
    h0: Any
    lengths: Any
    reverse: bool
    dy: Array
    dh_n: Array

    @property
    def steps(self) -> Bools:
        """Whether step t belongs to row b: bool [T, B]."""
        T, B = self.x.shape[:2]
        return np.arange(T)[:, None] < (np.full(B, T) if self.lengths is None else self.lengths)


def draw(cell: str, case: Case, seed: int = 0) -> Problem:
    """Draws a problem, weights as torch draws them; ragged ones have a row of length 0 and one of length T."""
    random = np.random.default_rng(seed)
    T, B, I, H = case[:4]
    G, S = Cell.of(cell).G, Cell.of(cell).S
    states = (B, H) if S == 1 else (S, B, H)

    def weights(*shape: int) -> Array:
        return np.asarray(random.uniform(-1, 1, shape) / np.sqrt(H), np.float32)

    def normal(*shape: int) -> Array:
        return random.normal(size=shape).astype(np.float32)

    lengths: npt.NDArray[np.int64] | None = None
    if case.layout == "packed":
        lengths = np.sort(np.r_[T, random.integers(1, T + 1, B - 1)])[::-1]
    elif case.ragged:
        lengths = random.permutation(np.r_[0, T, random.integers(0, T + 1, B)][:B])
    return Problem(
        cell=cell,
        x=normal(T, B, I),
        w_ih=weights(G * H, I),
        w_hh=weights(G * H, H),
        b_ih=weights(G * H) if case.bias else None,
        b_hh=weights(G * H) if case.bias else None,
        h0=normal(*states) if case.h0 else None,
        lengths=lengths,
        reverse=case.reverse,
        dy=normal(T, B, H),
        dh_n=normal(*states),
    )


def lay_out(array: Array, layout: str, steps: Bools) -> Array:
    """Returns a dense [T, B, F] array as the layout would present it, uninteresting memory filled with NaN."""
    match layout:
        case "batch first":
            return array.swapaxes(0, 1).copy().swapaxes(0, 1)
        case "inside a wider array":
            wide = np.full((len(array) + 1, array.shape[1] + 2, array.shape[2] + 5), np.nan, np.float32)
            wide[1:, 1:-1, 2:-3] = array
            return wide[1:, 1:-1, 2:-3]
        case "turned around":
            return array[::-1].copy()[::-1]
        case "packed":
            return array[steps]
    return array.copy()


def pack(problem: Problem, isa: str | None = None) -> ops.Layer:
    return ops.pack(problem.cell, problem.w_ih, problem.w_hh, problem.b_ih, problem.b_hh, isa=isa)


def run(problem: Problem, isa: str | None = None, layout: str = "time first") -> Result:
    """Runs forward and backward natively; padding of x and dy, and y beforehand, hold NaN."""
    layer, steps = pack(problem, isa), problem.steps
    x, dy = (lay_out(np.where(steps[..., None], a, np.float32(np.nan)), layout, steps) for a in (problem.x, problem.dy))
    y = lay_out(np.full_like(problem.dy, np.nan), layout, steps)
    rows: dict[str, Any] = {"batch_sizes": steps.sum(axis=1)} if layout == "packed" else {"lengths": problem.lengths}
    out = ops.forward(layer, x, problem.h0, **rows, reverse=problem.reverse, trace=True, y=y)
    assert out.y is y
    return out, ops.backward(layer, x, out, dy, problem.dh_n, problem.h0, **rows, reverse=problem.reverse)


def arrays(result: Result, steps: Bools | None) -> dict[str, Array]:
    """Names all arrays of a result; the trace only where a row has steps, for it has no meaning in padding."""
    out, gradients = result
    named: dict[str, Any] = {"y": out.y, "h_n": out.h_n} | gradients._asdict()
    if out.trace is not None:
        named["trace"] = out.trace if steps is None or out.trace.ndim == 3 else out.trace[steps]
    return {name: array for name, array in named.items() if array is not None}


def assert_same_bits(result: Result, expected: Result, steps: Bools | None = None) -> None:
    """Compares all arrays of two results for equality."""
    found, wanted = arrays(result, steps), arrays(expected, steps)
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, wanted[name], err_msg=name)
