"""Log-mel frames of sound."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tidegate.sequences.logmel import LogMel

RATE = 8000
NOISE = np.random.default_rng(0).normal(0, 0.1, 2000).astype(np.float32)
OTHER = LogMel.of("logmel sample_rate=8000 window=hamming mel_scale=slaney norm=slaney remove_dc=true preemphasis=0.97")


SCALES: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "htk": (lambda hz: 2595 * math.log10(1 + hz / 700), lambda mel: 700 * (10 ** (mel / 2595) - 1)),
    "slaney": (
        lambda hz: 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4),
        lambda mel: 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27),
    ),
}
"""Hertz to mels, and back."""


def by_hand(front_end: LogMel, sound: Any, t: int) -> list[float]:
    """One frame by the definition, a number at a time, in float64."""
    f = front_end
    x = [float(v) for v in sound[t * f.hop_length : t * f.hop_length + f.win_length]]
    if f.remove_dc:
        mean = math.fsum(x) / len(x)
        x = [v - mean for v in x]
    x = [v - f.preemphasis * before for v, before in zip(x, [x[0], *x], strict=False)]
    a = {"hann": 0.5, "hamming": 0.54}[f.window]
    x = [v * (a - (1 - a) * math.cos(2 * math.pi * n / f.win_length)) for n, v in enumerate(x)]
    turns = np.exp(-2j * np.pi * np.outer(np.arange(f.n_fft // 2 + 1), np.arange(f.win_length)) / f.n_fft)
    power = np.abs(turns @ np.array(x)) ** 2
    mel, hertz = SCALES[f.mel_scale]
    low, high = mel(f.f_min), mel(f.f_max)
    edges = [hertz(low + (high - low) * i / (f.n_mels + 1)) for i in range(f.n_mels + 2)]
    features = []
    for start, peak, end in zip(edges, edges[1:], edges[2:], strict=False):
        energy = 0.0
        for k, p in enumerate(power):
            h = k * f.sample_rate / f.n_fft
            weight = max(0.0, min((h - start) / (peak - start), (end - h) / (end - peak)))
            energy += p * weight * (2 / (end - start) if f.norm == "slaney" else 1)
        features.append(math.log(energy + f.floor))
    return features


@pytest.mark.parametrize("front_end", [LogMel(sample_rate=RATE), OTHER], ids=["standard", "other choices"])
def test_frames_are_those_of_the_definition(front_end: LogMel) -> None:
    """Window, spectrum, bands and logarithm are what the docstring says, first and last frame too."""
    frames = front_end.frames(NOISE)
    assert frames.shape == (1 + (2000 - 200) // 80, 40)
    for t in (0, 11, len(frames) - 1):
        np.testing.assert_allclose(frames[t], by_hand(front_end, NOISE, t), atol=1e-5)


def test_power_is_that_of_torch() -> None:
    """torch.stft has the same windows, in the middle of its FFT: with zeros around the sound it has the same power."""
    front_end = LogMel(sample_rate=RATE, floor=1e-9)
    padded = torch.nn.functional.pad(torch.from_numpy(NOISE).double(), (28, 28))
    window = torch.hann_window(200, periodic=True, dtype=torch.float64)
    spectrum = torch.stft(padded, 256, 80, 200, window, center=False, return_complex=True)
    energies = (spectrum.abs() ** 2).numpy().T @ front_end._filters.T
    np.testing.assert_allclose(front_end.frames(NOISE), np.log(energies + 1e-9), atol=1e-5)


# librosa 0.11.0: melspectrogram(y, sr=8000, n_fft=256, win_length=256, hop_length=80, center=False, n_mels=8, fmin=20,
# htk=..., norm=...), then log(· + 1e-6), first frame, of y = sin(n²/200)/2, float64
LIBROSA = {
    "htk none": [-0.398277, 2.074104, 3.917394, 5.260327, 6.118335, 6.335331, 5.521493, 2.788975],
    "slaney slaney": [-4.461133, -2.430966, -1.189835, -0.369612, 0.102722, 0.082953, -0.855686, -3.622011],
}


@pytest.mark.parametrize("settings", LIBROSA)
def test_frames_are_those_of_librosa(settings: str) -> None:
    """With its settings they agree with librosa's, for both mel scales and norms."""
    scale, norm = settings.split()
    sizes: Any = {"sample_rate": RATE, "n_mels": 8, "win_length": 256, "n_fft": 256, "hop_length": 80}
    sound = (np.sin(np.arange(400.0) ** 2 / 200) / 2).astype(np.float32)
    frames = LogMel(**sizes, mel_scale=scale, norm=norm).frames(sound)
    np.testing.assert_allclose(frames[0], LIBROSA[settings], atol=1e-5)


@pytest.mark.parametrize("front_end", [LogMel(sample_rate=RATE), OTHER], ids=["standard", "other choices"])
@pytest.mark.parametrize("frames_of_a_piece", [1, 2, 3, 7, 16])
def test_a_frame_has_the_same_bits_wherever_it_is_computed(front_end: LogMel, frames_of_a_piece: int) -> None:
    """It depends on the samples of its window alone, not on how many frames are computed at once."""
    whole = front_end.frames(NOISE)
    for t in range(len(whole) - frames_of_a_piece + 1):
        piece = NOISE[t * 80 : (t + frames_of_a_piece - 1) * 80 + 200].copy()
        assert front_end.frames(piece).tobytes() == whole[t : t + frames_of_a_piece].tobytes()


def test_more_frames_than_are_computed_at_a_time() -> None:
    """They are those of the pieces."""
    front_end = LogMel(sample_rate=RATE, n_mels=4, win_length=16, hop_length=2, n_fft=64)
    sound = np.resize(NOISE, 2 * 1030 + 16)
    whole = front_end.frames(sound)
    assert len(whole) == 1031
    assert whole[1020:].tobytes() == front_end.frames(sound[2040:]).tobytes()


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (199, 0), (200, 1), (279, 1), (280, 2), (8000, 98)])
def test_only_whole_windows_are_frames(samples: int, frames: int) -> None:
    """A clip that is shorter than a window has none."""
    front_end = LogMel(sample_rate=RATE)
    assert front_end.frames(np.zeros(samples, np.float32)).shape == (frames, 40)
    assert front_end.count(np.array([samples])).tolist() == [frames]


def test_silence_is_the_floor() -> None:
    """Its features are finite: log(floor)."""
    np.testing.assert_allclose(LogMel(sample_rate=RATE, floor=1e-3).frames(np.zeros(200, np.float32)), np.log(1e-3))


def test_sizes_follow_from_the_sample_rate() -> None:
    """A window has 25 ms, a hop 10 ms, and the FFT the next power of two."""
    front_end = LogMel(sample_rate=16_000)
    assert (front_end.win_length, front_end.hop_length, front_end.n_fft, front_end.f_max) == (400, 160, 512, 8000)
    assert front_end.seconds([0, 1]).tolist() == [0.0125, 0.0225]
    assert front_end.names[:2] == ("65 Hz", "113 Hz")


@pytest.mark.parametrize("front_end", [LogMel(sample_rate=44_100, floor=1e-10, f_min=0.1), OTHER])
def test_a_front_end_is_a_text(front_end: LogMel) -> None:
    """Its text has all of it, and makes the same value; a text may also say a part."""
    assert LogMel.of(str(front_end)) == front_end == LogMel.of(front_end)
    assert hash(LogMel.of(str(front_end))) == hash(front_end)
    assert LogMel.of("logmel", sample_rate=RATE) == LogMel(sample_rate=RATE)
    assert (LogMel.rate_in("logmel n_mels=3"), LogMel.rate_in("logmel sample_rate=8000")) == (None, 8000)


TEXTS: dict[str, tuple[str, str]] = {
    "nothing": ("", "the front-end is '', expected 'logmel'"),
    "another": ("mfcc sample_rate=8000", "the front-end is 'mfcc', expected 'logmel'"),
    "no rate": ("logmel n_mels=8", "the samples a second are not known: say them, as in 'logmel sample_rate=16000'"),
    "unknown": ("logmel sample_rate=8000 bands=8", "the front-end has 'bands=8', expected each once: sample_rate="),
    "twice": ("logmel sample_rate=8000 n_mels=8 n_mels=9", "the front-end has 'n_mels=9', expected each once"),
    "no number": ("logmel sample_rate=8 kHz", "the front-end has 'kHz'"),
    "a fraction": ("logmel sample_rate=8000 n_mels=8.5", "n_mels is '8.5', expected int"),
    "no truth": ("logmel sample_rate=8000 remove_dc=maybe", "remove_dc is 'maybe', expected bool"),
    "centred": ("logmel sample_rate=8000 center=true", "center=True, dither=0.0, expected False and 0"),
    "dithered": ("logmel sample_rate=8000 dither=1", "center=False, dither=1.0, expected False and 0"),
    "a window": ("logmel sample_rate=8000 window=povey", "window is 'povey', expected one of 'hann', 'hamming'"),
    "too many bands": ("logmel sample_rate=8000 n_mels=128", "but band 4 lies between two points of an FFT of 256"),
    "a large hop": ("logmel sample_rate=8000 hop_length=201", "hop_length=201, win_length=200, n_fft=256, expected"),
    "a small FFT": ("logmel sample_rate=8000 n_fft=128", "win_length=200, n_fft=128, expected hop_length ≤ win_length"),
    "beyond half the rate": ("logmel sample_rate=8000 f_max=4001", "f_max=4001.0, expected 0 ≤ f_min < f_max ≤ 4000.0"),
    "no band": ("logmel sample_rate=8000 f_min=4000", "from f_min=4000.0 to f_max=4000.0"),
    "not a number": ("logmel sample_rate=8000 f_min=nan", "from f_min=nan to f_max=4000.0"),
    "no floor": ("logmel sample_rate=8000 floor=0", "floor is 0.0, expected a number above 0"),
    "too much emphasis": ("logmel sample_rate=8000 preemphasis=2", "preemphasis is 2.0, expected 0..1"),
    "a huge FFT": ("logmel sample_rate=8000 n_fft=1048576", "n_fft is 1048576, expected 1..16,384"),
    "a low rate": ("logmel sample_rate=1", "win_length is 0, expected 1..16,384"),
    "a negative size": ("logmel sample_rate=8000 win_length=-5", "win_length is -5, expected 1..16,384"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), TEXTS.values(), ids=TEXTS.keys())
def test_wrong_texts_are_named(text: str, message: str) -> None:
    """An error names what cannot be meant."""
    with pytest.raises(ValueError, match=message):
        LogMel.of(text)


def test_wrong_types_and_rates_are_named() -> None:
    """Values are of their own types, and the rate of a file is that of the front-end."""
    with pytest.raises(TypeError, match=r"n_mels is 8\.0, expected int"):
        LogMel(sample_rate=RATE, n_mels=8.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the front-end is 3, expected a text such as"):
        LogMel.of(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the sound has 8000 samples a second, not 16000 as the front-end says"):
        LogMel.of("logmel sample_rate=16000", RATE)
