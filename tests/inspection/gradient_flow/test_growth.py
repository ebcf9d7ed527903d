"""Rates of curves of log norms, and the sentences about them."""

import numpy as np
import pytest

from tidegate.inspection.gradient_flow.growth import describe, doubling_time, fitted_rate, power


def curve(rate: float, n: int) -> np.ndarray:
    return np.asarray(np.arange(n + 1) * np.log10(rate))


@pytest.mark.parametrize("rate", [0.1, 0.83, 1.0, 1.3])
def test_a_steady_rate_is_found(rate: float) -> None:
    """The rate of a geometric curve is its factor, whatever its length."""
    for n in (1, 2, 30, 5000):
        assert fitted_rate(curve(rate, n)) == pytest.approx(rate)


def test_the_ends_do_not_count() -> None:
    """A steep start, an end that has sunk to the ground and one where nothing is left do not change the rate."""
    steep = np.concatenate([[0], curve(0.9, 100) - 3])
    sunk = np.maximum(curve(0.9, 120), np.log10(0.9) * 100)
    gone = np.concatenate([curve(0.9, 100), np.full(50, -np.inf)])
    assert fitted_rate(steep) == pytest.approx(0.9, abs=0.002)
    assert fitted_rate(sunk) == pytest.approx(0.9, abs=0.002)
    assert fitted_rate(gone) == pytest.approx(0.9)


def test_a_rate_without_steps() -> None:
    """Without a step there is no rate; where nothing is left after one, it is 0."""
    assert np.isnan(fitted_rate(np.zeros(1)))
    assert fitted_rate(np.array([0, -np.inf])) == 0


def test_a_rate_doubles_or_halves() -> None:
    """A rate of √2 doubles in two steps and one of ½ halves in one; a rate of 1 never does."""
    assert doubling_time(2**0.5) == pytest.approx(2)
    assert doubling_time(0.5) == pytest.approx(1)
    assert doubling_time(1.0) == np.inf
    assert doubling_time(0.0) == 0


@pytest.mark.parametrize(
    ("norms", "sentence"),
    [
        (curve(0.83, 300), "vanishes: a factor 0.83 a step, half gone after 4 steps, 1e-9 after 112"),
        (curve(0.83, 40), "vanishes: a factor 0.83 a step, half gone after 4 steps, 6e-4 after 40"),
        (curve(0.4, 20), "vanishes: a factor 0.40 a step, half gone after 1 step, 1e-8 after 20"),
        (curve(1.21, 300), "explodes: a factor 1.21 a step, doubled after 4 steps, 1e9 after 109"),
        (curve(1.1, 60), "explodes: a factor 1.10 a step, doubled after 7 steps, 304 after 60"),
        (curve(0.997, 457), "holds: a factor 0.997 a step, 0.25 of it left after 457 steps"),
        (curve(1.0, 5), "holds: a factor 1.00 a step, 1 of it left after 5 steps"),
        (np.array([0.0, -np.inf]), "vanishes: a factor 0 a step, 0 after 1"),
        (np.array([0, -1, -2, -np.inf]), "vanishes: a factor 0.10 a step, half gone after 1 step, 0 after 3"),
        (np.array([0, 0, 0, -np.inf]), "vanishes: nothing is left after 3 steps"),
        (curve(0.65, 5), "holds: a factor 0.65 a step, 0.12 of it left after 5 steps; 2e-19 after 100 at that rate"),
        (curve(1.23, 1), "holds: a factor 1.23 a step, 1.2 times it after 1 step; 1e9 after 100 at that rate"),
        (np.array([*np.arange(12) * 0.1, -2]), "explodes: a factor 1.26 a step, doubled after 3 steps, 13 after 11"),
        (
            np.array([0, -0.4, *np.linspace(-0.5, -1.14, 16)]),
            "vanishes: a factor 0.91 a step, half gone after 7 steps, 0.072 after 17",
        ),
        (
            np.array([*np.arange(12) * 0.02, -1.5]),
            "uneven: a factor 1.05 a step at most distances, yet 0.032 of it left after 12 steps",
        ),
        (np.zeros(1), "there is no step, and nothing to tell"),
    ],
)
def test_curves_are_described(norms: np.ndarray, sentence: str) -> None:
    """The sentence says which way norms go, how fast, and what is reached within the sequence."""
    assert describe(norms, fitted_rate(norms)) == sentence


@pytest.mark.parametrize(
    ("log", "written"),
    [
        *((-np.inf, "0"), (-1505.2, "6e-1506"), (-4.0, "1e-4"), (-3.02, "1e-3"), (-1.7, "0.02"), (0.0, "1")),
        *((np.log10(99.6), "100"), (2.18, "151"), (2.9996, "999"), (3.0, "1e3"), (8.9999, "1e9"), (400.5, "3e400")),
    ],
)
def test_powers_are_written_whatever_their_size(log: float, written: str) -> None:
    """Numbers that no float holds are written as others are."""
    assert power(log) == written
