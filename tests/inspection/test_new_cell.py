"""A cell that inspection has never seen: the minimal gated unit, declared here, its state with a name of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tidegate.inspection.gradient_flow import factors, flow, jacobians, lyapunov
from tidegate.inspection.ledger import draw_ledger, stream
from tidegate.inspection.units import units
from tidegate.ops import reference
from tidegate.ops.cells import CELLS, Cell
from tidegate.ops.cells.activations import ACTIVATIONS
from tidegate.ops.trace import Trace

I, H, T = 4, 6, 15


def declare() -> type[Cell]:
    """Declares the minimal gated unit of Zhou et al. 2016 (arXiv:1603.09420), whose one gate both reads and blends."""

    @dataclass(frozen=True)
    class MGU(Cell):
        name = "mgu"
        title = "minimal gated unit"
        blocks = ("forget", "candidate")
        states = ("memory",)
        trace = (*blocks, "forget_memory")
        symbols = {"forget": "f", "candidate": "n", "memory": "h"}  # noqa: RUF012 - a declaration
        gates = ("forget",)
        keeps = "forget"

        def step(self, a: Sequence[Any], recur: Any, states: Sequence[Any], functions: Any, note: Any) -> Any:
            (h,) = states
            f = note("forget", functions["sigmoid"](a[0] + recur(h)[0]))
            n = note("candidate", functions["tanh"](a[1] + recur(note("forget_memory", f * h))[1]))
            return ((1 - f) * h + f * n,)

        def backward(self, dstates: Any, before: Any, after: Any, trace: Any, back: Any) -> Any:
            (dh_next,), (h,), f, n = dstates, before, trace["forget"], trace["candidate"]
            da_n = dh_next * f * ACTIVATIONS["tanh"].slope(n)
            dread = back([None, da_n], trace["forget_memory"])
            da_f = (dh_next * (n - h) + dread * h) * ACTIVATIONS["sigmoid"].slope(f)
            return [da_f, da_n], [dh_next * (1 - f) + dread * f + back([da_f, None], h)]

        def kept(self, values: Any) -> Any:
            return 1 - np.asarray(values["forget"], np.float64)

        def deposits(self, values: Any) -> Any:
            return np.asarray(values["forget"] * values["candidate"], np.float64)

        def gated(self, gate: str, values: Any, before: Any) -> Any:
            return np.asarray(values["candidate"], np.float64)

    return MGU


@pytest.fixture
def traced() -> Iterator[tuple[Trace, np.ndarray, dict[str, np.ndarray]]]:
    """A trace of the cell in float64, its state weights, and its input and initial state."""
    cell, rng = declare()(), np.random.default_rng(0)
    w_ih, w_hh = (rng.standard_normal((2 * H, size)) / 2 for size in (I, H))
    x, h0 = rng.standard_normal((T, 1, I)), rng.standard_normal((1, H))
    y, _, kept = reference.Layer(cell, w_ih, w_hh).forward(x, h0)
    trace = Trace.of(cell, y, [kept[name] for name in cell.trace], h0=h0, lengths=np.array([T]))
    yield trace, w_hh, {"x": x, "w_ih": w_ih}
    del CELLS["mgu"]


def test_its_jacobians_equal_autograd(traced: Any) -> None:
    """∂h′/∂h follows from the declared backward pass, and is that of torch for the declared step."""
    torch = pytest.importorskip("torch")
    from tidegate.torch.cells import FUNCTIONS

    trace, w_hh, given = traced
    u = torch.from_numpy(w_hh)
    for t, (jacobian, h) in enumerate(zip(jacobians(trace, w_hh), trace.walk().previous, strict=True)):
        a = torch.from_numpy(given["w_ih"] @ given["x"][t, 0]).chunk(2)

        def step(h: Any, a: Any = a) -> Any:
            return trace.cell.step(a, lambda v: (u @ v).chunk(2), (h,), FUNCTIONS, lambda _, value: value)[0]

        expected = torch.autograd.functional.jacobian(step, torch.from_numpy(h))
        np.testing.assert_allclose(jacobian, expected.numpy(), rtol=0, atol=1e-9)


def test_its_gradients_are_bounded(traced: Any) -> None:
    """Factors stay within their bounds, and flow and exponents are those of its Jacobians."""
    trace, w_hh, _ = traced
    found = factors(trace, w_hh)
    assert (found.factor <= found.bound).all()
    product = np.linalg.multi_dot(list(jacobians(trace, w_hh)[::-1]))
    assert 10 ** flow(trace, w_hh).log_frobenius[0] == pytest.approx(np.linalg.norm(product))
    assert np.isfinite(lyapunov(trace, w_hh)).all()


def test_its_ledger_adds_up(traced: Any) -> None:
    """Deposits and the shares kept are what it declares, and add up to its state."""
    trace, _, _ = traced
    assert draw_ledger([trace]).error < 1e-12
    assert stream(trace).amounts.shape == (9, T)


def test_its_units_have_memories_and_movers(traced: Any) -> None:
    """Memory follows from the share that is kept, and its one gate has its figures; it makes no claim."""
    trace, _, _ = traced
    found = units([trace])
    np.testing.assert_allclose(found.memory, 1 / trace.forget[:, 0].mean(axis=0))
    assert set(found.mean) == {"forget"}
    assert found.claim() is None


def test_the_page_describes_it(traced: Any) -> None:
    """Its gate, its candidate and its state have labels and roles."""
    pytest.importorskip("pydantic")
    from tidegate.serve.page import declared

    trace, _, _ = traced
    labels = {value.label: value.role for value in declared.values_of(trace.cell)}
    assert labels == {
        "Forget gate f": "keeps",
        "Candidate n": "candidate",
        "State h": "state",
        "Kept at the end": "kept",
    }
    assert declared.twin_of(trace.cell) is None
