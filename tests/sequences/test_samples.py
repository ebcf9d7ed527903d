"""Samples of sound, in whatever type they come."""

from typing import Any

import numpy as np
import pytest

from tidegate.sequences.samples import as_sound, is_one_clip, looks_like_sound

SIXTEEN = np.array([0, 16384, -32768, 1, 32767], np.int16)

ALIKE: dict[str, Any] = {
    "int16": SIXTEEN,
    "one channel": SIXTEEN[:, None],
    "float32": SIXTEEN / np.float32(32768),
    "float64": SIXTEEN / 32768,
    "int32, as 24 and 32 bits are read": SIXTEEN.astype(np.int32) << 16,
    "whole numbers of a list": SIXTEEN.tolist(),
}


@pytest.mark.parametrize("samples", ALIKE.values(), ids=ALIKE.keys())
def test_one_sound_has_the_same_bits_in_each_type(samples: Any) -> None:
    """Full scale becomes 1, and 16 bits are kept exactly."""
    sound = as_sound("clip", samples)
    assert sound.dtype == np.float32
    assert sound.tobytes() == (SIXTEEN.astype(np.float64) / 32768).astype(np.float32).tobytes()


def test_eight_bits_have_their_zero() -> None:
    """Unsigned ones, as in WAV files, have it at 128."""
    assert as_sound("clip", np.array([128, 0, 192], np.uint8)).tolist() == [0.0, -1.0, 0.5]
    assert as_sound("clip", np.array([0, -128, 64], np.int8)).tolist() == [0.0, -1.0, 0.5]
    assert as_sound("clip", []).shape == (0,)


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "stereo": (np.zeros((9, 2)), ValueError, r"clip has shape \(9, 2\), expected samples of one channel, \[N\]: of"),
    "a number": (np.float64(3), ValueError, r"clip has shape \(\), expected samples"),
    "16 bits as floats": (SIXTEEN.astype(float), ValueError, "clip has 16384 at sample 1, expected .*: give 16-bit"),
    "NaN": ([0.0, np.nan], ValueError, "clip has nan at sample 1, expected floats whose full scale is 1$"),
    "infinite": ([-np.inf], ValueError, "clip has -inf at sample 0"),
    "more than 16 bits": ([0, 40_000], ValueError, "clip has a sample of 40000, expected 16-bit samples"),
    "text": (["a"], TypeError, "clip has dtype <U1, expected samples"),
    "truth": (np.array([True]), TypeError, "clip has dtype bool, expected samples"),
    "uint16": (np.zeros(2, np.uint16), TypeError, "clip has dtype uint16, expected samples"),
}  # fmt: skip


@pytest.mark.parametrize(("samples", "error", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_sound_is_named(samples: Any, error: type[Exception], message: str) -> None:
    """The error names the place and the first wrong sample."""
    with pytest.raises(error, match=message):
        as_sound("clip", samples)


def test_a_clip_is_told_from_several() -> None:
    """An array of one axis is a clip, and one of two axes several, unless there is one number in each row."""
    assert is_one_clip(np.zeros(5))
    assert is_one_clip(np.zeros((5, 1)))
    assert not is_one_clip(np.zeros((2, 5)))
    assert not is_one_clip([np.zeros(5)])
    assert not is_one_clip(np.array([np.zeros(5), np.zeros(4)], object))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([[-900.0], [800.0]], True),
        ([[-900.0], [800.5]], False),
        ([[900.0], [800.0]], False),
        ([[-9.0], [8.0]], False),
        ([[-900.0], [80_000.0]], False),
        ([[-900.0, 1.0], [800.0, 1.0]], False),
        ([[-900.0], [np.nan]], False),
    ],
)
def test_samples_among_other_numbers_are_known(steps: list[list[float]], expected: bool) -> None:
    """Whole numbers of 16 bits on both sides of 0, one a step, look like sound; an empty sequence says nothing."""
    assert looks_like_sound([np.array(steps), np.zeros((0, 1))]) is expected
