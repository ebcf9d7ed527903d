"""Tests of averages and compounding: what order does to them, lengths, bits, and the words of each error."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tidegate.sequences.pooling import POOLINGS, Array, average, compound, compounded
from tidegate.sequences.summaries import summarize


def test_average_forgets_the_order() -> None:
    """The same counts in another order have the same average."""
    counts = np.array([[10.0, 1], [12, 0], [15, 5]])
    first, second = average([counts, counts[::-1]])
    assert first.tolist() == second.tolist() == [37 / 3, 2.0]


def test_compound_of_rate_1_is_the_sum_and_of_rate_0_the_last_step() -> None:
    """Both ends of forgetting are plain sums and plain last steps."""
    x = np.random.default_rng(1).standard_normal((6, 4))
    assert compound([x], rate=1.0)[0] == pytest.approx(x.sum(axis=0))
    assert (compound([x], rate=0.0)[0] == x[-1]).all()


def test_compound_is_the_weighted_sum_of_its_deposits() -> None:
    """After T steps the deposit of step t has grown T − 1 − t times, each feature at its own rate."""
    x, rate = np.random.default_rng(2).standard_normal((9, 3)), np.array([0.5, 1.05, -2.0])
    weights = rate ** np.arange(8, -1, -1)[:, None]
    assert compound([x], rate)[0] == pytest.approx((weights * x).sum(axis=0))


@pytest.mark.parametrize("function", [average, lambda sequences: compound(sequences, 0.9)])
def test_ragged_lists_and_padded_arrays_agree(function: Callable[[Any], Array]) -> None:
    """A list of arrays, an array [B, T, I] and nested lists are the same sequences."""
    x = np.random.default_rng(3).standard_normal((4, 5, 2))
    expected = np.concatenate([function([row]) for row in x])
    for sequences in (x, list(x), x.tolist()):
        assert (function(sequences) == expected).all()


@pytest.mark.parametrize("function", [average, lambda sequences: compound(sequences, 0.9)])
def test_an_empty_sequence_gives_zeros(function: Callable[[Any], Array]) -> None:
    """Length 0 gives 0, wherever it stands, and whether or not it has a feature axis."""
    result = function([[], [[1.0, 2.0]], np.zeros((0, 2))])
    assert result[[0, 2]].tolist() == [[0, 0], [0, 0]]
    assert result[1].tolist() == [1, 2]
    assert function(np.zeros((0, 5, 3))).shape == (0, 3)
    assert function(np.zeros((2, 0, 3))).tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float32", "float32"), ("float16", "float32"), ("int64", "float64"), ("float64", "float64")],
)
def test_float64_is_kept_and_less_becomes_float32(dtype: str, expected: str) -> None:
    """The result's dtype is that of the sequences, at least float32; whole numbers count as float64."""
    sequences = [np.ones((3, 2), dtype)]
    assert average(sequences).dtype == compound(sequences, 2).dtype == expected


@given(arrays(np.float32, st.tuples(st.integers(0, 20), st.just(3)), elements=st.floats(-1e3, 1e3, width=32)))
def test_summaries_without_weights_have_the_same_bits_in_any_batch(x: npt.NDArray[np.float32]) -> None:
    """Neither average nor balance of a sequence depends on the others."""
    others = [np.ones((30, 3), np.float32), x, np.zeros((0, 3), np.float32)]
    assert average([x]).tobytes() == average(others)[1].tobytes()
    assert compound([x], 0.9).tobytes() == compound(others, 0.9)[1].tobytes()


WRONG_SEQUENCES: dict[str, tuple[Any, type[Exception], str]] = {
    "one sequence": (
        np.ones((7, 1)),
        ValueError,
        r"sequences has shape \(7, 1\), expected \[B, T, I\].*passed as \[x\]",
    ),
    "one axis": ([[1.0, 2.0]], ValueError, r"sequences\[0\] has shape \(2,\), expected \[T, I\]"),
    "other features": (
        [np.ones((2, 3)), np.ones((2, 4))],
        ValueError,
        r"sequences\[1\] has shape \(2, 4\), expected \[T, I\] with I=3: it comes from sequences\[0\]",
    ),
    "no sequence": ([], ValueError, "sequences holds 0 sequences and no step, expected one step: I is unknown"),
    "no step": ([[], []], ValueError, "sequences holds 2 sequences and no step"),
    "steps of different width": ([[[1.0], [1.0, 2.0]]], ValueError, r"sequences\[0\] is no array \[T, I\]: .*inhomog"),
    "words": ([[["a"], ["b"]]], TypeError, r"sequences\[0\] has dtype <U1, expected real numbers"),
    "complex numbers": ([np.ones((2, 1), complex)], TypeError, r"sequences\[0\] has dtype complex128"),
}


@pytest.mark.parametrize(("sequences", "kind", "message"), WRONG_SEQUENCES.values(), ids=WRONG_SEQUENCES.keys())
def test_wrong_sequences_are_named(sequences: Any, kind: type[Exception], message: str) -> None:
    """An error says which sequence has what, and what was expected."""
    for function in (average, lambda wrong: compound(wrong, 1.0)):
        with pytest.raises(kind, match=message):
            function(sequences)


@pytest.mark.parametrize(
    ("rate", "message"),
    [([1.0, 2.0], r"rate has shape \(2,\), expected one number or \[I\] = \(3,\)"), (np.nan, "rate is nan, expected")],
)
def test_wrong_rates_are_named(rate: Any, message: str) -> None:
    """A rate has one value, or one for each feature, and is finite."""
    with pytest.raises(ValueError, match=message):
        compound([np.ones((2, 3))], rate)


def test_compounded_keeps_a_row_at_its_own_end() -> None:
    """Padding earns no interest, and no row is 0 beyond its length but keeps what it has."""
    y, h = compounded(np.ones((3, 2, 1), np.float32), 2.0, np.array([3, 1]))
    assert y[:, :, 0].tolist() == [[1, 1], [3, 1], [7, 1]]
    assert h.tolist() == [[7], [1]]


def test_poolings_are_average_and_compound() -> None:
    """What a network reads without a recurrent layer has the values of the functions of the same names."""
    x = np.random.default_rng(4).standard_normal((5, 3, 2))
    lengths, rows = np.array([5, 2, 0]), [x[:5, 0], x[:2, 1], x[:0, 2]]
    x *= (np.arange(5)[:, None] < lengths)[..., None]
    for name, rate, expected in (("average", None, average(rows)), ("compound", 0.9, compound(rows, 0.9))):
        pooling = POOLINGS[name]
        found = summarize(*pooling.outputs(x, rate, lengths), lengths, pooling.summary)
        assert pooling.has_rate == (rate is not None)
        assert found == pytest.approx(expected)
