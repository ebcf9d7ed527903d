"""Log-mel frames: the front-end that makes a sequence of vectors of sound."""

from dataclasses import MISSING, Field, dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tidegate.ops.checks import check_choice

Floats = npt.NDArray[np.float64]

WINDOWS = {"hann": 0.5, "hamming": 0.54}
MEL_SCALES = ("htk", "slaney")
NORMS = ("none", "slaney")

_LIMITS = {"sample_rate": 2**20, "n_fft": 2**14, "win_length": 2**14, "hop_length": 2**14, "n_mels": 512}
_FRAMES = 1024  # that are computed at a time
_NO_STREAM = "only what needs no later sample can be read as it arrives"


@dataclass(frozen=True, kw_only=True)
class LogMel:
    """The logarithms of the energies of mel bands, in windows of sound: frames [T, n_mels] of samples [N].

    Frame t is made of the samples t·hop_length … t·hop_length + win_length − 1, all of which must be there, so T is
    1 + (N − win_length) // hop_length, and 0 where N is below win_length. Of each window the mean is taken off
    (`remove_dc`), x_n − preemphasis · x_{n−1} is formed (x_{−1} is x_0), and both as Kaldi does it; the product with a
    periodic window is filled up with zeros to `n_fft`; its power spectrum |FFT|² is weighed by triangles, one for each
    band, that are evenly spaced on the mel scale, and log(energy + floor) is a feature. No dither is added. The result
    has the same bits however the samples are cut into chunks, see `count`.

    The names are those of torchaudio.

    Example:
        >>> front_end = LogMel.of("logmel n_mels=20", sample_rate=8000)
        >>> front_end.frames(np.zeros(8000, np.float32)).shape
        (98, 20)
        >>> LogMel.of(str(front_end)) == front_end
        True

    Attributes:
        sample_rate: Samples a second.
        n_mels: Bands.
        win_length: Samples of a window; 0 for 25 ms.
        hop_length: Samples from one window to the next; 0 for 10 ms.
        n_fft: Points of the FFT; 0 for the power of two that a window fits into.
        f_min: Where the lowest band begins, hertz.
        f_max: Where the highest band ends, hertz; 0 for half the sample rate.
        window: "hann" or "hamming".
        mel_scale: "htk", 2595·log₁₀(1 + f/700); or "slaney", linear below 1,000 Hz and logarithmic above.
        norm: "none": triangles have a peak of 1; "slaney": an area of 1 (over hertz).
        preemphasis: Share of the sample before that is taken off; 0 for none.
        remove_dc: Whether the mean of each window is taken off.
        floor: What is added to each energy, where full scale is 1.
        center: False. Centred windows need samples that have not come yet.
        dither: 0. With noise, two runs would differ.
    """

    sample_rate: int
    n_mels: int = 40
    win_length: int = 0
    hop_length: int = 0
    n_fft: int = 0
    f_min: float = 20.0
    f_max: float = 0.0
    window: str = "hann"
    mel_scale: str = "htk"
    norm: str = "none"
    preemphasis: float = 0.0
    remove_dc: bool = False
    floor: float = 1e-6
    center: bool = False
    dither: float = 0.0

    def __post_init__(self) -> None:
        """Fills in what follows from the sample rate, and checks every value.

        Raises:
            TypeError: A value has another type.
            ValueError: A value is out of its range, or a band has no point of the FFT.
        """
        for field in fields(self):
            value, kind = getattr(self, field.name), _kind(field)
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise TypeError(f"{field.name} is {value!r:.60}, expected {kind.__name__}")
            object.__setattr__(self, field.name, kind(value))
        self._derive()
        for name, limit in _LIMITS.items():
            if not 1 <= getattr(self, name) <= limit:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 1..{limit:,}")
        check_choice("window", self.window, WINDOWS)
        check_choice("mel_scale", self.mel_scale, MEL_SCALES)
        check_choice("norm", self.norm, NORMS)
        self._check_ranges()
        empty = np.flatnonzero(~self._filters.any(axis=1))
        if empty.size:
            raise ValueError(
                f"n_mels is {self.n_mels}, but band {empty[0]} lies between two points of an FFT of {self.n_fft}: "
                f"choose fewer bands or a larger n_fft"
            )

    def _derive(self) -> None:
        """Fills in what follows from the sample rate."""
        rate = self.sample_rate
        for name, value in (("win_length", round(0.025 * rate)), ("hop_length", round(0.01 * rate))):
            object.__setattr__(self, name, getattr(self, name) or value)
        object.__setattr__(self, "n_fft", self.n_fft or 1 << (max(self.win_length, 1) - 1).bit_length())
        object.__setattr__(self, "f_max", self.f_max or rate / 2)

    def _check_ranges(self) -> None:
        """Checks values that depend on each other.

        Raises:
            ValueError: One is out of its range.
        """
        if not 2 <= self.win_length <= self.n_fft or self.hop_length > self.win_length:
            sizes = f"hop_length={self.hop_length}, win_length={self.win_length}, n_fft={self.n_fft}"
            raise ValueError(f"the sizes are {sizes}, expected hop_length ≤ win_length ≤ n_fft, and 2 ≤ win_length")
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(
                f"the bands reach from f_min={self.f_min} to f_max={self.f_max}, expected 0 ≤ f_min < f_max ≤ "
                f"{self.sample_rate / 2}, half the sample rate"
            )
        if not 0 <= self.preemphasis <= 1:
            raise ValueError(f"preemphasis is {self.preemphasis}, expected 0..1")
        if not 0 < self.floor < np.inf:
            raise ValueError(f"floor is {self.floor}, expected a number above 0: silence has no logarithm")
        if self.center or self.dither:
            raise ValueError(f"center={self.center}, dither={self.dither}, expected False and 0: {_NO_STREAM}")

    @classmethod
    def of(cls, text: "str | LogMel", sample_rate: int | None = None) -> Self:
        """Reads what `str` writes, or a part of it: `logmel sample_rate=8000 n_mels=64`.

        Args:
            text: The name, and fields by name.
            sample_rate: Samples a second, where the text does not say it.

        Raises:
            TypeError: The text is no text.
            ValueError: A name is unknown, comes twice or has no such value, no sample rate is given, or two are.
        """
        given = cls._given(text)
        if sample_rate is not None and given.setdefault("sample_rate", sample_rate) != sample_rate:
            said = given["sample_rate"]
            raise ValueError(f"the sound has {sample_rate} samples a second, not {said} as the front-end says")
        if "sample_rate" not in given:
            raise ValueError("the samples a second are not known: say them, as in 'logmel sample_rate=16000'")
        return cls(**given)

    @classmethod
    def rate_in(cls, text: str) -> int | None:
        """Returns the samples a second that a text says; None if it says none. The errors are those of `of`."""
        rate: int | None = cls._given(text).get("sample_rate")
        return rate

    @classmethod
    def _given(cls, text: "str | LogMel") -> dict[str, Any]:
        """Returns the fields that a text says."""
        if not isinstance(text, str | LogMel):
            raise TypeError(f"the front-end is {text!r:.60}, expected a text such as 'logmel sample_rate=16000'")
        name, *words = str(text).split() or [""]
        if name != "logmel":
            raise ValueError(f"the front-end is {name!r:.60}, expected 'logmel'")
        kinds = {field.name: _kind(field) for field in fields(cls)}
        given: dict[str, Any] = {}
        for word in words:
            key, _, value = word.partition("=")
            if key not in kinds or key in given:
                known = ", ".join(f"{each}=" for each in kinds)
                raise ValueError(f"the front-end has {word!r:.60}, expected each once: {known}")
            given[key] = _value(key, value, kinds[key])
        return given

    def __str__(self) -> str:
        """All of it as one text, which is what a model file keeps."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return " ".join(["logmel", *(f"{name}={str(v).lower() if type(v) is bool else v}" for name, v in values)])

    def count(self, samples: Any) -> Any:
        """Counts the frames of so many samples, an int or an array of them."""
        return np.maximum(0, 1 + (samples - self.win_length) // self.hop_length)

    def seconds(self, steps: npt.ArrayLike) -> Floats:
        """Tells at which second the windows of some frames have their middle."""
        middle: Floats = (np.asarray(steps) * self.hop_length + self.win_length / 2) / self.sample_rate
        return middle

    @property
    def names(self) -> tuple[str, ...]:
        """Names the bands by the hertz of their middles."""
        return tuple(f"{hertz:.0f} Hz" for hertz in self._edges[1:-1])

    def frames(self, sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Computes frames.

        Args:
            sound: Samples of full scale 1, float32 [N], see `tidegate.sequences.samples.as_sound`.

        Returns:
            float32 [T, n_mels].
        """
        found = np.empty((int(self.count(len(sound))), self.n_mels), np.float32)
        if len(found):
            windows = np.lib.stride_tricks.sliding_window_view(sound, self.win_length)[:: self.hop_length]
            for first in range(0, len(found), _FRAMES):
                found[first : first + _FRAMES] = self._log_energies(windows[first : first + _FRAMES].astype(np.float64))
        return found

    def _log_energies(self, windows: Floats) -> Floats:
        """Computes the features of windows; each row has the bits that it has alone."""
        if self.remove_dc:
            windows -= windows.mean(axis=1, keepdims=True)
        if self.preemphasis:
            windows -= self.preemphasis * np.concatenate([windows[:, :1], windows[:, :-1]], axis=1)
        spectrum = np.fft.rfft(windows * self._window, self.n_fft)
        power = spectrum.real**2 + spectrum.imag**2
        # A matrix product by BLAS rounds differently from one number of rows to another, einsum does not.
        energies = np.einsum("tf,mf->tm", power, self._filters)
        logarithms: Floats = np.log(energies + self.floor)
        return logarithms

    @cached_property
    def _window(self) -> Floats:
        share = WINDOWS[self.window]
        turns = np.arange(self.win_length) / self.win_length
        return share - (1 - share) * np.cos(2 * np.pi * turns)

    @cached_property
    def _edges(self) -> Floats:
        """Where triangles begin, peak and end, hertz, [n_mels + 2]."""
        low, high = _mel(np.array([self.f_min, self.f_max]), self.mel_scale)
        return _hertz(np.linspace(low, high, self.n_mels + 2), self.mel_scale)

    @cached_property
    def _filters(self) -> Floats:
        """The weight of each point of the FFT in each band, [n_mels, n_fft/2 + 1]."""
        low, peak, high = (self._edges[i : i + self.n_mels, None] for i in range(3))
        points = np.arange(self.n_fft // 2 + 1) * (self.sample_rate / self.n_fft)
        filters = np.maximum(0, np.minimum((points - low) / (peak - low), (high - points) / (high - peak)))
        weighed: Floats = filters * (2 / (high - low)) if self.norm == "slaney" else filters
        return weighed


_LINEAR, _BREAK = 200 / 3, 1000.0  # hertz of a mel below, and where the logarithmic part begins
_STEP = np.log(6.4) / 27  # of the logarithm in a mel above


def _mel(hertz: Floats, scale: str) -> Floats:
    """Frequencies as mels: of HTK; or of Slaney's Auditory Toolbox (1998)."""
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    above = _BREAK / _LINEAR + np.log(np.maximum(hertz, _BREAK) / _BREAK) / _STEP
    return np.where(hertz < _BREAK, hertz / _LINEAR, above)


def _hertz(mels: Floats, scale: str) -> Floats:
    """What `_mel` turned round."""
    if scale == "htk":
        return 700 * (10 ** (mels / 2595) - 1)
    start = _BREAK / _LINEAR
    return np.where(mels < start, mels * _LINEAR, _BREAK * np.exp(_STEP * (np.maximum(mels, start) - start)))


def _kind(field: Field[Any]) -> Any:
    """The type of a field: that of its default, and int of the sample rate, which has none."""
    return int if field.default is MISSING else type(field.default)


def _value(key: str, text: str, kind: type) -> Any:
    """Reads the value of a field.

    Raises:
        ValueError: It is no such value.
    """
    values: dict[str, Any] = {"true": True, "false": False}
    try:
        return values[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise ValueError(f"{key} is {text!r:.60}, expected {kind.__name__}") from None
