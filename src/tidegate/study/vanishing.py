"""How far back gradients reach, and how far back a network learns from: vanilla RNNs against GRU and LSTM."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tidegate.inspection.gradient_flow import flow
from tidegate.inspection.statistics import Interval
from tidegate.sequences.recurrent import Recurrent
from tidegate.study import figures
from tidegate.study.findings import Figure, Findings, Row, Table, best, pick, scored, written
from tidegate.study.frame import Setup, Study
from tidegate.study.networks import Reader, evaluate, fit
from tidegate.study.tasks import Task, deciding_word, deciding_words

NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "GRU": {"cell": "gru"},
    "GRU (chrono)": {"cell": "gru", "chrono": True},
    "LSTM": {"cell": "lstm"},
    "LSTM (chrono)": {"cell": "lstm", "chrono": True},
    "RNN tanh": {"cell": "rnn_tanh"},
    "RNN tanh (orthogonal)": {"cell": "rnn_tanh", "start": "orthogonal"},
    "RNN tanh (1.5 × orthogonal)": {"cell": "rnn_tanh", "start": "orthogonal", "gain": 1.5},
    "RNN relu": {"cell": "rnn_relu"},
    "RNN relu (identity)": {"cell": "rnn_relu", "start": "identity"},
}
ALONE, MIXED = "each distance alone", "all distances mixed"
LEARNT = 0.9  # accuracy from which a distance counts as learnt


def conditions(setup: Setup) -> list[Row]:
    """Each network at each distance and on the mix, with each learning rate; and its gradients before training."""
    sizes = setup.sizes
    rates = [{"learning_rate": rate} for rate in sizes["learning_rates"]]
    trained = [{"training": ALONE, "distance": distance} for distance in sizes["distances"]] + [{"training": MIXED}]
    return [
        *({"network": name, "training": "none"} for name in NETWORKS),
        *({"network": name, **how, **rate} for how in trained for name in NETWORKS for rate in rates),
    ]


def measure(condition: Row, seed: int, setup: Setup) -> Iterator[Row]:
    """Trains one network, and yields its accuracy at the distance, or at all of them; or its gradients untrained."""
    sizes, how = setup.sizes, condition["training"]
    longest = condition.get("distance", max(sizes["distances"]))
    task = deciding_words(longest) if how == MIXED else deciding_word(longest)
    reader = network(condition["network"], task, seed, sizes["hidden"], longest)
    if how == "none":
        yield {"log10_norms": gradient_norms(reader, task, seed, sizes["gradient_distances"])}
        return
    steps = sizes["mixed_steps" if how == MIXED else "steps"]
    options = {"steps": steps, "learning_rate": condition["learning_rate"], "batch": sizes["batch"]}
    trained = fit(reader, task, seed, **options, enough=0.999 if how == ALONE else np.inf)
    for distance in [longest] if how == ALONE else sizes["distances"]:
        found = evaluate(reader, deciding_word(distance), seed, sizes["test"])
        yield {"distance": distance, **found, "diverged": trained.diverged is not None}
    if how == MIXED:
        yield {"log10_norms": gradient_norms(reader, deciding_word(longest), seed, sizes["gradient_distances"])}


def network(name: str, task: Task, seed: int, hidden: int, longest: int) -> Reader:
    """Makes a network at its start; a chrono start is made for the longest distance."""
    torch.manual_seed(seed)
    options = dict(NETWORKS[name])
    if options.get("chrono"):
        options["chrono"] = max(2, longest)
    return Reader(task, hidden=hidden, **options)


def gradient_norms(reader: Reader, task: Task, seed: int, distances: Sequence[int], rows: int = 4) -> list[float]:
    """Computes log10 of the spectral norm of ∂h_T/∂h_{T−d} over some sequences, their median for each distance d.

    Returns:
        One number for each distance that the sequences have; none if the states are not finite.
    """
    x = task.draw(np.random.default_rng(seed), rows).x
    layer = Recurrent(reader.weights(), reader.cell)
    (trace,) = layer.trace(x)
    if not np.isfinite(trace.y).all():
        return []
    found = [flow(trace, layer.weights["weight_hh_l0"], row).by_distance for row in range(rows)]
    reached = [distance for distance in distances if distance <= len(x)]
    return [round(float(norm), 3) for norm in np.maximum(np.median(found, axis=0)[reached], LEAST)]


LEAST = -300.0  # log10 of what counts as 0: nothing at all arrives where relu units are off


def conclude(rows: Sequence[Row], setup: Setup) -> Findings:
    """Draws curves of gradients and accuracy by distance, and says how far each network reaches."""
    distances = setup.sizes["distances"]
    accuracy: dict[str, dict[str, dict[int, Interval]]] = {}
    for how in (ALONE, MIXED):
        for name in NETWORKS:
            some = pick(rows, network=name, training=how)
            some = _mixed(some) if how == MIXED else some
            chosen = {d: best(pick(some, distance=d)) for d in distances}
            if at := scored({d: found for d, found in chosen.items() if found}):
                accuracy.setdefault(how, {})[name] = at
    tables = [_table(how, by_name, distances) for how, by_name in accuracy.items()]
    pictures = [_accuracies(accuracy)] if accuracy else []
    untrained = {name: norms for name in NETWORKS if (norms := _norms(pick(rows, network=name, training="none")))}
    mixed = {name: _mixed(pick(rows, network=name, training=MIXED)) for name in NETWORKS}
    trained = {name: norms for name, some in mixed.items() if (norms := _norms(some))}
    if untrained:
        pictures.append(_gradients({"before training": untrained, "trained on the mix": trained}, setup))
    return Findings([*_reach(accuracy, distances), *_rates(untrained, setup)], tables, pictures)


def _mixed(rows: Sequence[Row]) -> list[Row]:
    """Chooses the rows of one network of the learning rate that was best over all distances."""
    chosen = best([row for row in rows if "held_out" in row])
    return [row for row in rows if chosen and row["learning_rate"] == chosen[0]["learning_rate"]]


def _norms(rows: Sequence[Row]) -> list[float]:
    found = [row["log10_norms"] for row in rows if row.get("log10_norms")]
    return np.median(found, axis=0).tolist() if found else []


def _table(how: str, by_name: Mapping[str, Mapping[int, Interval]], distances: Sequence[int]) -> Table:
    lines = [
        [name, *(written(at[distance], 2) if distance in at else "–" for distance in distances)]
        for name, at in by_name.items()
    ]
    return Table(
        f"Accuracy, trained on {how}: words from the deciding one to the end", ["", *map(str, distances)], lines
    )


def _accuracies(accuracy: Mapping[str, Mapping[str, Mapping[int, Interval]]]) -> Figure:
    panels = {
        how: {name: figures.curve_of({float(d): i for d, i in at.items()}) for name, at in by_name.items()}
        for how, by_name in accuracy.items()
    }
    caption = (
        "Accuracy on new sequences when the deciding word stands so many words before the end; 0.5 is guessing. "
        f"Bands are 95 % intervals over seeds. {figures.APART}"
    )
    return figures.curves(
        *("How far back networks learn from", caption, panels),
        ("words after the deciding one", "accuracy"),
        logarithmic=True,
        apart=True,
        limits=(0.35, 1.05),
    )


def _gradients(panels: Mapping[str, Mapping[str, list[float]]], setup: Setup) -> Figure:
    distances = setup.sizes["gradient_distances"]
    drawn = {
        title: {name: figures.Curve(distances[: len(norms)], norms) for name, norms in by_name.items()}
        for title, by_name in panels.items()
    }
    caption = (
        "log10 of the spectral norm of ∂h_T/∂h_t (of an LSTM ∂(h_T, c_T)/∂(h_t, c_t), as its state is both) by "
        "distance T − t, over that at distance 0, the median over sequences and seeds; at 0 the "
        "gradient arrives as it was, at −9 a billionth of it is left. A network that keeps a word for good may pass on "
        "no gradient any more: a state that has settled in one of two basins does not move with what came before "
        "(Bengio, Simard & Frasconi 1994). Whether it can still learn to settle is what accuracy shows."
    )
    return figures.curves(
        *("How much of a gradient arrives", caption, drawn),
        ("steps back", "log10 ‖∂h_T/∂h_t‖"),
        logarithmic=True,
        marks=False,
        limits=(-20, 5),
    )


def _reach(accuracy: Mapping[str, Mapping[str, Mapping[int, Interval]]], distances: Sequence[int]) -> Iterator[str]:
    """Says how far back each network learns from."""
    for how, by_name in accuracy.items():
        reach: dict[int, list[str]] = {}
        for name, at in by_name.items():
            learnt = [distance for distance in distances if distance in at and at[distance].mean >= LEARNT]
            reach.setdefault(max(learnt, default=0), []).append(name)
        said = "; ".join(
            f"{f'{far} words' if far else 'none of them'}: {', '.join(reach[far])}" for far in sorted(reach)[::-1]
        )
        yield f"Trained on {how}, the farthest word that is found with a mean accuracy of {LEARNT} – {said}."


def _rates(untrained: Mapping[str, list[float]], setup: Setup) -> Iterator[str]:
    """Says what is left of a gradient before training."""
    distances = list(setup.sizes["gradient_distances"])
    far = max((d for d in distances if d <= 100), default=distances[-1])
    said = [f"{name} 1e{round(norms[distances.index(far)]):+d}" for name, norms in untrained.items()]
    if said:
        yield f"Before training, what is left of a gradient after {far} steps, in powers of ten: {', '.join(said)}."


STUDY = Study(
    name="vanishing",
    title="Vanishing gradients",
    method=(
        "A sequence is made of words that say nothing and one of two deciding words, which stands 10, 30, 100, 300 or"
        " 1000 words before the end; asked is which it was. Vanilla RNNs (tanh and relu, from PyTorch's uniform "
        "start, from an orthogonal one, from 1.5 times that, and for relu from the identity), GRUs and LSTMs (from "
        "PyTorch's start, and with the chrono start of Tallec & Ollivier 2018 for the distance at hand) are trained "
        "either on "
        "one distance alone, where every bit of gradient has to come from that far, or on all distances mixed "
        "(uniform in the logarithm of the distance), where near ones can show the way. With the first seed each is "
        "trained with three learning rates; the one that is most accurate on other sequences is taken for all seeds. "
        "The norm of ∂h_T/∂h_t is exact (tidegate.inspection.gradient_flow), before training and after training on the "
        "mix."
    ),
    sizes={
        "hidden": 32,
        "distances": [10, 30, 100, 300, 1000],
        "learning_rates": [1e-3, 3e-3, 1e-2],
        "steps": 300,
        "mixed_steps": 600,
        "batch": 32,
        "test": 512,
        "gradient_distances": [1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000],
    },
    quick={
        "hidden": 8,
        "distances": [2, 60],
        "learning_rates": [1e-2],
        "steps": 100,
        "mixed_steps": 40,
        "gradient_distances": [1, 10, 50],
    },
    seeds=8,
    tuned=True,
    conditions=conditions,
    measure=measure,
    conclude=conclude,
)
