"""Growth and decay along a curve of log norms: a rate, and a sentence.

A curve holds log10 of a norm at the distances 0..n, over that at distance 0: float64 [n + 1], starting with 0; −inf
where nothing is left.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

HOLDS = 1.0  # decades within which a norm neither vanishes nor explodes, from one end to the other
SHORT = 100  # steps that are looked ahead in a shorter walk: five steps may hold a norm that twenty would not
FAR = 9  # decades that the sentence looks for
_FITTED = 200  # points that the rate is fitted to


def fitted_rate(curve: Array) -> float:
    """Fits the growth per step.

    It is the median slope between all pairs of points (Theil 1950, Sen 1968), which stays what it is when two points in
    seven are off: the first steps, or an end where nothing is left to lose, do not count.

        >>> round(fitted_rate(np.array([0, -1, -2, -3, -4, -5, -5, -np.inf])), 3)
        0.1

    Args:
        curve: A curve.

    Returns:
        Growth per step: 0.83 is a factor of 0.83 a step. 0 if nothing is left after the first step, NaN without a step.
    """
    distances = np.flatnonzero(np.isfinite(curve))
    if len(distances) < 2:
        return 0.0 if len(curve) > 1 else float("nan")
    chosen = distances[np.linspace(0, len(distances) - 1, min(_FITTED, len(distances))).round().astype(np.intp)]
    i, j = np.triu_indices(len(chosen), 1)
    return float(10 ** np.median((curve[chosen[j]] - curve[chosen[i]]) / (chosen[j] - chosen[i])))


def doubling_time(rate: float) -> float:
    """Returns the steps in which a rate doubles a norm, or halves it; inf for a rate of 1."""
    with np.errstate(divide="ignore"):
        return float(np.log(2) / np.abs(np.log(np.float64(rate))))


def describe(curve: Array, rate: float) -> str:
    """Puts a curve of norms by distance into words.

    It is said to hold if the fitted rate, and what is left at the end, change it by less than a factor of 10; where
    there are less than 100 steps and so many would change it more, that is said too. Where the rate says one thing and
    the end another, it is uneven.

        >>> describe(np.arange(300) * np.log10(0.83), 0.83)
        'vanishes: a factor 0.83 a step, half gone after 4 steps, 1e-9 after 112'

    Args:
        curve: A curve.
        rate: Its growth per step.
    """
    n = len(curve) - 1
    if n == 0:
        return "there is no step, and nothing to tell"
    factor = f"a factor {_factor(rate)} a step"
    change = n * np.log10(rate) if rate else -np.inf
    gone = curve[n] == -np.inf
    if gone and rate >= 1:
        return f"vanishes: nothing is left after {_steps(int(np.argmin(curve)))}"
    steady, at_end = abs(change) < HOLDS, abs(curve[n]) < HOLDS
    left = f"{power(curve[n])} of it left" if curve[n] <= 0 else f"{power(curve[n])} times it"
    if steady and not at_end and change * curve[n] <= 0:
        return f"uneven: {factor} at most distances, yet {left} after {_steps(n)}"
    if steady and at_end:
        ahead = max(n, SHORT) * np.log10(rate)
        beyond = f"; {power(ahead)} after {SHORT} at that rate" if abs(ahead) >= HOLDS else ""
        return f"holds: {factor}, {left} after {_steps(n)}{beyond}"
    word, half, sign = ("vanishes", "half gone", -1) if change < 0 else ("explodes", "doubled", 1)
    halved = f", {half} after {_steps(max(1, round(doubling_time(rate))))}" if rate not in {0.0, 1.0} else ""
    far = np.flatnonzero(sign * curve >= FAR)
    distance = int(far[0] if len(far) else np.argmax(sign * curve))
    reached = np.clip(curve[distance], -FAR, FAR) if np.isfinite(curve[distance]) else -np.inf
    return f"{word}: {factor}{halved}, {power(reached)} after {distance}"


def _steps(count: int) -> str:
    return f"{count} step" + "s" * (count != 1)


def _factor(rate: float) -> str:
    """Writes a rate with two decimals, and with more where it is close to 1."""
    if rate < 0.1:
        return f"{rate:.2g}"
    return f"{rate:.{int(np.clip(np.ceil(-np.log10(abs(1 - rate) or 1)), 2, 6))}f}"


def power(log: float) -> str:
    """Writes 10^log as 3e-4, 0.02 or 150, however small or large it is; 0 for a log of −inf."""
    if log == -np.inf or -2 <= log < 3:
        value = 10.0**log
        return f"{value:.2g}" if value < 99.5 else f"{value:.0f}"
    exponent = int(np.floor(log))
    digit = round(10 ** (log - exponent))
    return f"{digit}e{exponent}" if digit < 10 else f"1e{exponent + 1}"
