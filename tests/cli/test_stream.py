"""`tidegate stream`."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate

Shell = Callable[..., tuple[int, str, str]]

LINES = [("ann", "a good film"), ("bob", "it is bad"), ("ann", ", but dull"), ("ann", "<b"), ("bob", "> lovely")]


def model(folder: Path) -> tidegate.TextModel:
    return tidegate.load(folder / "model.safetensors", tidegate.TextModel)


def probabilities(folder: Path, lines: list[str]) -> list[float]:
    """The probabilities after lines, the words of which are those of each line alone."""
    session = model(folder).stream(endless=True)
    for line in lines:
        session.push(line).finish()
    return [round(float(p), 6) for p in session.probabilities.astype(np.float64)]


def test_each_key_has_a_session_of_its_own(shell: Shell, folder: Path) -> None:
    """After each line comes the score of all lines of its key, beside what came in."""
    stdin = "".join(json.dumps({"user": user, "message": text, "n": i}) + "\n" for i, (user, text) in enumerate(LINES))
    code, out, err = shell("stream model.safetensors --key user --text message", stdin=stdin)
    assert (code, err) == (0, "")
    for i, line in enumerate(out.splitlines()):
        row = json.loads(line)
        so_far = [text for user, text in LINES[: i + 1] if user == LINES[i][0]]
        assert (row["user"], row["message"], row["n"]) == (*LINES[i], i)
        assert [row["p_neg"], row["p_pos"]] == probabilities(folder, so_far)
        assert row["prediction"] == ["neg", "pos"][row["p_pos"] > row["p_neg"]]
    assert i == len(LINES) - 1


def test_a_key_may_be_a_field_of_a_record(shell: Shell, folder: Path) -> None:
    """`--key user.id` reads the records of a column; those without the field share a session."""
    users = [None, {"id": 7}, {"name": "x"}, {"id": 7}, "ann"]
    stdin = "".join(json.dumps({"user": user, "text": "good"}) + "\n" for user in users)
    code, out, _ = shell("stream model.safetensors --key user.id", stdin=stdin)
    expected = [probabilities(folder, ["good"] * so_far) for so_far in (1, 1, 2, 2, 3)]
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, [row["user"] for row in rows]) == (0, users)
    assert [[row["p_neg"], row["p_pos"]] for row in rows] == expected


def test_a_json_text_sequence_is_read_as_json(shell: Shell, folder: Path) -> None:
    """The mark before each record, as RFC 7464 has it, is no part of a plain text."""
    stdin = "".join("\x1e" + json.dumps({"message": text}) + "\n" for text in ("good", "bad"))
    code, out, err = shell("stream model.safetensors --text message", stdin=stdin)
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err, [row["message"] for row in rows]) == (0, "", ["good", "bad"])
    assert [[row["p_neg"], row["p_pos"]] for row in rows] == [
        probabilities(folder, ["good", "bad"][:n]) for n in (1, 2)
    ]


def test_lines_without_a_key_are_one_session(shell: Shell, folder: Path) -> None:
    """Plain lines are texts; as text a line has probability, label, and what came in, but nothing that acts."""
    stdin = "a good film\nbad \x1b[2J\n"
    code, out, _ = shell("stream model.safetensors --to text", stdin=stdin)
    first, second = (probabilities(folder, stdin.splitlines()[:n]) for n in (1, 2))
    labels = ["neg", "pos"]
    assert code == 0
    assert out.splitlines() == [
        f"{max(first):.3f} {labels[first[1] > first[0]]}  a good film",
        f"{max(second):.3f} {labels[second[1] > second[0]]}  bad \\x1b[2J",
    ]


def test_a_session_that_makes_room_begins_anew(shell: Shell, folder: Path) -> None:
    """With room for one session, the other key's line ends it."""
    stdin = "".join(json.dumps({"user": user, "text": "good"}) + "\n" for user in ("a", "b", "a"))
    _, out, _ = shell("stream model.safetensors --key user --max-sessions 1", stdin=stdin)
    assert [json.loads(line)["p_pos"] for line in out.splitlines()] == [probabilities(folder, ["good"])[1]] * 3


@pytest.mark.parametrize("value", ["[1, 2]", '{"a": 1}', "null", "1.5", "true"])
def test_keys_may_be_anything(shell: Shell, folder: Path, value: str) -> None:
    """Lists and objects tell sessions apart, and so does nothing at all; true is not 1. A mark before all is none."""
    stdin = "\ufeff" + f'{{"user": {value}, "text": "good"}}\n{{"user": 1, "text": "bad"}}\n' * 2
    code, out, _ = shell("stream model.safetensors --key user --to jsonl", stdin=stdin)
    assert code == 0
    expected = [probabilities(folder, lines)[1] for lines in (["good"], ["bad"], ["good"] * 2, ["bad"] * 2)]
    assert [json.loads(line)["p_pos"] for line in out.splitlines()] == expected


@pytest.mark.parametrize(
    ("options", "stdin", "message"),
    [
        ("--key who", '{"text": "good", "user": 1}\n', "there is no column 'who' to tell sessions apart, only text"),
        ("--key who", "good\n", "there is no column 'who'"),
        ("--text what", '{"text": "good"}\n', "what"),
        ("", '{"text": "good"}\nbad\n', "line 2 is not JSON"),
        ("--from csv --key user", "text,user,prediction\na,b,c\n", "'prediction', which stream would add"),
    ],
)
def test_what_cannot_be_read_is_one_line(shell: Shell, options: str, stdin: str, message: str) -> None:
    """A missing column or a damaged line ends the command with an error."""
    code, _, err = shell(f"stream model.safetensors {options}", stdin=stdin)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("wrong", "options", "message"),
    [
        (b'{"text": bad}', "", "line 3 is not JSON"),
        (b'{"text": "\xff"}', "", "line 3 is not UTF-8 (byte 0xff)"),
        (b'{"text": ["good"]}', "--text text", "row 3 of column 'text' holds ['good'], expected a text"),
        (b'{"text": "<a %s"}' % (b"x" * 66_000), "", "row 3: 66,003 characters would be held back"),
    ],
)
def test_lines_before_a_wrong_one_are_answered(
    folder: Path, process: Callable[[str], Any], wrong: bytes, options: str, message: str
) -> None:
    """Also where they have come in at once; the error names the line, and nothing after it is read."""
    lines = [b'{"text": "good", "user": 1}', b'{"text": "bad", "user": 2}']
    running = process(f"stream model.safetensors --key user {options}")
    running.stdin.buffer.write(b"\n".join([*lines, wrong, *lines]) + b"\n")
    out, err = running.communicate()
    assert running.returncode == 2
    assert [json.loads(line)["p_pos"] for line in out.splitlines()] == [
        probabilities(folder, [word])[1] for word in ("good", "bad")
    ]
    assert f"standard input: {message}" in err


def test_a_model_in_both_directions_is_refused(shell: Shell, folder: Path) -> None:
    """At once, before a line is read."""
    old = model(folder)
    config = tidegate.TextConfig(**{**vars(old.config), "bidirectional": True})
    arrays = {name: np.zeros(shape, np.float32) for name, shape in config.shapes().items()}
    tidegate.TextModel(config, old.tokenizer, arrays).save(folder / "both.safetensors")
    code, out, err = shell("stream both.safetensors", stdin="good\n")
    assert (code, out) == (2, "")
    assert "can't be streamed" in err


@pytest.mark.parametrize("options", ["", "--to text", "--key user"])
def test_lines_are_answered_at_once_until_ctrl_c(process: Callable[[str], Any], options: str) -> None:
    """Each line has its answer before the next one comes; Ctrl-C ends the command, with no more than its exit code."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # where it is ignored, a child ignores it too
    running = process(f"stream model.safetensors {options}")
    signal.signal(signal.SIGINT, before)
    for i in range(3):
        running.stdin.write('{"user": 1, "text": "good"}\n' if "key" in options else "good film\n")
        running.stdin.flush()
        line = running.stdout.readline()
        assert "pos" in line, i
    running.send_signal(signal.SIGINT)
    out, err = running.communicate()
    assert (running.returncode, out) == (130, "")
    assert err in {"", "interrupted\n"}


@pytest.mark.parametrize("options", ["", "--to text"])
def test_a_reader_that_goes_ends_it_quietly(process: Callable[[str], Any], options: str) -> None:
    """As `head` does."""
    running = process(f"stream model.safetensors {options}")
    running.stdin.write("good film\n")
    running.stdin.flush()
    assert running.stdout.readline()
    running.stdout.close()
    with suppress(BrokenPipeError):
        for _ in range(3):
            running.stdin.write("good film\n")
            running.stdin.flush()
    with suppress(BrokenPipeError):
        running.stdin.close()
    assert running.stderr.read() == ""
    assert running.wait() == 0
    running.stderr.close()


def test_a_terminal_shows_lines_that_fit(folder: Path, plain: Callable[[str], str]) -> None:
    """On a terminal the default is text, a line for each, cut to its width, in which nothing acts."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "tidegate", "stream", "model.safetensors", "--key", "user"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "40"}
    lines = json.dumps({"user": "\x1b[1mann", "text": "good film " * 9}) + "\n"
    done = subprocess.run(command, cwd=folder, env=environment, input=lines.encode(), stdout=follower, check=True)
    os.close(follower)
    shown = plain(os.read(leader, 1 << 16).decode()).replace("\r\n", "\n")
    os.close(leader)
    assert done.returncode == 0
    assert shown.startswith(f"{max(probabilities(folder, ['good film ' * 9])):.3f} pos  \\x1b[1mann  good film go")
    assert (len(shown.rstrip()), shown.count("\n"), shown.rstrip()[-1]) == (40, 1, "…")
