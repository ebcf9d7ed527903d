"""Sound as it is recorded, piece by piece: 16-bit samples of one channel, bare or as a WAV file."""

import wave
from collections.abc import Iterator
from io import BufferedReader
from typing import Any

import numpy as np
import numpy.typing as npt


def samples(source: BufferedReader, name: str, rate: int, size: int) -> Iterator[npt.NDArray[np.int16]]:
    """Reads samples, little-endian, as they come.

    Args:
        source: Where they come in.
        name: What errors call it.
        rate: Samples a second, which a WAV file must have.
        size: Samples of a piece; the last one may be shorter.

    Yields:
        Pieces, int16 [size].

    Raises:
        ValueError: A WAV file has another rate, several channels, or samples of another size.
    """
    begins = source.read(4)
    recorded: Any = _Recorded(begins, source)
    wav = _opened_wav(recorded, name, rate) if begins == b"RIFF" else None
    while len(piece := wav.readframes(size) if wav else recorded.read(2 * size)) > 1:
        yield np.frombuffer(piece[: len(piece) // 2 * 2], "<i2").astype(np.int16)


class _Recorded:
    """Bytes that come in, of which some have been read to see what they are."""

    def __init__(self, begins: bytes, source: BufferedReader) -> None:
        self._begins, self._source = begins, source

    def read(self, size: int) -> bytes:
        """Reads so many bytes, fewer at the end."""
        part, self._begins = self._begins[:size], self._begins[size:]
        return part + self._source.read(size - len(part))


def _opened_wav(recorded: Any, name: str, rate: int) -> wave.Wave_read:
    """Reads the header of a WAV file that comes by a pipe."""
    try:
        wav: wave.Wave_read = wave.open(recorded, "rb")  # noqa: SIM115 - it has nothing that could be closed
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{name} begins as a WAV file, but is none that can be read: {error}") from None
    found = wav.getframerate(), wav.getnchannels(), 8 * wav.getsampwidth()
    if found != (rate, 1, 16):
        raise ValueError(
            f"{name} has {found[0]:,} samples a second, {found[1]} channels and {found[2]} bits, expected {rate:,}, 1 "
            f"and 16: `ffmpeg -i … -f s16le -ac 1 -ar {rate} -` makes them"
        )
    return wav
