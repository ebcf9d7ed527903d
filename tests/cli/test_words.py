"""`tidegate predict --words`: the probability after each word."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import tidegate

Shell = Callable[..., tuple[int, str, str]]
TEXT = "a good film is a boring film"


def test_each_word_has_a_line_without_a_terminal(shell: Shell, folder: Path) -> None:
    """Word, probability and bar stand in a line each, as if the text ended there."""
    code, out, err = shell(f"predict model.safetensors --words '{TEXT}'")
    assert (code, err) == (0, "")
    title, *lines = out.splitlines()
    assert title == "probability of 'pos' after each word"
    model, words = tidegate.load(folder / "model.safetensors"), TEXT.split()
    assert len(lines) == len(words)
    for i, line in enumerate(lines):
        word, shown, *bar = line.split()
        p = float(model.predict_proba([" ".join(words[: i + 1])])[0, 1])
        assert word == words[i]
        assert float(shown) == pytest.approx(p, abs=6e-4)
        assert len("".join(bar)) == pytest.approx(40 * p, abs=0.6)


def test_words_stand_over_bars_on_a_terminal(terminal: Callable[..., str], plain: Callable[[str], str]) -> None:
    """A terminal shows the words in lines of 80 columns, each over a bar as wide as itself, and a bar for the end."""
    coloured = terminal(f"predict model.safetensors --words '{TEXT} {TEXT} {TEXT}'")
    lines = plain(coloured).splitlines()
    assert max(map(len, lines)) <= 80
    blocks = [line for line in lines if re.fullmatch(r"[ ▁▂▃▄▅▆▇█]+", line) and line.strip()]
    texts = [lines[lines.index(line) - 1] for line in blocks]
    assert " ".join(text.strip() for text in texts) == f"{TEXT} {TEXT} {TEXT}"
    assert len(texts) == 2
    assert re.search(r"^pos at the end  0\.\d{3}  █*░*$", plain(coloured), re.MULTILINE)
    assert "\x1b[38;2;" in coloured


def test_no_color_is_respected(terminal: Callable[..., str]) -> None:
    """With NO_COLOR the same is shown without colours."""
    shown = terminal(f"predict model.safetensors --words '{TEXT}'", NO_COLOR="1")
    assert "pos at the end" in shown
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", shown)


def test_a_text_without_words_is_a_mistake(shell: Shell) -> None:
    """There must be a word."""
    assert shell("predict model.safetensors --words ' '") == (
        2,
        "",
        "error: the text has no word, expected one or more\n",
    )
