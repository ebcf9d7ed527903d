"""Computes log-mel features with other libraries, in their environment: `frontend_peers.py IN.npz OUT.npz`.

IN has `sound`, int16 [N]; OUT has features [T, 40] by the name of the library and what was chosen of it.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kaldi_native_fbank as knf
import librosa
import numpy as np
import numpy.typing as npt
import python_speech_features as psf

RATE, WINDOW, HOP, FFT, BANDS, LOWEST = 8000, 200, 80, 256, 40, 20.0

Array = npt.NDArray[Any]


def librosa_standard(sound: Array) -> Array:
    """What librosa makes with the sizes alone: Slaney's scale and norm, centred, decibels."""
    mel = librosa.feature.melspectrogram(
        y=sound / 32768, sr=RATE, n_fft=FFT, win_length=WINDOW, hop_length=HOP, n_mels=BANDS
    )
    return librosa.power_to_db(mel).T


def librosa_ours(sound: Array, scale: bool = True, norm: Any = None) -> Array:
    """What librosa makes with our settings; with zeros around, as it puts windows into the middle of the FFT."""
    shift = (FFT - WINDOW) // 2
    padded = np.pad(sound.astype(np.float64) / 32768, (shift, FFT - WINDOW - shift))
    sizes = {"sr": RATE, "n_fft": FFT, "win_length": WINDOW, "hop_length": HOP, "n_mels": BANDS, "fmin": LOWEST}
    mel = librosa.feature.melspectrogram(y=padded, center=False, htk=scale, norm=norm, **sizes)
    return np.log(mel + 1e-6).T


def kaldi(sound: Array, dither: float | None = None) -> Array:
    """What kaldi-native-fbank makes with the sizes alone."""
    options = knf.FbankOptions()
    options.frame_opts.samp_freq, options.mel_opts.num_bins = RATE, BANDS
    if dither is not None:
        options.frame_opts.dither = dither
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(RATE, sound.astype(np.float32).tolist())
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


def speech_features(sound: Array) -> Array:
    """What python_speech_features makes with the sizes alone."""
    return psf.logfbank(sound, RATE, winlen=WINDOW / RATE, winstep=HOP / RATE, nfilt=BANDS, nfft=FFT)


PEERS: dict[str, Callable[[Array], Array]] = {
    "librosa": librosa_standard,
    "librosa, our settings": librosa_ours,
    "librosa, Slaney's scale and norm": lambda sound: librosa_ours(sound, scale=False, norm="slaney"),
    "kaldi-native-fbank": kaldi,
    "kaldi-native-fbank, again": kaldi,
    "kaldi-native-fbank, dither=0": lambda sound: kaldi(sound, 0.0),
    "python_speech_features": speech_features,
}

if __name__ == "__main__":
    heard = np.load(Path(sys.argv[1]))["sound"]
    np.savez(Path(sys.argv[2]), **{name: np.asarray(peer(heard), np.float64) for name, peer in PEERS.items()})
