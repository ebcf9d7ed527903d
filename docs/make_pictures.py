"""Draws the pictures of the documentation: python docs/make_pictures.py MODEL (such as `make demo` leaves)."""

import re
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

import tidegate

FOLDER = Path(__file__).parent / "pictures"


def texts_of_demo() -> list[str]:
    """Takes the texts that `make demo` reads from the Makefile: two sentences, and a pair of the same words."""
    makefile = (FOLDER.parents[1] / "Makefile").read_text("utf-8")
    return re.findall(r"^(?:LOVED|BORED|UPWARD|DOWNWARD) := '(.*)'$", makefile, re.MULTILINE)


def draw_words(axes: Axes, model: tidegate.TextModel, text: str) -> None:
    """Draws the probability of the second class after each word, as bars above and below one half."""
    words, probabilities = model.probability_after(text)
    curve = probabilities[:, 1]
    colours = mpl.colormaps["PuOr"](0.15 + 0.7 * curve)
    axes.bar(range(len(words)), curve - 0.5, bottom=0.5, color=colours, width=0.86)
    axes.axhline(0.5, color="0.4", linewidth=0.8)
    axes.set_xticks(range(len(words)), words, rotation=55, ha="right", rotation_mode="anchor", fontsize=9)
    axes.set_xlim(-0.7, len(words) - 0.3)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel(f"P({model.config.labels[1]})")
    axes.spines[["top", "right"]].set_visible(False)


def draw(model: tidegate.TextModel, texts: list[str], title: str, height: float, name: str) -> None:
    """Writes a picture of some texts, one below the other."""
    figure, all_axes = plt.subplots(len(texts), 1, figsize=(9, height), layout="constrained")
    for axes, text in zip(all_axes, texts, strict=True):
        draw_words(axes, model, text)
    all_axes[0].set_title(title, fontsize=11)
    FOLDER.mkdir(exist_ok=True)
    figure.savefig(FOLDER / name, dpi=110)


def main() -> None:
    """Writes docs/pictures/words.png and order.png."""
    model, texts = tidegate.load(sys.argv[1], tidegate.TextModel), texts_of_demo()
    title = "What the model believes after each word, if the opinion ended there"
    draw(model, texts[:2], title, 5.2, "words.png")
    draw(model, texts[2:], "The same words in another order", 4.4, "order.png")


if __name__ == "__main__":
    main()
