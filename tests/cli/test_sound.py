"""Sound on the command line: from samples or files to a model, and what the model makes of them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from pyarrow import parquet

import tidegate

Shell = Callable[..., tuple[int, str, str]]
TO = "-o sound.safetensors --overwrite"
QUICK = "--hidden-size 4 --epochs 2 --learning-rate 0.05 --batch-size 8 --no-baselines --threads 1"
FRONT_END = "--frontend 'logmel n_mels=8 sample_rate=8000'"


def clips() -> tuple[list[np.ndarray], list[str]]:
    """High and low tones of unequal length with noise, 16-bit."""
    rng = np.random.default_rng(0)
    pitches = [400 + 1600 * (b % 2) for b in range(32)]
    times = [np.arange(rng.integers(600, 1200)) / 8000 for _ in pitches]
    tones = [np.sin(2 * np.pi * hz * t) + rng.normal(0, 0.1, len(t)) for hz, t in zip(pitches, times, strict=True)]
    return [(8000 * tone).astype(np.int16) for tone in tones], ["high" if hz > 1000 else "low" for hz in pitches]


def write(folder: Path) -> None:
    """The same clips as samples and as files that a table names or a folder holds."""
    sounds, names = clips()
    samples = pa.array([sound.tolist() for sound in sounds], pa.list_(pa.int16()))
    parquet.write_table(pa.table({"pcm": samples, "label": names}), folder / "samples.parquet")
    rows = []
    for b, (sound, name) in enumerate(zip(sounds, names, strict=True)):
        path = folder / "wavs" / name / f"{b:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound, 8000)
        rows.append(json.dumps({"path": str(path.relative_to(folder)), "label": name}) + "\n")
    (folder / "files.jsonl").write_text("".join(rows), "utf-8")


def test_samples_and_files_are_the_same_sound(folder: Path, shell: Shell) -> None:
    """They give the same weights; the model finds its sound again, and predicts, evaluates, explains and exports."""
    write(folder)
    weights = []
    for source, say in (("samples.parquet", FRONT_END), ("files.jsonl", "--frontend 'logmel n_mels=8'")):
        code, out, err = shell(f"train {source} {say} {TO} {QUICK}")
        assert code == 0, err
        usual = np.median([len(clip) for clip in clips()[0]]) / 8000
        said = f"8,000 samples a second, {usual:.2g} s in the median clip; labels: column 'label'"
        assert said in out.replace("\n", " ")
        model = tidegate.load(folder / "sound.safetensors", tidegate.SequenceModel)
        assert model.config.frontend == str(tidegate.LogMel(sample_rate=8000, n_mels=8))
        weights.append(b"".join(array.tobytes() for array in model.arrays.values()))
    assert weights[0] == weights[1]
    assert model.config.columns == ("path",)
    code, out, err = shell("evaluate sound.safetensors files.jsonl")
    assert code == 0, err
    assert "sequences" in out
    (folder / "short.jsonl").write_text(json.dumps({"path": [1, -1] * 50, "label": "low"}) + "\n", "utf-8")
    for command in ("predict", "evaluate"):
        code, out, err = shell(f"{command} sound.safetensors short.jsonl")
        assert code == 0, err
        assert "1 clip is shorter than a window of 200 samples at 8,000 a second" in err.replace("\n", " ")
    for first, second, columns in (("files", "short", ["path", "label"]), ("short", "files", ["label"])):
        parts = folder / f"{first} first"
        parts.mkdir()
        for place, name in enumerate((first, second)):
            rows = [json.loads(row) for row in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()[:1]]
            rows = [row | {"path": str(folder / row["path"])} if isinstance(row["path"], str) else row for row in rows]
            (parts / f"{place}.jsonl").write_text(json.dumps(rows[0]) + "\n", "utf-8")
        code, out, err = shell(f"predict sound.safetensors '{parts}' --to jsonl")
        assert code == 0, err
        assert [list(json.loads(line))[:-3] for line in out.splitlines()] == [columns] * 2
    predicted = {}
    for source in ("files.jsonl", "samples.parquet --features pcm", "wavs", "wavs/high/01.wav"):
        code, out, err = shell(f"predict sound.safetensors {source} --to jsonl")
        assert code == 0, err
        found = [json.loads(line)["p_high"] for line in out.splitlines()]
        predicted[source.partition(" ")[0]] = found
    assert predicted["files.jsonl"] == predicted["samples.parquet"]
    assert sorted(predicted["files.jsonl"]) == sorted(predicted["wavs"])
    assert predicted["wavs/high/01.wav"] == predicted["files.jsonl"][1:2]
    code, out, err = shell("explain sound.safetensors --file files.jsonl --row 1 --json --png clip.png")
    assert code == 0, err
    record = json.loads(out)
    assert record["seconds"][:2] == pytest.approx([0.0125, 0.0225])
    assert len(record["seconds"]) == len(record["values"])
    assert record["features"][0] == "187 Hz"
    code, out, err = shell("info sound.safetensors")
    assert "column 'path', sound of 8,000 samples a second, as logmel" in " ".join(out.split())
    code, _, err = shell("export sound.safetensors --torch sound.pt")
    assert code == 0, err
    assert "the files read frames, not sound; what makes them: logmel" in err.replace("\n", " ")


def test_a_folder_for_each_class(folder: Path, shell: Shell) -> None:
    """The folders are the labels."""
    write(folder)
    code, out, err = shell(f"train wavs --frontend logmel {TO} {QUICK} --validation 0")
    assert code == 0, err
    assert "labels: high 50%, low 50%" in out


WRONG = {
    "no rate": ("samples.parquet --frontend logmel", "the samples a second are not known: say them, as in"),
    "another rate": (
        "files.jsonl --frontend 'logmel sample_rate=16000'",
        "has 8,000 samples a second, expected 16,000",
    ),
    "another front-end": ("wavs --frontend mfcc", "the front-end is 'mfcc', expected 'logmel'"),
    "next steps": ("absent.parquet --task next --frontend logmel", "so there is no --frontend"),
    "words": ("wavs --frontend logmel --vocab-size 99", "--vocab-size is about texts"),
    "a key": ("samples.parquet --frontend logmel --key label", "leave --key and --time out"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clips."""
    place = tmp_path_factory.mktemp("sound")
    write(place)
    return place


@pytest.mark.parametrize(("what", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_meant_is_named(
    written: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch, what: str, message: str
) -> None:
    """It is an error before any training."""
    monkeypatch.chdir(written)
    code, _, err = shell(f"train {what} {TO} {QUICK}")
    assert code == 2
    assert message in " ".join(err.split())
