"""How far are the log-mel features of other libraries from ours? Frames, scale and difference, on one second of sound.

python benchmarks/bench_frontends.py --peers PYTHON

PYTHON is an interpreter with the peers (pip install librosa==0.11.0 kaldi-native-fbank==1.23.0
python_speech_features==0.6, best in an environment of its own). All have windows of 25 ms every 10 ms, an FFT of 256
points and 40 bands, at 8,000 samples a second; the rest is what each library does unasked, unless its row says more.
The sound is a chirp with noise.
"""

import argparse
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate import LogMel
from tidegate.sequences.samples import as_sound

STANDARD = LogMel(sample_rate=8000)
OURS = {
    "librosa, our settings": STANDARD,
    "librosa, Slaney's scale and norm": LogMel(sample_rate=8000, mel_scale="slaney", norm="slaney"),
}


def sound() -> npt.NDArray[np.int16]:
    """One second: a chirp from 100 to 3,500 Hz with noise."""
    t = np.arange(8000) / 8000
    chirp = np.sin(2 * np.pi * (100 * t + 1700 * t**2)) + 0.05 * np.random.default_rng(0).standard_normal(8000)
    return (8000 * chirp).astype(np.int16)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", required=True)
    python, heard = parser.parse_args().peers, sound()
    with TemporaryDirectory() as place:
        given, made = Path(place) / "in.npz", Path(place) / "out.npz"
        np.savez(given, sound=heard)
        subprocess.run([python, str(Path(__file__).with_name("frontend_peers.py")), given, made], check=True)
        found: dict[str, Any] = dict(np.load(made))
    again = np.abs(found["kaldi-native-fbank"] - found.pop("kaldi-native-fbank, again")).max()
    ours = {name: each.frames(as_sound(name, heard)) for name, each in {"tidegate": STANDARD, **OURS}.items()}
    print("| features | frames | mean | deviation | largest difference from ours |\n|---|---:|---:|---:|---:|")
    for name, features in {"tidegate": ours["tidegate"], **found}.items():
        mine = ours.get(name, ours["tidegate"])
        apart = f"{np.abs(features - mine).max():.1e}" if features.shape == mine.shape else "other frames"
        print(f"| {name} | {len(features)} | {features.mean():.2f} | {features.std():.2f} | {apart} |")
    print(f"\nkaldi-native-fbank twice: {again:.1e} apart")


if __name__ == "__main__":
    main()
