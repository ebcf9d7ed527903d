"""`tidegate stream` of numbers and of sound: each answer is that of everything that has come."""

import io
import json
import re
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate

Shell = Callable[..., tuple[int, str, str]]
STEPS = [("a", 1.5, 20.0), ("b", -3.0, 21.0), ("a", 2.0, None), ("a", 0.25, 19.5), ("b", 4.0, None)]
"""Steps of two sessions, some without a heat."""
RATE = 8000


def model_of(**fields: Any) -> tidegate.SequenceModel:
    """A model with random weights."""
    config = tidegate.SequenceConfig(**{"cell": "gru", "hidden_size": 4, "features": 2, **fields})
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in config.shapes().items()}
    arrays |= {"features.scale": np.full(config.features, 2, np.float32)}
    return tidegate.SequenceModel(config, arrays)


@pytest.fixture(scope="module")
def models(folder: Path) -> Path:
    """A classifier of long tables with gaps, one of lists, one without columns, a forecast, and one of sound."""
    long: dict[str, Any] = {"columns": ("height", "heat"), "key": "session"}
    of_sound: dict[str, Any] = {
        "features": 8,
        "frontend": f"logmel sample_rate={RATE} n_mels=8",
        "labels": ("low", "high"),
    }
    for name, fields in {
        "long": {"labels": ("down", "up"), "missing": (1,), **long},
        "lists": {"labels": ("down", "up"), "missing": (1,), "columns": ("track",)},
        "bare": {"labels": ("down", "up"), "missing": (1,), "layout": "channels_first"},
        "next": {"task": "next", "labels": ("height", "heat"), "residual": True, **long},
        "sound": of_sound,
    }.items():
        model_of(**fields).save(folder / f"{name}.safetensors")
    return folder


def expected(folder: Path) -> Iterator[dict[str, float]]:
    """The probabilities after each step, those of the steps of its session so far."""
    model = tidegate.load(folder / "long.safetensors", tidegate.SequenceModel)
    for i, (session, *_) in enumerate(STEPS):
        so_far = np.array([step[1:] for step in STEPS[: i + 1] if step[0] == session], np.float64)
        down, up = model.predict_proba([so_far])[0].astype(np.float64).round(6).tolist()
        yield {"p_down": down, "p_up": up}


def rows_of(out: str) -> list[dict[str, Any]]:
    """Reads JSON Lines."""
    return [json.loads(line) for line in out.splitlines()]


AS_CSV = "session,height,heat\n" + "".join(f"{s},{h},{'' if t is None else t}\n" for s, h, t in STEPS)
AS_JSON = "".join(json.dumps({"session": s, "height": h} | ({"heat": t} if t else {})) + "\n" for s, h, t in STEPS)
AS_LISTS = "".join(
    json.dumps({"who": s, "track": [[h, t]] if i else [h, t]}) + "\n" for i, (s, h, t) in enumerate(STEPS)
)
AS_TEXT = "who,track\n" + "".join(f'{s},"[[{h}, {"null" if t is None else t}]]"\n' for s, h, t in STEPS)


@pytest.mark.parametrize(
    ("command", "stdin"),
    [
        ("long.safetensors", AS_CSV),
        ("long.safetensors", AS_JSON),
        ("long.safetensors", re.sub("^", "\x1e", AS_JSON.rstrip(), flags=re.MULTILINE) + "\n"),
        ("long.safetensors --from tsv --key session", AS_CSV.replace(",", "\t")),
        ("bare.safetensors --key session", AS_CSV),
        ("lists.safetensors --key who", AS_LISTS),
        ("lists.safetensors --key who", AS_TEXT),
        ("lists.safetensors --key session --features height,heat", AS_CSV),
    ],
)
def test_a_line_is_a_step_of_its_session(shell: Shell, models: Path, command: str, stdin: str) -> None:
    """CSV with a header, JSON Lines and lists give the answers of predict; gaps are filled as in training."""
    code, out, err = shell(f"stream {command}", stdin=stdin)
    assert (code, err) == (0, "")
    for row, step, known in zip(rows_of(out), STEPS, expected(models), strict=True):
        assert {name: row[name] for name in known} == known
        assert row["prediction"] == ("up" if known["p_up"] > known["p_down"] else "down")
        assert step[0] in row.values()


def test_bare_numbers_are_one_session(shell: Shell, models: Path) -> None:
    """Lines without a header are steps; on a terminal each shows its numbers behind the verdict."""
    stdin = "".join(f"{h} {'nan' if t is None else t}\n" for session, h, t in STEPS if session == "a")
    known = [after for after, (session, *_) in zip(expected(models), STEPS, strict=True) if session == "a"]
    code, out, _ = shell("stream long.safetensors", stdin=stdin)
    assert code == 0
    assert [{name: row[name] for name in known[0]} for row in rows_of(out)] == known
    assert [(row["height"], row["heat"]) for row in rows_of(out)] == [step[1:] for step in STEPS if step[0] == "a"]
    shown = shell("stream long.safetensors --to text", stdin=stdin)[1].splitlines()
    assert shown[1].endswith("height 2  heat nan")
    assert shown[0].startswith(f"{max(known[0].values()):.3f} {'up' if known[0]['p_up'] > 0.5 else 'down'}")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('{"session": "a", "heat": 1}', "row 6: 'height' is missing, as it never was in training: the model cannot"),
        ('{"session": "a", "height": "tall"}', "row 6 of column 'height' holds 'tall', expected a number"),
        ('{"session": "a", "height": [1, null], "heat": [1, 2]}', "row 6: 'height' is missing"),
        ('{"session": "a", "height": [1, 2], "heat": [1]}', "row 6 has lists of different lengths"),
        ('{"session": "a", "height": 1, "heat": "hot"}\n{"session": "b", "height": "tall"}', "row 6 of column 'heat'"),
    ],
)
def test_steps_before_a_wrong_one_are_answered(shell: Shell, models: Path, wrong: str, message: str) -> None:
    """The error names row, session and which of its steps is wrong, counted from the session's beginning."""
    code, out, err = shell("stream long.safetensors", stdin=f"{AS_JSON}{wrong}\n{AS_JSON}")
    assert code == 2
    assert [{name: row[name] for name in ("p_down", "p_up")} for row in rows_of(out)] == list(expected(models))
    assert f"standard input: {message}" in err
    assert err.rstrip().endswith(f"(step {5 if '[1, null' in wrong else 4} of session 'a')")


def test_lists_and_single_steps_may_come_together(shell: Shell, models: Path) -> None:
    """Each line stands for itself: a step, or several in lists."""
    (_, height, heat), rest = STEPS[0], [step for step in STEPS[1:] if step[0] == "a"]
    lists = {"session": "a", "height": [step[1] for step in rest], "heat": [step[2] for step in rest]}
    stdin = f'{{"session": "a", "height": {height}, "heat": {heat}}}\n{json.dumps(lists)}\n'
    code, out, err = shell("stream long.safetensors", stdin=stdin)
    assert (code, err) == (0, "")
    known = list(expected(models))
    assert [row["p_up"] for row in rows_of(out)] == [known[0]["p_up"], known[3]["p_up"]]


def test_a_wrong_step_without_a_session_is_counted(shell: Shell, models: Path) -> None:
    """Where there is no key, steps are counted from the first line."""
    code, out, err = shell("stream long.safetensors", stdin="1,2\n3,4\n,2\n5,6\n")
    assert (code, len(rows_of(out))) == (2, 2)
    assert "row 3: 'height' is missing" in err
    assert err.rstrip().endswith("(step 3)")


@pytest.mark.parametrize("first", [" 0.5,0.2", ",0.2", "nan,1", "0.5,", "\t-1\t2", " ,nan", "NA 1"])
def test_a_line_of_numbers_is_no_header(shell: Shell, models: Path, first: str) -> None:
    """The first step may begin with a blank or with a gap, and the columns are those of the training."""
    numbers = [np.nan if cell.strip().lower() in {"", "na", "nan"} else float(cell) for cell in cells_of(first)]
    seen = model_of(labels=("down", "up"), missing=(0, 1), columns=("height", "heat"))
    seen.save(models / "gaps.safetensors")
    code, out, err = shell("stream gaps.safetensors", stdin=f"{first}\n 0.1,0.3\n")
    assert (code, err) == (0, "")
    rows, steps = rows_of(out), np.array([numbers, [0.1, 0.3]])
    assert [[row["height"], row["heat"]] for row in rows] == [
        [None if np.isnan(x) else x for x in step] for step in steps.tolist()
    ]
    known = [seen.predict_proba([steps[:n]])[0, 1].astype(np.float64).round(6) for n in (1, 2)]
    assert [row["p_up"] for row in rows] == known


def cells_of(line: str) -> list[str]:
    """The cells of a line with commas, or else with spaces."""
    return line.split("," if "," in line else None)


def test_what_follows_is_told_after_each_step(shell: Shell, models: Path) -> None:
    """A model of next steps predicts each of its features, as predict names them, with the digits of float32."""
    stdin = "".join(f"{h},{t or 0}\n" for _, h, t in STEPS)
    steps = np.array([(h, t or 0) for _, h, t in STEPS])
    model = tidegate.load(models / "next.safetensors", tidegate.SequenceModel)
    rows = rows_of(shell("stream next.safetensors", stdin=stdin)[1])
    found = [[row["prediction_height"], row["prediction_heat"]] for row in rows]
    assert found == [[float(str(number)) for number in row] for row in model.predict_steps([steps])[0]]


@pytest.mark.parametrize(
    ("command", "stdin", "message"),
    [
        ("long.safetensors", "session,heat\na,1\n", "there is no column 'height': --features names columns of numbers"),
        ("long.safetensors --key who", AS_CSV, "there is no column 'who' to tell sessions apart, only session, height"),
        ("long.safetensors", "session,height,heat\na,,1\n", "row 1: 'height' is missing, as it never was in training"),
        ("long.safetensors", "session,height,heat\na,1,1\na,high,1\n", "row 2 of column 'height' holds 'high'"),
        ("long.safetensors", "1.0,2.0\n3.0\n", "line 2 holds 1 numbers, expected 2: 'height', 'heat'"),
        ("long.safetensors --from csv", "1.0,2.0\n3.0,4.0\n", "the first line holds '1.0', '2.0', expected names"),
        ("long.safetensors", '"1.0","2.0"\n3.0,4.0\n', "--from lines reads it as a step"),
        ("long.safetensors", "1.0,inf\n", "line 1 holds 'inf' among its numbers"),
        ("lists.safetensors", '{"n": 1, "track": [1.0, 2.0, 3.0]}\n', "row 1 has steps of 1 numbers, expected 2"),
        ("bare.safetensors", "a,b,c\n1,2,3\n", "it is not known which columns the model reads: --features names"),
        ("long.safetensors --text height", AS_CSV, "--text is given, but what comes in are lines of numbers"),
        ("long.safetensors --every 1", AS_CSV, "--every is given, but what comes in are lines of numbers"),
        ("model.safetensors --features a", "good\n", "--features is given, but the model reads texts"),
        ("sound.safetensors --key who", "", "--key is given, but what comes in is sound"),
        ("sound.safetensors --every 0", "", "--every is 0.0, expected seconds above 0"),
    ],
)
def test_what_cannot_be_read_is_one_line(shell: Shell, models: Path, command: str, stdin: str, message: str) -> None:
    """A missing column, a gap that the model cannot read, or an option without use ends the command with an error."""
    code, _, err = shell(f"stream {command}", stdin=stdin)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err


def as_wav(samples: np.ndarray[Any, Any], rate: int = RATE, channels: int = 1) -> bytes:
    """A WAV file as a pipe has it, whose header does not know how long it will be."""
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setparams((channels, 2, rate, 0, "NONE", ""))
        wav.writeframes(samples.astype("<i2").tobytes())
    data = bytearray(file.getvalue())
    data[40:44] = b"\xff\xff\xff\xff"
    return bytes(data)


@pytest.mark.parametrize("form", ["raw", "wav"])
def test_sound_is_heard_as_it_is_recorded(shell: Shell, models: Path, form: str) -> None:
    """Bare 16-bit samples, and those of a WAV file, get an answer every so many seconds, that of the clip so far."""
    samples = np.random.default_rng(1).normal(0, 3000, 2600).astype(np.int16)
    stdin = samples.astype("<i2").tobytes() + b"\0" if form == "raw" else as_wav(samples)
    code, out, err = shell("stream sound.safetensors --every 0.125", stdin=stdin)
    assert (code, err) == (0, "")
    model = tidegate.load(models / "sound.safetensors", tidegate.SequenceModel)
    rows = rows_of(out)
    assert [row["seconds"] for row in rows] == [0.125, 0.25, 0.325]
    for row in rows:
        clip = samples[: round(row["seconds"] * RATE)]
        probabilities = model.predict_proba([clip])[0].astype(np.float64).round(6)
        assert [row["p_low"], row["p_high"]] == probabilities.tolist()
    shown = shell("stream sound.safetensors --to text", stdin=stdin)[1]
    assert shown.rstrip().endswith("0.33 s")
    lists = "".join(json.dumps({"pcm": part.tolist()}) + "\n" for part in np.split(samples, [1000, 2000]))
    assert rows_of(shell("stream sound.safetensors --from jsonl", stdin=lists)[1])[-1]["p_low"] == rows[-1]["p_low"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (as_wav(np.zeros(9), rate=16000), "16,000 samples a second, 1 channels and 16 bits, expected 8,000, 1 and 16"),
        (as_wav(np.zeros(8), channels=2), "8,000 samples a second, 2 channels and 16 bits"),
        (b"RIFF\0\0\0\0WHAT", "begins as a WAV file, but is none that can be read"),
        (b"RIFF", "begins as a WAV file, but is none that can be read"),
    ],
)
def test_another_sound_is_refused(shell: Shell, models: Path, data: bytes, message: str) -> None:
    """A WAV file of another rate, of several channels, or a damaged one is an error."""
    code, out, err = shell("stream sound.safetensors", stdin=data)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_nothing_that_comes_is_nothing_to_say(shell: Shell, models: Path) -> None:
    """An empty pipe ends the command, whatever the model reads."""
    for name in ("long", "sound", "model"):
        assert shell(f"stream {name}.safetensors", stdin=b"") == (0, "", "")


def test_units_of_numbers_and_of_sound(shell: Shell, models: Path) -> None:
    """Their memories are those of model.units; there are no words that could move gates."""
    (models / "steps.csv").write_text(AS_CSV, "utf-8")
    code, out, err = shell("units long.safetensors steps.csv --json")
    assert code == 0, err
    model = tidegate.load(models / "long.safetensors", tidegate.SequenceModel)
    sequences = [np.array([step[1:] for step in STEPS if step[0] == who], np.float64) for who in "ab"]
    found = json.loads(out)
    assert found["steps"] == len(STEPS)
    assert [unit["memory"] for unit in found["units"]] == pytest.approx(model.units(sequences).memory.tolist())
    code, out, err = shell("units long.safetensors steps.csv")
    assert "words" not in out + err
    assert "these are 5 steps: read more for figures that hold for other sequences" in err.replace("\n", " ")


def test_a_layout_does_not_matter_to_a_table(shell: Shell, models: Path) -> None:
    """A model that reads arrays [K, T] in Python gives the answers of one that reads [T, K], also about a table."""
    asked = "steps.csv --key session --features height,heat"
    (models / "steps.csv").write_text(AS_CSV, "utf-8")
    found = [rows_of(shell(f"predict {name}.safetensors {asked} --to jsonl")[1]) for name in ("long", "bare")]
    assert found[0] == found[1]
    assert [row["session"] for row in found[0]] == ["a", "b"]
