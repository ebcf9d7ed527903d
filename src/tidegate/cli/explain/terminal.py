"""An explanation on a terminal, and as plain lines."""

from collections.abc import Iterator

from rich.text import Text

from tidegate.cli.console import out, plural, say, show_facts, show_table
from tidegate.cli.explain.explained import Explained
from tidegate.cli.words import bar, draw_end, draw_words, style_of

_WIDEST_WORD = 16
_WIDEST_BAR = 24


def show(explained: Explained) -> None:
    """Shows an explanation in colours, as wide as the terminal."""
    legend = Text(f"{explained.quantity}: {explained.noun}s ")
    legend.append("against", style_of(0)).append(" and ").append("for", style_of(1))
    legend.append(" it; bars: probability so far")
    out.print(legend)
    out.print()
    draw_words(explained.words, (1 + explained.strengths) / 2, explained.curve)
    out.print()
    draw_end(explained.name, explained.curve[-1])
    out.print()
    weight = "in memory at the end" if explained.method == "ledger" else f"by {explained.method}"
    show_table((explained.noun, "place", weight, "memory", "kept", "counts"), _rows(explained), bars=2, spare=(2, 1, 4))
    show_facts(explained.facts)


def print_lines(explained: Explained) -> None:
    """Prints an explanation in lines without colours, one for each word."""
    width = max(len(explained.noun), *map(len, explained.words))
    say(f"{explained.noun:<{width}}  after  memory  kept  counts")
    columns = (explained.curve, explained.shares, explained.explanation.kept, explained.contributions)
    for word, p, share, kept, contribution in zip(explained.words, *columns, strict=True):
        counts = explained.shown(contribution)
        say(f"{word:<{width}}  {explained.shown_after(p)}  {share:6.1%}  {kept:4.0%}  {counts}")
    say()
    show_facts([("after", f"{explained.after} after each {explained.noun}"), *explained.facts])


def _rows(explained: Explained) -> Iterator[tuple[str | Text, ...]]:
    """Lists the strongest words: place, bar, share of what is in memory, share of the deposit kept, what they count."""
    listed, weights = explained.listed, explained.weights
    for t in listed:
        word, colour = Text(explained.words[t]), style_of((1 + explained.strengths[t]) / 2)
        word.truncate(_WIDEST_WORD, overflow="ellipsis")
        drawn = bar(weights[t] / (weights[listed[0]] or 1), _WIDEST_BAR)
        numbers = (f"{explained.shares[t]:.1%}", f"{explained.explanation.kept[t]:.0%}")
        yield word, str(t + 1), Text(drawn, colour), *numbers, Text(explained.shown(explained.contributions[t]), colour)
    count, share, contribution = explained.others
    if count:
        yield plural(count, "other"), "", "", f"{share:.1%}", "", explained.shown(contribution)
