"""The ledger: which step wrote what, and how much of it is left in the summary vector.

The memory m of a cell is m_t = keep_t ∘ m_{t−1} + deposit_t. For a GRU m is the state h, the share kept is z, and the
deposit is (1 − z) ∘ n; for an LSTM m is the cell state c, the share kept is f, and the deposit is i ∘ g. Unrolled, the
memory is exactly the sum of what is left of all deposits and of the initial memory, and so is every summary that is
linear in the outputs:

    kept_t = w_t ∘ shown_t + keep_{t+1} ∘ kept_{t+1},    summary = Σ_t kept_t ∘ deposit_t + keep_1 ∘ kept_1 ∘ m_0.

w_t is the weight of the output h_t in the summary: 1 at the last step, 1/T for the mean, and for the maximum 1 where a
unit is largest. shown_t is the factor by which the output shows the memory, h_t = shown_t ∘ m_t: 1 for a GRU, and
o_t ∘ tanh(c_t)/c_t for an LSTM (o_t where c_t is 0, the limit). It is the same for all deposits of a unit, so the sum
stays exact; it says that a closed output gate hides the whole memory of its unit, and that of a memory far beyond 1 the
output shows a small part. All sums here are in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.ops.checks import check_choice
from tidegate.ops.trace import Trace, Walk
from tidegate.sequences.summaries import SUMMARIES, summarize, summary_weights

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ledger:
    """The account of one summary vector of F features over T steps, in the order of time.

    Example:
        >>> from tidegate import Recurrent
        >>> weights = {"weight_ih_l0": np.full((3, 2), 0.5), "weight_hh_l0": np.full((3, 1), 0.1)}
        >>> ledger = draw_ledger(Recurrent(weights).trace(np.ones((4, 1, 2), np.float32)))
        >>> ledger.balance.round(3).ravel()
        array([0.082, 0.111, 0.15 , 0.202])
        >>> bool(np.allclose(ledger.balance.sum(0) + ledger.opening, ledger.summary))
        True

    Attributes:
        deposits: What each step writes into the memory, float64 [T, F]: (1 − z) ∘ n for a GRU, i ∘ g for an LSTM, the
            state itself for a vanilla RNN, which keeps nothing.
        kept: The share of it that is in the summary, float64 [T, F]; for an LSTM it includes the factor by which the
            output shows the memory.
        opening: What is left of the initial state, float64 [F].
        summary: The summary vector as the layers computed it, float32 [F].
    """

    deposits: Array
    kept: Array
    opening: Array
    summary: npt.NDArray[np.floating[Any]]

    @property
    def balance(self) -> Array:
        """What is left of each deposit, float64 [T, F]."""
        return self.kept * self.deposits

    @property
    def error(self) -> float:
        """The largest difference between the sum of the account and the summary: rounding, of some 1e-6."""
        return float(np.abs(self.balance.sum(axis=0) + self.opening - self.summary).max(initial=0))

    def contributions(self, weight: npt.ArrayLike) -> Array:
        """Shares each logit of a linear head among the steps.

        Args:
            weight: The head's weights, float [C, F].

        Returns:
            Shares, float64 [T, C]; with the bias and `opening @ weight.T` they add up to the logits.
        """
        shares: Array = np.einsum("tf,cf->tc", self.balance, np.asarray(weight, np.float64))
        return shares


def draw_ledger(traces: Sequence[Trace], summary: str = "last", row: int = 0) -> Ledger:
    """Draws up the ledger of one sequence.

    In a stack of layers it is the last layer's: its steps are the words, whatever the layers below have read by then.

    Args:
        traces: The traces of a stack, as `Recurrent.trace` returns them, forward before reverse.
        summary: What became of the outputs, as in `summarize`: "last", "mean", "max" or "mean+max".
        row: Which sequence of the batch.

    Raises:
        ValueError: The summary has an unknown name, or there is no trace.
    """
    check_choice("summary", summary, SUMMARIES)
    if not traces:
        raise ValueError("traces is empty, expected one trace for each layer and direction")
    last = [trace for trace in traces if trace.layer == traces[-1].layer]
    walks = [trace.walk(row) for trace in last]
    starts = [trace.start(row) for trace in last]
    parts = [
        _in_time(_account(walk, start, part), trace.reverse)
        for part in summary.split("+")
        for trace, walk, start in zip(last, walks, starts, strict=True)
    ]
    deposits, kept, opening = (np.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True))
    return Ledger(deposits, kept, opening, _summary(last, walks, [start[0] for start in starts], summary))


def draw_vector_ledger(
    x: npt.NDArray[np.floating[Any]], rate: npt.ArrayLike | None, summary: npt.NDArray[np.floating[Any]]
) -> Ledger:
    """Draws up the ledger of a summary without gates: every vector is a deposit, whatever came before.

    Args:
        x: Vectors, float [T, E].
        rate: Growth factors of compounding, [], [1] or [E], the last balance being the summary; None where the summary
            is the average of the vectors.
        summary: The summary vector as the model computed it, float [E].
    """
    deposits = x.astype(np.float64)
    carry = np.broadcast_to(np.asarray(0 if rate is None else rate, np.float64), x.shape)
    kept = unroll(carry, summary_weights(deposits, "mean" if rate is None else "last"))
    return Ledger(deposits, kept, np.zeros(x.shape[1]), summary)


class Stream(NamedTuple):
    """How the deposits of some steps shrink as later steps come, in the order of time.

    Attributes:
        steps: The steps followed, int [K].
        amounts: What is left of each, Σ |share ∘ deposit| over the units, and in the last row of all others and of the
            initial state together, float64 [K + 1, T].
    """

    steps: npt.NDArray[np.intp]
    amounts: Array


def stream(trace: Trace, count: int = 8, row: int = 0) -> Stream:
    """Follows the deposits of the steps that hold most of the memory (of an LSTM its cell state) over the whole time.

    Args:
        trace: One layer in one direction.
        count: How many steps to follow.
        row: Which sequence of the batch.

    Raises:
        ValueError: The cell keeps no deposits.
    """
    cell, walk = trace.cell, trace.walk(row)
    if cell.keeps is None:
        raise ValueError(f"a {cell.title} writes its state anew at every step: there are no deposits to follow")
    carry, deposits = cell.kept(walk.values), np.abs(cell.deposits(walk.values))
    lifetime = (deposits * unroll(carry, np.ones_like(carry))).sum(axis=1)
    steps = np.sort(np.argsort(-lifetime, kind="stable")[:count])
    total, left = np.abs(trace.start(row)[-1]).astype(np.float64), np.zeros((len(steps), carry.shape[1]))
    amounts = np.zeros((len(steps) + 1, len(carry)))
    for t, z in enumerate(carry):
        total, left = z * total + deposits[t], z * left
        left[steps == t] = deposits[t]
        amounts[:-1, t] = left.sum(axis=1)
        amounts[-1, t] = max(0.0, total.sum() - amounts[:-1, t].sum())
    if trace.reverse:
        steps, amounts = (len(carry) - 1 - steps)[::-1], np.concatenate([amounts[-2::-1], amounts[-1:]])[:, ::-1]
    return Stream(steps, amounts)


def unroll(carry: Array, weights: Array) -> Array:
    """Computes which share of each deposit is in a weighted sum of the balances h_t = carry_t ∘ h_{t−1} + deposit_t.

    Args:
        carry: Share of the old balance that each step keeps, float [T, F].
        weights: Weight of each balance in the sum, float [T, F].

    Returns:
        The shares, float64 [T, F].
    """
    kept = np.array(weights, np.float64)
    for t in range(len(kept) - 2, -1, -1):
        kept[t] += carry[t + 1] * kept[t + 1]
    return kept


def _account(walk: Walk, start: npt.NDArray[Any], part: str) -> tuple[Array, Array, Array]:
    """Returns deposits, kept shares and what is left of the initial states [S, H], in the order of the walk."""
    cell, values = walk.cell, walk.values
    carry, deposits = cell.kept(values), cell.deposits(values)
    kept = unroll(carry, summary_weights(walk.y, part) * cell.exposed(values))
    if not len(kept):
        return deposits, kept, float(part == "last") * start[0].astype(np.float64)
    return deposits, kept, carry[0] * kept[0] * start[-1]


def _in_time(account: tuple[Array, Array, Array], reverse: bool) -> tuple[Array, Array, Array]:
    deposits, kept, opening = account
    return (deposits[::-1], kept[::-1], opening) if reverse else account


def _summary(
    last: Sequence[Trace], walks: Sequence[Walk], states: Sequence[npt.NDArray[Any]], summary: str
) -> npt.NDArray[Any]:
    """Summarises the row as the model does."""
    in_time = [walk.y[::-1] if trace.reverse else walk.y for trace, walk in zip(last, walks, strict=True)]
    y = np.concatenate(in_time, axis=1)[:, None]
    finals = [walk.y[-1] if len(walk.y) else state for walk, state in zip(walks, states, strict=True)]
    vector: npt.NDArray[Any] = summarize(y, np.stack(finals)[:, None], np.array([len(y)]), summary)[0]
    return vector
