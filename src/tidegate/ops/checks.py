"""Checks of arrays at the public edge, in the dimension letters of the documentation.

One call has one dictionary of sizes. Each check binds letters that have no size yet and compares the others, so that
an error can say where the expected size comes from:

    >>> import numpy as np
    >>> sizes: Sizes = {}
    >>> x = check("x", np.zeros((5, 4, 3), np.float32), "T B I", sizes)
    >>> h0 = check("h0", np.zeros((3, 64), np.float32), "B H", sizes)
    Traceback (most recent call last):
    ...
    ValueError: h0 has shape (3, 64), expected [B, H] = (4, 64): B=4 comes from x
"""

from collections.abc import Collection, Sequence
from functools import cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Sizes = dict[str, tuple[int, str]]
"""The size of each dimension letter and of each product of letters so far, and the argument that it comes from."""


def check(name: str, array: Any, letters: str, sizes: Sizes) -> npt.NDArray[np.float32]:
    """Checks a float32 array against dimension letters, and binds the letters that have no size yet.

    Args:
        name: The argument's name, for errors.
        array: The argument.
        letters: One word for each axis: a letter, "T B I", or a product of letters that have sizes, "G·H I".
        sizes: Sizes known so far; single letters that are new get the sizes of this array.

    Returns:
        The same array.

    Raises:
        TypeError: It is no numpy array of float32.
        ValueError: Its number of axes or a size is not the expected one.
    """
    axes, products = _axes(letters)
    if type(array) is np.ndarray and array.dtype is _FLOAT32 and array.ndim == len(axes) and products <= sizes.keys():
        count = len(sizes)
        for axis, size in zip(axes, array.shape):  # noqa: B905 - as many of both
            if sizes.setdefault(axis, (size, name))[0] != size:
                break
        else:
            return array
        while len(sizes) > count:
            sizes.popitem()
    return _check_in_full(name, array, axes, sizes)


_FLOAT32 = np.dtype(np.float32)


@cache
def _axes(letters: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Splits "T B G·H" into axes, and says which are products."""
    axes = tuple(letters.split())
    return axes, frozenset(axis for axis in axes if "·" in axis)


def _check_in_full(name: str, array: Any, axes: Sequence[str], sizes: Sizes) -> npt.NDArray[np.float32]:
    """Multiplies products that have no size yet, and says what is wrong with an array."""
    expected = f"[{', '.join(axes)}]"
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} is a {_type_name(array)}, expected a numpy array of float32 {expected}")
    if array.dtype != np.float32:
        raise TypeError(f"{name} has dtype {array.dtype}, expected float32: convert it with {name}.astype(np.float32)")
    if array.ndim != len(axes):
        raise ValueError(f"{name} has shape {array.shape}, expected {len(axes)} axes {expected}")

    known = {axis: (size, name) for axis, size in zip(axes, array.shape, strict=True) if "·" not in axis} | sizes
    for axis in axes:
        if axis not in known:
            known[axis] = (prod([known[letter][0] for letter in axis.split("·")]), name)
    shape = tuple([known[axis][0] for axis in axes])
    if array.shape != shape:
        letters = [letter for letter in dict.fromkeys("·".join(axes).split("·")) if letter in sizes]
        origins = ", ".join(f"{letter}={sizes[letter][0]} comes from {sizes[letter][1]}" for letter in letters)
        raise ValueError(f"{name} has shape {array.shape}, expected {expected} = {shape}: {origins}")
    sizes.update(known)
    return array


def check_output(name: str, array: Any, letters: str, sizes: Sizes) -> npt.NDArray[np.float32]:
    """Checks an array that results are written to: as `check`, and writeable with a contiguous last axis.

    Raises:
        TypeError: It is no numpy array of float32.
        ValueError: It has another shape, is read-only, its last axis has gaps, or its rows lie between two numbers.
    """
    checked = check(name, array, letters, sizes)
    if not checked.flags.writeable:
        raise ValueError(f"{name} is read-only, expected a writeable array: results are written to it")
    if checked.size and checked.shape[-1] > 1 and checked.strides[-1] != checked.itemsize:
        raise ValueError(
            f"{name} has strides {checked.strides} (bytes), expected {checked.itemsize} for the last axis: "
            f"results are written to it in contiguous rows"
        )
    if any(stride % checked.itemsize for stride in checked.strides):
        raise ValueError(f"{name} has strides {checked.strides} (bytes), expected multiples of {checked.itemsize}")
    return checked


def check_lengths(lengths: npt.ArrayLike, sizes: Sizes) -> npt.NDArray[np.int64]:
    """Checks the number of steps of each row against T and B.

    Args:
        lengths: Integers [B] in 0..T, in any order.
        sizes: Sizes of T and B.

    Returns:
        The lengths as a contiguous int64 array.

    Raises:
        TypeError: They are no integers.
        ValueError: Their number is not B, or one of them is outside of 0..T.
    """
    values = _integers("lengths", lengths)
    (T, source_T), (B, source_B) = sizes["T"], sizes["B"]
    if values.shape != (B,):
        raise ValueError(f"lengths has shape {values.shape}, expected [B] = ({B},): B={B} comes from {source_B}")
    for b in np.flatnonzero((values < 0) | (values > T))[:1]:
        raise ValueError(f"lengths[{b}] is {values[b]}, expected 0..{T}: T={T} comes from {source_T}")
    return values


def check_batch_sizes(batch_sizes: npt.ArrayLike, sizes: Sizes) -> npt.NDArray[np.int64]:
    """Checks the number of rows at each step of a packed sequence against N, and binds T and B.

    Args:
        batch_sizes: Integers [T], non-increasing, that sum to N.
        sizes: Size of N, the rows of the packed data.

    Returns:
        The batch sizes as a contiguous int64 array.

    Raises:
        TypeError: They are no integers.
        ValueError: They are negative, increase, or do not sum to N.
    """
    values = _integers("batch_sizes", batch_sizes)
    N, source_N = sizes["N"]
    if values.ndim != 1:
        raise ValueError(f"batch_sizes has shape {values.shape}, expected 1 axis [T]")
    for t in np.flatnonzero(values < 0)[:1]:
        raise ValueError(f"batch_sizes[{t}] is {values[t]}, expected 0 or more")
    for t in np.flatnonzero(np.diff(values) > 0)[:1] + 1:
        raise ValueError(
            f"batch_sizes[{t}] is {values[t]} after {values[t - 1]}, expected non-increasing sizes: "
            f"the rows of a packed sequence are sorted by length"
        )
    if values.sum() != N:
        raise ValueError(f"batch_sizes sums to {values.sum()}, expected N = {N}: N={N} comes from {source_N}")
    sizes["T"] = (len(values), "batch_sizes")
    sizes["B"] = (int(values[0]) if len(values) else 0, "batch_sizes")
    return values


def check_episode_starts(episode_starts: npt.ArrayLike, rows: str, sizes: Sizes) -> npt.NDArray[np.uint8]:
    """Checks the marks of the first steps of episodes.

    Args:
        episode_starts: Booleans [T, B], or [N] of a packed sequence.
        rows: Letters of their axes, "T B" or "N".
        sizes: Sizes of these letters.

    Returns:
        The marks as contiguous bytes, a copy that nobody else can change.

    Raises:
        TypeError: They are no booleans.
        ValueError: Their shape is another one.
    """
    marks = np.asarray(episode_starts)
    if marks.dtype != np.bool_:
        raise TypeError(
            f"episode_starts has dtype {marks.dtype}, expected bool: convert it with episode_starts.astype(bool)"
        )
    letters = rows.split()
    expected = tuple(sizes[letter][0] for letter in letters)
    if marks.shape != expected:
        origins = ", ".join(f"{letter}={sizes[letter][0]} comes from {sizes[letter][1]}" for letter in letters)
        raise ValueError(
            f"episode_starts has shape {marks.shape}, expected [{', '.join(letters)}] = {expected}: {origins}"
        )
    return np.array(marks, order="C").view(np.uint8)


def check_ids(ids: npt.ArrayLike, rows: str, sizes: Sizes) -> npt.NDArray[np.int64]:
    """Checks which row of a table each step reads, and binds the letters that have no size yet.

    Args:
        ids: Integers [T, B], or [N] of a packed sequence, in 0..V-1.
        rows: Letters of their axes, "T B" or "N".
        sizes: Size of V, the rows of the table.

    Returns:
        The numbers as a contiguous int64 array, which nobody else can change.

    Raises:
        TypeError: They are no integers.
        ValueError: Their number of axes is another one, or one of them is outside of 0..V-1.
    """
    values = _integers("ids", ids)
    letters, (V, source) = rows.split(), sizes["V"]
    if values.ndim != len(letters):
        raise ValueError(f"ids has shape {values.shape}, expected {len(letters)} axes [{', '.join(letters)}]")
    for letter, size in zip(letters, values.shape, strict=True):
        sizes.setdefault(letter, (size, "ids"))
    if values.size and not (values.min() >= 0 and values.max() < V):
        place = tuple(np.argwhere((values < 0) | (values >= V))[0].tolist())
        raise ValueError(f"ids{list(place)} is {values[place]}, expected 0..{V - 1}: V={V} comes from {source}")
    return values


def check_recompute(every: int | None) -> None:
    """Checks the steps of a segment whose gates are computed again.

    Raises:
        TypeError: They are no integer.
        ValueError: They are less than 1.
    """
    if every is None:
        return
    if isinstance(every, bool) or not isinstance(every, int):
        raise TypeError(f"recompute_every is {every!r:.60}, expected an integer or None")
    if every < 1:
        raise ValueError(f"recompute_every is {every}, expected 1 or more, or None")


def check_count(name: str, value: Any) -> int:
    """Returns a number of things as Python's own.

    Raises:
        ValueError: It is no integer of 1 or more.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} is {value!r:.60}, expected an integer of 1 or more")
    return int(value)


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Checks that an argument is one of a few words.

    Raises:
        ValueError: It is none of them.
    """
    if value not in choices:
        raise ValueError(f"{name} is {value!r:.60}, expected one of {', '.join(map(repr, choices))}")


def _integers(name: str, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Copies to a contiguous int64 array, which nobody else can change; floats and booleans are refused."""
    array = np.asarray(values)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name} has dtype {array.dtype}, expected integers")
    return np.array(array, np.int64, order="C")


def _type_name(value: object) -> str:
    module = type(value).__module__
    return type(value).__qualname__ if module == "builtins" else f"{module}.{type(value).__qualname__}"
