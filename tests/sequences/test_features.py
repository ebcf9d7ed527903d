"""The features of a sequence: scaled one by one, gaps filled."""

from typing import Any

import numpy as np
import pytest

from tidegate.sequences.features import LIMIT, Features, statistics, steps_first

NAN = np.nan


def test_scales_do_not_follow_outliers() -> None:
    """Center and spread are those of the middle half: a few broken readings change neither, and are cut."""
    x = np.random.default_rng(0).normal(20, 5, (10_000, 1))
    clean = Features.of([x])
    x[::100] = 1e12
    broken = Features.of([x])
    np.testing.assert_allclose(clean.center, 20, atol=0.2)
    np.testing.assert_allclose(clean.scale, 5, rtol=0.03)
    np.testing.assert_allclose([broken.center, broken.scale], [clean.center, clean.scale], rtol=0.03)
    assert broken.read("x", x)[0, 0] == LIMIT


@pytest.mark.parametrize(
    ("column", "center", "scale"),
    [
        ([7.0] * 4, 7.0, 1.0),
        ([0.0] * 7 + [8.0], 0.0, 8 * np.sqrt(7) / 8),
        ([NAN, NAN], 0.0, 1.0),
        ([0.0, 1e-60], 0.0, 1.0),
    ],
)
def test_features_that_hardly_vary(column: list[float], center: float, scale: float) -> None:
    """Where the quartiles are equal the spread is the standard deviation, and 1 where float32 has no other."""
    features = Features.of([np.array(column)[:, None]])
    assert features.center[0] == pytest.approx(center)
    assert features.scale[0] == pytest.approx(scale)


def test_gaps_are_filled_by_hand() -> None:
    """The last value is carried on; an indicator and the time since last seen follow, of features with gaps only."""
    features = Features(np.array([10, 0], np.float32), np.array([2, 1], np.float32), (0,))
    x = np.array([[NAN, 1], [14, 2], [NAN, 3], [NAN, 4], [8, 5]])
    rows = [[0, 1, 1, 1], [2, 2, 0, 0], [2, 3, 1, 1], [2, 4, 1, 2], [-1, 5, 0, 0]]
    expected = np.array(rows, np.float64)
    expected[:, 3] = np.log1p(expected[:, 3])
    np.testing.assert_allclose(features.read("x", x), expected, rtol=1e-6)
    assert features.names(("speed", "load")) == ("speed", "load", "speed missing", "speed last seen")
    assert features.read("x", x[:0]).shape == (0, features.size)


def test_a_sequence_is_read_alike_in_pieces_without_gaps() -> None:
    """Scaling looks at one step at a time, so that a stream may be read in chunks."""
    x = np.random.default_rng(1).standard_normal((9, 3))
    features = Features.of([x])
    parts = np.concatenate([features.read("x", x[:4]), features.read("x", x[4:])])
    assert parts.tobytes() == features.read("x", x).tobytes()


WRONG: dict[str, tuple[Any, str]] = {
    "a gap": ([[1.0, 2.0], [NAN, 2.0]], "x has NaN at step 1, feature 0, which was never missing in training"),
    "infinite": ([[1.0, np.inf]], "x has inf at step 0, feature 1, expected a number"),
    "infinite where gaps are": ([[1.0, -np.inf]], "x has -inf at step 0, feature 1, expected a number"),
}


@pytest.mark.parametrize(("x", "message"), WRONG.values(), ids=WRONG.keys())
def test_numbers_that_are_none_are_named(x: Any, message: str) -> None:
    """An error names the sequence, the step and the feature."""
    with pytest.raises(ValueError, match=message):
        Features(np.zeros(2, np.float32), np.ones(2, np.float32), (1,)).read("x", np.array(x))


def test_nothing_cannot_be_measured() -> None:
    """Without a step there is no scale."""
    for nothing in ([], [np.empty((0, 2))]):
        with pytest.raises(ValueError, match="and no step, expected one step"):
            Features.of(nothing)


def test_channels_first_is_turned_round() -> None:
    """Arrays [B, K, T] and lists of [K, T] become [B, T, K] and [T, K]."""
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(np.asarray(steps_first(x, "channels_first")), x.transpose(0, 2, 1))
    assert np.array_equal(list(steps_first(list(x), "channels_first"))[1], x[1].T)
    assert steps_first(x, "steps_first") is x
    with pytest.raises(ValueError, match=r"sequences has shape \(3, 4\), expected \[B, K, T\]"):
        steps_first(x[0], "channels_first")
    with pytest.raises(ValueError, match="layout is 'time', expected one of"):
        steps_first(x, "time")


def test_statistics_are_those_of_numpy() -> None:
    """Mean, deviation, extremes, the slope of each quarter, and the length."""
    x = np.array([[0], [1], [2], [3], [4], [4], [4], [0], [-4]], np.float32)
    slopes = [1, 1, 0, -4]
    expected = [x.mean(), x.std(), x.min(), x.max(), *slopes, np.log(10)]
    np.testing.assert_allclose(statistics(x), expected, rtol=1e-6)
    assert statistics(x[:1])[4:8].tolist() == [0, 0, 0, 0]
    assert not statistics(x[:0]).any()
