"""The probability after each word of a text: coloured words over bars on a terminal, one line a word elsewhere."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from rich.text import Text

from tidegate.characters import visible
from tidegate.cli.console import legible, out, say
from tidegate.models.text_model import TextModel

Numbers = npt.NDArray[np.floating]

_BARS = "▁▂▃▄▅▆▇█"
# From 0 over ½ to 1: orange, grey, blue can be told apart by colour-blind people, on dark and on light ground.
_COLOURS = np.array([[230, 110, 20], [140, 140, 140], [50, 130, 230]], np.float64)
_LONGEST_BAR = 40


def show_words(model: TextModel, text: str) -> None:
    """Prints the probability of one class after each word, exactly as if the text ended there.

    Raises:
        ValueError: There is no word in the text.
    """
    if model.config.aim.reads_tokens:
        _show_tokens(model, text)
        return
    words, probabilities = model.probability_after(text)
    words = list(map(visible, words))
    if not words:
        raise ValueError("the text has no word, expected one or more")
    labels = model.config.labels
    chosen = shown_class(probabilities[-1])
    curve = probabilities[:, chosen]
    say(f"probability of {labels[chosen]!r} after each word")
    if not out.is_terminal:
        width = max(map(len, words))
        for word, p in zip(words, curve, strict=True):
            say(f"{word:<{width}}  {p:.3f}  {bar(p)}".rstrip())
        return
    out.print()
    draw_words(words, curve, curve)
    out.print()
    draw_end(labels[chosen], curve[-1])


def _show_tokens(model: TextModel, text: str) -> None:
    """Prints how probable each word is after those before it, and the end of the text."""
    [found] = model.log_likelihoods([text])
    words, p = [*map(repr, model.tokenizer.words(text)), "(end)"], np.exp(found)
    say(f"probability of each of the {model.tokenizer.unit} after those before")
    if not out.is_terminal:
        width = max(map(len, words))
        for word, share in zip(words, p, strict=True):
            say(f"{word:<{width}}  {share:.3f}  {bar(share)}".rstrip())
    else:
        out.print()
        draw_words(list(map(visible, words)), p, p)
    say(f"together {found.sum():.2f} nats, {-found.mean():.3f} nats each: perplexity {np.exp(-found.mean()):.2f}")


def shown_class(probabilities: Numbers) -> int:
    """Chooses the class to show: of two the second, of more the one that is most probable at the end."""
    return 1 if len(probabilities) == 2 else int(probabilities.argmax())


def draw_words(words: Sequence[str], colours: Numbers, heights: Numbers) -> None:
    """Draws words, as wide as the terminal, each over a bar.

    Args:
        words: T words.
        colours: From 0, orange, over ½, grey, to 1, blue, float [T].
        heights: Of the bars, 0..1, float [T].
    """
    words = [legible(word, out.encoding) for word in words]
    for line in wrapped(words, out.width):
        over, under = Text(), Text()
        for i in line:
            style = style_of(colours[i])
            over.append(f"{words[i]} ", style)
            under.append(_BARS[round(float(heights[i]) * 7)] * cell_len(words[i]) + " ", style)
        out.print(over, no_wrap=True)
        out.print(under, no_wrap=True)


def draw_end(name: str, p: float) -> None:
    """Draws the probability of a class at the end of a text."""
    end = Text(f"{visible(name)} at the end  {p:.3f}  ")
    end.append(bar(p), style_of(p)).append("░" * (_LONGEST_BAR - len(bar(p))), "dim")
    out.print(end, no_wrap=True)


def bar(p: float, longest: int = _LONGEST_BAR) -> str:
    """Draws a share of 0..1 as a bar."""
    return "█" * round(float(p) * longest)


def style_of(p: float) -> Style:
    """Colours a number of 0..1."""
    return Style(color=Color.from_rgb(*rgb(p)))


def rgb(p: float) -> tuple[float, float, float]:
    """Returns the colour of a number of 0..1, red, green and blue of 0..255 each."""
    red, green, blue = (float(np.interp(p, (0, 0.5, 1), channel)) for channel in _COLOURS.T)
    return red, green, blue


def wrapped(words: Sequence[str], width: int) -> Iterator[list[int]]:
    """Breaks words into lines; yields the positions of the words of each."""
    line: list[int] = []
    used = 0
    for i, word in enumerate(words):
        if line and used + cell_len(word) >= width:
            yield line
            line, used = [], 0
        line.append(i)
        used += cell_len(word) + 1
    yield line
