"""The probability after each word of a text: coloured words over bars on a terminal, one line a word elsewhere."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.color import Color
from rich.style import Style
from rich.text import Text

from tidegate.cli.console import out, say
from tidegate.model import Model

_BARS = "▁▂▃▄▅▆▇█"
# From 0 over ½ to 1: orange, grey, blue can be told apart by colour-blind people, on dark and on light ground.
_COLOURS = np.array([[230, 110, 20], [140, 140, 140], [50, 130, 230]], np.float64)
_LONGEST_BAR = 40


def show_words(model: Model, text: str) -> None:
    """Prints the probability of one class after each word, exactly as if the text ended there.

    Of two classes it is the second, of more it is the one that is most probable at the end.

    Raises:
        ValueError: There is no word in the text.
    """
    words, probabilities = model.probability_after(text)
    if not words:
        raise ValueError("the text has no word, expected one or more")
    labels = model.config.labels
    chosen = 1 if len(labels) == 2 else int(probabilities[-1].argmax())
    curve = probabilities[:, chosen]
    say(f"probability of {labels[chosen]!r} after each word")
    if not out.is_terminal:
        width = max(map(len, words))
        for word, p in zip(words, curve, strict=True):
            say(f"{word:<{width}}  {p:.3f}  {_bar(p)}".rstrip())
        return
    out.print()
    for line in _wrapped(words, out.width):
        over, under = Text(), Text()
        for i in line:
            style = _style(curve[i])
            over.append(f"{words[i]} ", style)
            under.append(_BARS[round(curve[i] * 7)] * len(words[i]) + " ", style)
        out.print(over, no_wrap=True)
        out.print(under, no_wrap=True)
    out.print()
    end = Text(f"{labels[chosen]} at the end  {curve[-1]:.3f}  ")
    end.append(_bar(curve[-1]), _style(curve[-1])).append("░" * (_LONGEST_BAR - len(_bar(curve[-1]))), "dim")
    out.print(end, no_wrap=True)


def _bar(p: np.floating | float) -> str:
    """Draws a probability as a bar of up to 40 characters."""
    return "█" * round(float(p) * _LONGEST_BAR)


def _style(p: np.floating | float) -> Style:
    red, green, blue = (float(np.interp(p, (0, 0.5, 1), channel)) for channel in _COLOURS.T)
    return Style(color=Color.from_rgb(red, green, blue))


def _wrapped(words: Sequence[str], width: int) -> Iterator[list[int]]:
    """Breaks words into lines; yields the positions of the words of each."""
    line: list[int] = []
    used = 0
    for i, word in enumerate(words):
        if line and used + len(word) >= width:
            yield line
            line, used = [], 0
        line.append(i)
        used += len(word) + 1
    yield line
