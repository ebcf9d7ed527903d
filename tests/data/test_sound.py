"""Clips of sound: samples in tables, and files."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from pyarrow import parquet

from tidegate.data import series
from tidegate.data.series.roles import Asked
from tidegate.data.series.sound import read_sound

CLIPS = [np.arange(-3, 4, dtype=np.int16) * 1000, np.array([5, -32768], np.int16), np.zeros(0, np.int16)]
SOUND = Asked(sound=0)


def wav(form: int, bits: int, data: bytes, *, channels: int = 1, size: int | None = None, more: bytes = b"") -> bytes:
    """A WAV file; its header may say another size of the data than they have."""
    block = channels * bits // 8
    head = struct.pack(
        "<IHHIIHH", 16 + len(more), form, channels, 8000, 8000 * block & 0xFFFFFFFF, block & 0xFFFF, bits
    )
    chunks = b"WAVEfmt " + head + more + b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


PCM = (np.array([0.5, -0.25, 0.0, -1.0]) * 2**31).astype("<i4")
EXTENSIBLE = struct.pack("<HHIH", 22, 32, 0, 3) + bytes.fromhex("000000001000800000aa00389b71")

FORMS = {
    "8 bits": wav(1, 8, bytes([192, 96, 128, 0])),
    "16 bits": wav(1, 16, (PCM >> 16).astype("<i2").tobytes()),
    "24 bits": wav(1, 24, b"".join(value.tobytes()[1:] for value in PCM)),
    "32 bits": wav(1, 32, PCM.tobytes()),
    "floats": wav(3, 32, (PCM / 2**31).astype("<f4").tobytes()),
    "extensible floats": wav(0xFFFE, 32, (PCM / 2**31).astype("<f4").tobytes(), more=EXTENSIBLE),
    "a pipe's size": wav(1, 16, (PCM >> 16).astype("<i2").tobytes(), size=0xFFFFFFFF),
    "two channels": wav(1, 16, np.repeat(PCM >> 16, 2).astype("<i2").tobytes(), channels=2),
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS.keys())
def test_wav_files_of_all_forms_hold_the_same_sound(tmp_path: Path, data: bytes) -> None:
    """Full scale is 1; the size of a header that was written before the end was known does not count."""
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    sound, rate = read_sound(path)
    assert sound.dtype == np.float32
    assert (rate, sound.tolist()) == (8000, [0.5, -0.25, 0.0, -1.0])


def test_channels_become_their_mean_and_other_formats_are_read(tmp_path: Path) -> None:
    """FLAC keeps every bit, and is read in blocks."""
    stereo = np.array([[0.5, 0.25], [-1.0, 0.5]] * 600_000, np.float32)
    soundfile.write(tmp_path / "a.flac", stereo, 44_100)
    sound, rate = read_sound(tmp_path / "a.flac")
    assert (rate, sound.shape, sound[:2].tolist()) == (44_100, (1_200_000,), [0.375, -0.25])
    assert (sound[::2] == 0.375).all()


def test_a_file_that_ends_too_soon_is_read_up_to_there(tmp_path: Path) -> None:
    """As by players: what was recorded is there."""
    (tmp_path / "a.wav").write_bytes(FORMS["16 bits"][:-3])
    assert read_sound(tmp_path / "a.wav")[0].tolist() == [0.5, -0.25]


HOSTILE = {
    "nothing": (b"", "Format not recognised"),
    "a text": (b"hello" * 100, "Format not recognised"),
    "no channels": (wav(1, 16, b"\0" * 8, channels=0), "Channel count is zero"),
    "many channels": (wav(1, 16, b"\0" * 8, channels=65_535), "[Cc]hannel"),
    "no bits": (wav(1, 0, b"\0" * 8), ""),
    "no data": (FORMS["16 bits"][:36], ""),
    "an unknown form": (wav(0x7777, 16, b"\0" * 8), ""),
}


@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_sound_is_one_error(tmp_path: Path, data: bytes, message: str) -> None:
    """It names the file, and what libsndfile says."""
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"a.wav is no sound that can be read: .*{message}"):
        read_sound(path)


def test_a_header_asks_for_no_memory(tmp_path: Path) -> None:
    """A FLAC file that says it has 2³⁵ samples is read up to its end, or refused."""
    packed = io.BytesIO()
    soundfile.write(packed, np.zeros(3000, np.int16), 8000, format="FLAC")
    data = bytearray(packed.getvalue())
    data[8 + 13] |= 0x0F  # the upper bits of the count of samples
    (tmp_path / "a.flac").write_bytes(data)
    try:
        assert len(read_sound(tmp_path / "a.flac")[0]) == 3000
    except ValueError as error:
        assert "a.flac is no sound" in str(error)  # noqa: PT017 - both are right


def test_files_that_are_too_long_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip is held in memory."""
    monkeypatch.setattr("tidegate.data.series.sound._LONGEST", 3)
    (tmp_path / "a.wav").write_bytes(FORMS["8 bits"])
    with pytest.raises(ValueError, match="has more than 3 samples, expected shorter clips"):
        read_sound(tmp_path / "a.wav")


def write_table(folder: Path, kind: str) -> Path:
    """A table with a list of samples in each row."""
    path = folder / f"table.{kind}"
    lists = [clip.tolist() for clip in CLIPS]
    if kind == "parquet":
        columns = {"pcm": pa.array(lists, pa.large_list(pa.int16())), "label": ["a", "b", "a"], "n": [1, 2, 3]}
        parquet.write_table(pa.table(columns), path)
    elif kind == "jsonl":
        rows = zip(lists, "aba", range(3), strict=True)
        path.write_text("".join(json.dumps({"pcm": x, "label": w, "n": n}) + "\n" for x, w, n in rows), "utf-8")
    else:
        lengths = [len(clip) for clip in CLIPS]
        np.savez(path, values=np.concatenate(CLIPS), lengths=lengths, labels=list("aba"))
    return path


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "npz"])
def test_samples_of_tables_keep_their_type(tmp_path: Path, kind: str) -> None:
    """16-bit samples stay what they are, as one list or array for each clip."""
    found = series.read(write_table(tmp_path, kind), SOUND)
    assert [clip.ravel().tolist() for clip in found.sequences] == [clip.tolist() for clip in CLIPS]
    assert found.sequences[0].dtype == np.int16
    assert list(found.labels.values()) == [["a", "b", "a"]]


def write_files(folder: Path) -> Path:
    """Two files in a folder for each class, and a table that names them."""
    for name, rate in (("yes/1.wav", 8000), ("yes/2.WAV", 8000), ("no/1.wav", 8000), (".old/1.wav", 11_025)):
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / name, CLIPS[0], rate)
    (folder / "list.csv").write_text("id,path,label\n1,yes/1.wav,yes\n2,no/1.wav,no\n", "utf-8")
    return folder


def test_files_are_named_by_a_table_or_stand_in_folders(tmp_path: Path) -> None:
    """Paths start at the table; folders name classes, and hidden ones do not count; files say the sample rate."""
    write_files(tmp_path)
    table = series.read(tmp_path / "list.csv", SOUND)
    assert (table.roles.features, table.labels, table.roles.sound) == (("path",), {"label": ["yes", "no"]}, 8000)
    folder = series.read(tmp_path, SOUND)
    assert folder.columns["file"] == ["no/1.wav", "yes/1.wav", "yes/2.WAV"]
    assert folder.labels == {"label": ["no", "yes", "yes"]}
    [one] = series.stream(tmp_path / "yes/1.wav", SOUND)
    for each in (*table.sequences, *folder.sequences, *one.sequences):
        assert each.tolist() == (CLIPS[0] / 32768).tolist()
    with pytest.raises(ValueError, match=r"1.wav is in no folder that names its class, expected such as .*yes.*yes"):
        series.read(tmp_path / "yes", SOUND)


WRONG_TABLES: dict[str, tuple[dict[str, Any], Asked, str]] = {
    "a number": ({"x": [1, 2], "y": ["a", "b"]}, SOUND, "there are 0 columns of samples or of names of sound files"),
    "two lists": ({"x": [[1], [2]], "z": [[1], [2]]}, SOUND, "there are 2 columns of samples .*--features"),
    "a key": ({"x": [[1], [2]]}, Asked(sound=0, key="x"), "leave --key and --time out"),
    "a missing clip": ({"x": [[1], None], "y": ["a", "b"]}, SOUND, "row 2 of column 'x' holds no clip"),
    "a missing sample": ({"x": [[1, None], [2]], "y": ["a", "b"]}, SOUND, "row 1 of column 'x' holds .*samples"),
    "no such file": ({"x": ["a.wav", "b.wav"], "y": ["a", "b"]}, SOUND, "row 1 of column 'x': there is no file"),
    "another rate": ({"x": ["yes/1.wav"] * 2, "y": ["a", "b"]}, Asked(sound=16_000), "1.wav has 8,000 samples"),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "asked", "message"), WRONG_TABLES.values(), ids=WRONG_TABLES.keys())
def test_wrong_tables_are_named(tmp_path: Path, columns: dict[str, Any], asked: Asked, message: str) -> None:
    """The error names the row, the column or the file."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    write_files(tmp_path)
    (tmp_path / "table.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        series.read(tmp_path / "table.jsonl", asked, need_label="y" in columns)


def test_files_of_two_rates_are_refused(tmp_path: Path) -> None:
    """The first one says which is meant."""
    write_files(tmp_path)
    soundfile.write(tmp_path / "yes/3.wav", CLIPS[0], 16_000)
    with pytest.raises(
        ValueError, match=r"3\.wav has 16,000 samples a second, expected 8,000: resample it, as with `ffmpeg"
    ):
        series.read(tmp_path, SOUND)
