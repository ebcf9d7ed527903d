"""Sound as the front-end reads it: samples of one channel, float32, full scale 1."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Sound = npt.NDArray[np.float32]

_LOUDEST = 64.0  # full scales; numbers beyond it are 16-bit samples as floats, or no sound

_SCALES: dict[str, tuple[float, float]] = {  # full scale, and the zero
    "int8": (2.0**7, 0),
    "uint8": (2.0**7, 2**7),
    "int16": (2.0**15, 0),
    "int32": (2.0**31, 0),
    "int64": (2.0**15, 0),  # what lists of whole numbers become, as JSON has them
}


def as_sound(name: str, source: npt.ArrayLike) -> Sound:
    """Makes samples float32 whose full scale is 1: those of 16 bits are divided by 32,768, floats are as they are.

    Example:
        >>> as_sound("clip", np.array([16384, -32768], np.int16)).tolist()
        [0.5, -1.0]

    Args:
        name: What errors call it.
        source: Samples of one channel, [N] or [N, 1]: floats of full scale 1; int16; int32, whose full scale is 2³¹, as
            other libraries read 24 and 32 bits; int8, or uint8, whose zero is 128; whole numbers of other origin, such
            as a list of int, are 16-bit samples.

    Returns:
        float32 [N].

    Raises:
        TypeError: They are no numbers.
        ValueError: There are several channels, or a sample is missing, not finite or far beyond full scale.
    """
    array = np.asarray(source)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        hint = ": of several channels, give the mean" if array.ndim == 2 else ""
        raise ValueError(f"{name} has shape {array.shape}, expected samples of one channel, [N]{hint}")
    if array.dtype.kind == "f" or not array.size:
        return _checked(name, array.astype(np.float32))
    if array.dtype.name not in _SCALES:
        raise TypeError(f"{name} has dtype {array.dtype}, expected samples: floats, int16, int32, int8 or uint8")
    scale, zero = _SCALES[array.dtype.name]
    if array.dtype.itemsize == 8 and np.abs(array).max() > scale:
        raise ValueError(f"{name} has a sample of {array[np.abs(array).argmax()]}, expected 16-bit samples")
    return ((array.astype(np.float64) - zero) / scale).astype(np.float32)


def _checked(name: str, sound: Sound) -> Sound:
    """Checks floats.

    Raises:
        ValueError: One is not finite or far beyond full scale.
    """
    wrong = ~(np.abs(sound) <= _LOUDEST)
    if wrong.any():
        first = int(wrong.argmax())
        hint = ": give 16-bit samples as int16, or divided by 32,768" if np.isfinite(sound[first]) else ""
        raise ValueError(f"{name} has {sound[first]:g} at sample {first}, expected floats whose full scale is 1{hint}")
    return sound


def looks_like_sound(sequences: Sequence[npt.NDArray[Any]]) -> bool:
    """Whether sequences [T, 1] look like 16-bit samples: whole numbers on both sides of 0, some of them large."""
    if not all(steps.ndim == 2 and steps.shape[1] == 1 and np.isfinite(steps).all() for steps in sequences):
        return False
    low = min((float(steps.min()) for steps in sequences if len(steps)), default=0.0)
    high = max((float(steps.max()) for steps in sequences if len(steps)), default=0.0)
    return -(2**15) <= low < -_LOUDEST < _LOUDEST < high < 2**15 and all(map(_are_whole, sequences))


def _are_whole(steps: npt.NDArray[Any]) -> bool:
    return bool((steps == np.round(steps)).all())


def is_one_clip(source: Any) -> bool:
    """Whether samples are those of one clip, an array [N] or [N, 1], and not several clips."""
    return isinstance(source, np.ndarray) and source.dtype != object and (source.ndim == 1 or source.shape[1:] == (1,))
