"""Draws the pictures of gradient-flow.md and prints its tables: python docs/make_gradient_flow.py GRU RNN TEXTS.

GRU and RNN are models of the same reviews, the second trained with `--cell rnn_tanh`; TEXTS is a table of reviews that
they have not seen.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import tidegate
from tidegate import Recurrent
from tidegate.cli import main as run
from tidegate.data import tables
from tidegate.inspection.gradient_flow import factors, flow, lyapunov
from tidegate.inspection.gradient_flow.growth import describe, fitted_rate
from tidegate.inspection.units import units
from tidegate.torch import GRU

COUNT, WORDS = 20, 300  # reviews, and how many words of each are read
FOLDER = Path(__file__).parent / "pictures"


def long_texts(texts: list[str], model: tidegate.TextModel) -> list[str]:
    """Returns some texts of WORDS words or more, from all over the table."""
    mixed = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]
    return [text for text in mixed if len(model.tokenizer.words(text)) >= WORDS][:COUNT]


def measure(layer: Recurrent, inputs: np.ndarray) -> tuple[np.ndarray, dict[str, str]]:
    """Returns the median curve of log norms by distance over the rows of a batch, and the rows of the table."""
    (trace,), w_hh = layer.trace(inputs), layer.weights["weight_hh_l0"]
    rows = range(inputs.shape[1])
    curve = np.median([flow(trace, w_hh, row).by_distance for row in rows], axis=0)
    bounds = [factors(trace, w_hh, row) for row in rows]
    exponents = np.mean([lyapunov(trace, w_hh, row, count=3) for row in rows], axis=0)
    rate = fitted_rate(curve)
    return curve, {
        "rate, fitted on log norms": f"{rate:.3f}",
        "factor of a step, mean": f"{np.mean([one.factor for one in bounds]):.2f}",
        "its bound, mean": f"{np.mean([one.bound for one in bounds]):.2f}",
        "exp of the leading Lyapunov exponents": ", ".join(f"{factor:.3f}" for factor in np.exp(exponents)),
        "verdict": describe(curve, rate),
    }


def draw_flows(curves: dict[str, np.ndarray]) -> None:
    """Draws how much of a gradient arrives, by distance."""
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for (name, curve), colour in zip(curves.items(), ("#0072b2", "#56b4e9", "#d55e00"), strict=True):
        axes.plot(curve, label=name, color=colour, linewidth=2)
    axes.set(xlabel="words before the end", ylabel="log10 ‖∂h_T/∂h_t‖", xlim=(0, WORDS))
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(FOLDER / "gradient-flow.png", dpi=100)


def chrono_rows() -> None:
    """Prints the memories of fresh units, started as torch does and by chrono initialisation."""
    x = np.random.default_rng(0).standard_normal((WORDS, 8, 100)).astype(np.float32) / 10
    print("| start | memory, shortest | median | longest | rate |\n|---|---|---|---|---|")
    for name, chrono in (("torch's", None), ("`chrono=100`", 100)):
        torch.manual_seed(0)
        layer = Recurrent({key: array.numpy() for key, array in GRU(100, 128, chrono=chrono).state_dict().items()})
        traces = layer.trace(x)
        shown = " | ".join(f"{memory:.1f}" for memory in np.quantile(units(traces).memory, (0, 0.5, 1)))
        print(f"| {name} | {shown} | {flow(traces[0], layer.weights['weight_hh_l0']).rate:.3f} |")


def main() -> None:
    """Writes two pictures to docs/pictures and prints the tables."""
    gru, rnn = map(tidegate.load, sys.argv[1:3])
    texts = long_texts(tables.read(sys.argv[3]).texts, gru)
    networks = {"GRU": (gru, {}), "GRU, r = 1 and z = 0": (gru, {"reset": "off", "update": "off"}), "RNN": (rnn, {})}
    curves, columns = {}, {}
    for name, (model, choices) in networks.items():
        assert model.stack is not None  # noqa: S101 - for mypy: both are recurrent
        layer = Recurrent(model.stack.weights, model.config.cell, **choices)
        curves[name], columns[name] = measure(layer, model.embed(texts).x[:WORDS])
    print(f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for fact in columns["GRU"]:
        print(f"| {fact} | {' | '.join(column[fact] for column in columns.values())} |")
    FOLDER.mkdir(exist_ok=True)
    draw_flows(curves)
    print()
    chrono_rows()
    run(["units", sys.argv[1], sys.argv[3], "--png", str(FOLDER / "saturation.png")])


if __name__ == "__main__":
    main()
