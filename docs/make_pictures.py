"""Draws the pictures of the documentation: python docs/make_pictures.py MODEL (such as `make demo` leaves)."""

import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

import tidegate

TEXTS = (
    "I love this movie so much, and then it goes on and on about the plot of the story and who meets whom and where",
    "A long tale of brothers and wars and ships and storms. But the movie is really boring.",
)
FOLDER = Path(__file__).parent / "pictures"


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


def main() -> None:
    """Writes docs/pictures/words.png."""
    model = tidegate.load(sys.argv[1])
    figure, all_axes = plt.subplots(len(TEXTS), 1, figsize=(9, 5.2), layout="constrained")
    for axes, text in zip(all_axes, TEXTS, strict=True):
        draw_words(axes, model, text)
    all_axes[0].set_title("What the model believes after each word, if the review ended there", fontsize=11)
    FOLDER.mkdir(exist_ok=True)
    figure.savefig(FOLDER / "words.png", dpi=110)


if __name__ == "__main__":
    main()
