"""What reaches a terminal: no character that acts on it, none that it lacks, and in a pipe the data as it is."""

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("typer")

Shown = Callable[..., tuple[int, str, str]]

# C0 and C1 controls, DEL, an override of the direction of writing, an isolate, a line separator, and a mark
HOSTILE = "\x1b[31mx\x07\x08\x9b31m\x7f\u202e\u2066\u2028\ufeff"
LABELS = (f"neg{HOSTILE}", "pos\r\x1b]0;title\x07 北−")
TEXT = f"a good film {HOSTILE} is … 北京 − naïve"

COMMANDS = {
    "info": ["info", "model.safetensors"],
    "machine": ["info"],
    "predict": ["predict", "model.safetensors", "texts.csv"],
    "predict as TSV": ["predict", "model.safetensors", "texts.csv", "--to", "tsv"],
    "predict as JSON Lines": ["predict", "model.safetensors", "texts.csv", "--to", "jsonl"],
    "predict to a file": ["predict", "model.safetensors", "texts.csv", "-o", f"out{HOSTILE}.csv"],
    "predict a file": ["predict", "model.safetensors", f"texts{HOSTILE}.csv"],
    "words": ["predict", "model.safetensors", "--words", TEXT],
    "evaluate": ["evaluate", "model.safetensors", "texts.csv"],
    "evaluate as JSON": ["evaluate", "model.safetensors", "texts.csv", "--json"],
    "explain": ["explain", "model.safetensors", TEXT],
    "explain as JSON": ["explain", "model.safetensors", TEXT, "--json"],
    "explain by occlusion": ["explain", "model.safetensors", TEXT, "--method", "occlusion"],
    "units": ["units", "model.safetensors", "texts.csv"],
    "units as JSON": ["units", "model.safetensors", "texts.csv", "--json"],
    "study": ["study"],
    "help": ["--help"],
    "help of a command": ["train", "--help"],
    "no such class": ["explain", "model.safetensors", "good", "--class", HOSTILE],
    "no such column": ["predict", "model.safetensors", "texts.csv", "--text", HOSTILE],
    "no such file": ["predict", "model.safetensors", f"none{HOSTILE}.csv"],
    "no such model": ["predict", f"none{HOSTILE}.safetensors", "texts.csv"],
    "no such command": [f"none{HOSTILE}"],
    "no such option": ["info", f"--none{HOSTILE}"],
    "too many arguments": ["info", "model.safetensors", HOSTILE],
    "no number": ["predict", "model.safetensors", "texts.csv", "--threads", HOSTILE],
    "wrong suffix": ["predict", "model.safetensors", "texts.csv", "-o", f"out{HOSTILE}"],
    "no folder": ["predict", "model.safetensors", "texts.csv", "-o", f"none{HOSTILE}/out.csv"],
    "a damaged table": ["evaluate", "model.safetensors", f"damaged{HOSTILE}.csv"],
    "a traceback": ["--debug", "predict", "model.safetensors", f"none{HOSTILE}.csv"],
}


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_model: Callable[..., object]) -> Path:
    """A folder with a model whose labels, and texts whose columns and words, hold characters that steer terminals."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    random_model(labels=LABELS, texts=[TEXT]).save("model.safetensors")  # type: ignore[attr-defined]
    with open("texts.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerows([("text", "label", f"more{HOSTILE}"), *[(TEXT, LABELS[i % 2], HOSTILE) for i in range(40)]])
    os.link("texts.csv", f"texts{HOSTILE}.csv")
    Path(f"damaged{HOSTILE}.csv").write_text(f"text,label\n{HOSTILE},{HOSTILE},{HOSTILE}\n", "utf-8")
    return tmp_path


class Stream(io.TextIOWrapper):
    """Standard output or error, as a terminal or not, that keeps what it gets."""

    def __init__(self, encoding: str, errors: str, terminal: bool) -> None:
        self.kept = io.BytesIO()
        self.terminal = terminal
        super().__init__(self.kept, encoding=encoding, errors=errors, newline="\n", write_through=True)

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Runs a command with standard streams of an encoding; returns exit code and what they got."""
    import tidegate.cli.app  # noqa: F401 - before streams are replaced: rich looks at them once
    from tidegate.cli import main

    def run(command: list[str], encoding: str = "utf-8", *, terminal: bool = True) -> tuple[int, str, str]:
        out, err = Stream(encoding, "strict", terminal), Stream(encoding, "backslashreplace", terminal)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            code = main(command)
        shown = (stream.kept.getvalue().decode(encoding, "replace") for stream in (out, err))
        return code, next(shown), next(shown)

    return run


def acting(text: str) -> set[str]:
    """The characters that would act on a terminal, without colours and rich's moves of the cursor."""
    plain = re.sub(r"\x1b\[[\d;]*m|\x1b\[\?25[lh]|\x1b\[\d*[AK]|\x1b\[2K", "", text)
    return {c for c in plain if not c.isprintable() and c not in "\n\t"}


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_acts_on_a_terminal(shown: Shown, name: str) -> None:
    """No command and no error passes on a control character of labels, columns, words, file names or arguments."""
    code, out, err = shown(COMMANDS[name])
    wrong = name.startswith(("no ", "too ", "wrong ", "a "))
    assert code == (2 if wrong else 0), err
    assert acting(out + err) == set()
    assert out or err


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"a traceback", "machine", "study"}])
def test_a_terminal_that_is_not_utf_8_degrades(shown: Shown, name: str) -> None:
    """What the encoding lacks is written in other signs or escapes, by every command, also in a pipe."""
    plain = shown(COMMANDS[name])
    for encoding in ("latin-1", "ascii", "cp1252", "cp437", "koi8-r"):
        code, out, err = shown(COMMANDS[name], encoding)
        assert code == plain[0], (encoding, err)
        assert "codec" not in err, encoding
        assert acting(out + err) == set(), encoding
        assert bool(out) == bool(plain[1]), encoding
        code, _, err = shown(COMMANDS[name], encoding, terminal=False)
        assert code == plain[0], (encoding, err)
        assert "codec" not in err, encoding


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("name", ["predict", "predict as JSON Lines"])
def test_a_pipe_gets_tables_as_they_are(shown: Shown, name: str, encoding: str) -> None:
    """A table in a pipe is UTF-8, whatever the encoding of the terminal, and equals that in a file."""
    kind = "jsonl" if "JSON" in name else "csv"
    assert shown([*COMMANDS["predict"], "-o", f"same.{kind}"])[0] == 0
    code, out, _ = shown(COMMANDS[name], encoding, terminal=False)
    assert code == 0
    assert out.encode(encoding) == Path(f"same.{kind}").read_bytes()


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("name", ["evaluate as JSON", "explain as JSON", "units as JSON"])
def test_json_is_json_everywhere(shown: Shown, name: str, terminal: bool, encoding: str) -> None:
    """JSON can be read back, labels and words included, from a pipe and from a terminal of any encoding."""
    code, out, _ = shown(COMMANDS[name], encoding, terminal=terminal)
    assert code == 0
    read = json.loads(out)
    if "labels" in read:
        assert tuple(read["labels"]) == LABELS
    if not terminal:
        assert out.isascii() == (encoding != "utf-8")
        if "units" not in read:  # which holds words, and a mark of direction is none
            assert ("\u202e" in out) == (encoding == "utf-8")


def test_a_path_in_a_pipe_is_exact(shown: Shown, tmp_path: Path) -> None:
    """`data` prints where the tables are: on a terminal legibly, in a pipe so that a program finds them."""
    folder = tmp_path / f"a{HOSTILE}\udcff"
    (folder / "imdb").mkdir(parents=True)
    for part in ("train", "test"):
        (folder / "imdb" / f"{part}.parquet").touch()
    code, out, _ = shown(["data", "imdb", "--folder", str(folder)], "latin-1", terminal=False)
    assert code == 0
    assert os.fsdecode(out.encode("latin-1").splitlines(keepends=False)[0]).startswith(str(tmp_path))
    assert os.fsencode(folder / "imdb" / "test.parquet") + b"\n" in out.encode("latin-1")
    _, out, _ = shown(["data", "imdb", "--folder", str(folder)])
    assert acting(out) == set()


def test_signs_keep_their_width() -> None:
    """What stands for our own signs is as wide as they are, so that columns stay columns."""
    from rich.cells import cell_len

    from tidegate.cli.console import _PLAIN, legible

    for sign, plain in _PLAIN.items():
        assert cell_len(sign) == len(plain) == 1
        assert legible(sign, "ascii") == plain
        assert legible(sign) == sign


@pytest.mark.parametrize(
    ("environment", "colours"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"COLUMNS": "40"}, True)],
)
def test_terminals_of_all_kinds(
    terminal: Callable[..., str], plain: Callable[[str], str], environment: dict[str, str], colours: bool
) -> None:
    """Without colours, without a cursor that moves, and on 40 columns, an explanation fits."""
    out = terminal("explain model.safetensors 'a good film, really'", **environment)
    assert bool(re.search(r"\x1b\[[\d;]*3[1-8]", out)) is colours
    assert max(map(len, plain(out).splitlines())) <= int(environment.get("COLUMNS", "80"))
    assert "really" in out


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_real_terminals_that_are_not_utf_8(terminal: Callable[..., str], environment: dict[str, str]) -> None:
    """Python itself is told about the encoding by the environment; the fine cast is read on any."""
    assert "at the end" in terminal("predict model.safetensors --words 'fine cast 北 −'", **environment)


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("label", ["$", "cash $5 or $6", "a$\\nonsense$b", "$x^{$", HOSTILE])
def test_pages_and_pictures_show_labels_as_they_are(
    shown: Shown, random_model: Callable[..., object], label: str
) -> None:
    """A dollar sign in a label or a word begins no formula, and no control character gets into a page."""
    pytest.importorskip("matplotlib")
    random_model(labels=("other", label)).save("labelled.safetensors")  # type: ignore[attr-defined]
    text = f"a $5 or $\\frac{{ good film {label}"
    for name in ("other", label):
        command = ["explain", "labelled.safetensors", text, "--class", name, "--png", "a.png", "--html", "a.html"]
        code, _, err = shown(command)
        assert code == 0, err
        assert acting(Path("a.html").read_text("utf-8")) == set()
