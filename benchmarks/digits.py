"""Spoken digits as sequences of log-mel frames.

python benchmarks/digits.py fsdd.parquet FOLDER

writes FOLDER/train.parquet and FOLDER/test.parquet, which `tidegate train` and the other commands read: the columns
`frames` (a list of frames, each a list of 40 numbers), `digit` and `speaker`.

The recipe, for sound of 8 kHz: windows of 200 samples (25 ms) every 80 samples (10 ms), the first at the first sample,
and none beyond the last (a clip that is shorter than a window is filled up with zeros); samples divided by 32768, no
pre-emphasis, no dither, no removal of a mean; a periodic Hann window; the power of an FFT of 256 points; 40 triangular
filters, spaced evenly on the mel scale 2595·log10(1 + f/700) from 20 to 4,000 Hz, each with a peak of 1; log(power +
10⁻⁶).
"""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Array = npt.NDArray[np.float32]

RATE, WINDOW, HOP, FFT, BANDS, LOWEST, FLOOR = 8000, 200, 80, 256, 40, 20.0, 1e-6


def filters() -> npt.NDArray[np.float64]:
    """The mel filters, float64 [FFT/2 + 1, BANDS]."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (LOWEST, RATE / 2))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    bins = np.linspace(0, RATE / 2, FFT // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def log_mel(samples: npt.NDArray[np.int16]) -> Array:
    """Turns samples [N] into frames, float32 [T, BANDS]."""
    sound = samples.astype(np.float64) / 32768
    sound = np.pad(sound, (0, max(0, WINDOW - len(sound))))
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    hann = np.sin(np.pi * np.arange(WINDOW) / WINDOW) ** 2
    power = np.abs(np.fft.rfft(windows * hann, FFT)) ** 2
    return np.log(power @ filters() + FLOOR).astype(np.float32)


def read(file: Path) -> dict[str, tuple[list[Array], npt.NDArray[np.int64], npt.NDArray[np.str_]]]:
    """Reads the Free Spoken Digit Dataset, one Parquet file: frames, digits and speakers of each part of the split."""
    table = pq.read_table(file)
    frames = [log_mel(np.asarray(samples, np.int16)) for samples in table["pcm"].to_pylist()]
    digits, speakers = (np.array(table[name].to_pylist()) for name in ("digit", "speaker"))
    parts = np.array(table["split"].to_pylist())
    chosen = {part: np.flatnonzero(parts == part) for part in ("train", "test")}
    return {part: ([frames[b] for b in rows], digits[rows], speakers[rows]) for part, rows in chosen.items()}


def write(file: Path, folder: Path) -> None:
    """Writes a table of frames for each part of the split."""
    for part, (frames, digits, speakers) in read(file).items():
        ends = np.cumsum([0, *map(len, frames)])
        steps = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(frames).ravel()), BANDS)
        columns = {"frames": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), steps)}
        pq.write_table(pa.table({**columns, "digit": digits, "speaker": speakers}), folder / f"{part}.parquet")


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
