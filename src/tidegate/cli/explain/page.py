"""An explanation as a page of one file, which asks for nothing from anywhere."""

from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from string import Template
from typing import BinaryIO

from tidegate.cli.explain.explained import Explained, signed
from tidegate.cli.words import rgb

_METHODS = {
    "ledger": "the ledger: what it wrote into the memory, as far as it is there at the end",
    "integrated-gradients": "integrated gradients",
    "occlusion": "occlusion: what is lost when it is left out",
}


def write_page(explained: Explained, file: BinaryIO) -> None:
    """Writes the page.

    Args:
        explained: What to show.
        file: Where the HTML goes.
    """
    label, probability = explained.prediction
    by_ledger = explained.method == "ledger"
    plain = {
        "title": f"{label} {probability:.3f}: why",
        "prediction": f"{label}, with a probability of {probability:.3f}",
        "quantity": explained.quantity,
        "method": _METHODS[explained.method],
        "largest": f"{abs(explained.contributions).max():.2f}",
        "name": repr(explained.name),
        "end": f"{explained.curve[-1]:.3f}",
        "curve_label": f"Probability of {explained.name!r} after each word: {explained.curve[-1]:.3f} at the end",
        "heading": "What is in memory at the end, by word" if by_ledger else "The words that count most",
        "steps": str(len(explained.words)),
        "count": f"{len(explained.words):,}",
    }
    marked = {
        "for": _numbers(rgb(1)),
        "against": _numbers(rgb(0)),
        "words": " ".join(_words(explained)),
        "curve": _path(explained.curve.tolist()),
        "listed": "".join(_listed(explained)),
        "facts": "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in explained.facts),
        "all": "".join(_all(explained)),
    }
    template = files("tidegate.cli.explain").joinpath("page.html").read_text(encoding="utf-8")
    fields = {name: escape(text) for name, text in plain.items()} | marked
    file.write(Template(template).substitute(fields).encode())


def _words(explained: Explained) -> Iterator[str]:
    explanation = explained.explanation
    for t, word in enumerate(explained.words):
        said = (
            f"{word} ({t + 1}): counts {signed(explained.contributions[t])}; {explanation.kept[t]:.0%} of what it "
            f"wrote is kept, {explained.shares[t]:.1%} of the memory; probability so far {explained.curve[t]:.3f}"
        )
        yield f'<span {_tint(explained, t)} data-said="{escape(said)}">{escape(word)}</span>'


def _listed(explained: Explained) -> Iterator[str]:
    listed, weights = explained.listed, explained.weights
    for t in listed:
        width = 100 * weights[t] / (weights[listed[0]] or 1)
        bar = f"<div {_tint(explained, t, f'width: {width:.1f}%')}></div>"
        yield _row(explained, t, f'<td class="bar">{bar}</td>')
    count, share, contribution = explained.others
    if count:
        cells = (f"{count:,} more", "", "", f"{share:.1%}", "", signed(contribution))
        yield f"<tr>{_cells(cells)}</tr>"


def _all(explained: Explained) -> Iterator[str]:
    for t, p in enumerate(explained.curve):
        yield _row(explained, t, _cells([f"{p:.3f}"]))


def _row(explained: Explained, t: int, middle: str) -> str:
    kept, contribution = f"{explained.explanation.kept[t]:.0%}", signed(explained.contributions[t])
    left, right = _cells([explained.words[t], str(t + 1)]), _cells([f"{explained.shares[t]:.1%}", kept, contribution])
    return f"<tr>{left}{middle}{right}</tr>"


def _cells(texts: Iterable[str]) -> str:
    return "".join(f"<td>{escape(text)}</td>" for text in texts)


def _tint(explained: Explained, t: int, style: str = "") -> str:
    """Colours an element by what a word counts."""
    strength = explained.strengths[t]
    kind = "plus" if strength >= 0 else "minus"
    return f'class="{kind}" style="--strength: {abs(strength):.3f}; {style}"'


def _path(curve: list[float]) -> str:
    """Draws a curve over boxes of width 1: from the first box to the last, level in the first and last half box."""
    points = [(t + 0.5, 1 - p) for t, p in enumerate(curve)]
    points = [(0, points[0][1]), *points, (len(curve), points[-1][1])]
    return "M" + " L".join(f"{x:g} {y:.4f}" for x, y in points)


def _numbers(colour: Iterable[float]) -> str:
    return " ".join(f"{channel:.0f}" for channel in colour)
