"""Other candidates than tanh and other gates than sigmoid: what they change, and what they put at risk."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tidegate.inspection.statistics import Interval
from tidegate.ops.cells import GRU, Cell
from tidegate.sequences.recurrent import Recurrent
from tidegate.study import figures, reviews
from tidegate.study.findings import Figure, Findings, Row, Table, against, best, pick, scored, written
from tidegate.study.frame import Setup, Study
from tidegate.study.networks import TEST_SEED, Reader, evaluate, fit
from tidegate.study.tasks import adding, deciding_words

CANDIDATES, SQUASHES = GRU.choices["candidate"], GRU.choices["gate"]
ADD, LATCH, REVIEWS = "adding", "deciding word", "reviews"
STANDARD = "tanh, sigmoid"
GUESSING = {ADD: 0.05, LATCH: 0.55, REVIEWS: 0.55}  # scores up to here are hardly better than a guess


def conditions(setup: Setup) -> list[Row]:
    """Every task with every pair of activations and every learning rate."""
    sizes = setup.sizes
    rates = {ADD: sizes["learning_rates"], LATCH: sizes["learning_rates"], REVIEWS: sizes["review_rates"]}
    return [
        {"task": task, "candidate": candidate, "gate": gate, "learning_rate": rate}
        for task in rates
        for candidate in CANDIDATES
        for gate in SQUASHES
        for rate in rates[task]
    ]


def measure(condition: Row, seed: int, setup: Setup) -> Iterator[Row]:
    """Trains one network, and yields its score, how soon it was good, whether it came apart, and the range of |h|."""
    sizes, rate = setup.sizes, condition["learning_rate"]
    choices: dict[str, Any] = {"candidate": condition["candidate"], "gate": condition["gate"]}
    if condition["task"] == REVIEWS:
        yield from _reviews(choices, rate, seed, setup)
        return
    task = adding(sizes["adding_length"]) if condition["task"] == ADD else deciding_words(sizes["longest"])
    torch.manual_seed(seed)
    reader = Reader(task, Cell.of("gru", **choices), sizes["hidden"])
    trained = fit(reader, task, seed, steps=sizes["steps"], learning_rate=rate)
    layer = Recurrent(reader.weights(), reader.cell)
    states = layer.outputs(task.draw(np.random.default_rng(TEST_SEED + seed), 64).x)[0]
    yield {
        **evaluate(reader, task, seed),
        "steps": trained.steps_to(sizes["good"]),
        "diverged": trained.diverged is not None,
        **_range(states),
    }


def _reviews(choices: Mapping[str, Any], rate: float, seed: int, setup: Setup) -> Iterator[Row]:
    sizes, drawn = setup.sizes, reviews.draw(setup, seed)
    config = drawn.config(setup, "gru", **choices)
    try:
        fitted = reviews.classifier(drawn, config, seed, learning_rate=rate, epochs=sizes["epochs"])
    except FloatingPointError:
        yield reviews.GUESSING | {"steps": None, "diverged": True, "largest": None, "usual": None}
        return
    (trace,) = fitted.model.trace(reviews.held_out(setup, 64, seed))
    good = [epoch for epoch, accuracy in enumerate(fitted.curve, 1) if accuracy >= sizes["review_good"]]
    yield {
        **fitted.facts(),
        "steps": good[0] if good else None,
        "diverged": False,
        **_range(np.asarray(trace.y)),
    }


def _range(states: np.ndarray) -> Row:
    """Returns the largest |h| and the one that 99 % stay below; None where numbers are not finite."""
    sizes = np.abs(states)
    if not np.isfinite(sizes).all():
        return {"largest": None, "usual": None}
    return {"largest": float(sizes.max()), "usual": float(np.quantile(sizes, 0.99))}


def conclude(rows: Sequence[Row], setup: Setup) -> Findings:
    """Compares all activations with the standard ones, at the best learning rate of each and over all of them."""
    tasks = [task for task in (ADD, LATCH, REVIEWS) if pick(rows, task=task)]
    by_task = {task: _by_name(pick(rows, task=task)) for task in tasks}
    chosen = {task: {name: best(some) for name, some in of.items()} for task, of in by_task.items()}
    scores = {task: scored(of, "score") for task, of in chosen.items()}
    tables = [_table(task, by_task[task], chosen[task], setup) for task in tasks]
    verdict = [against(STANDARD, task, of) for task, of in chosen.items() if STANDARD in of]
    return Findings([*verdict, *_troubles(by_task), *_ranges(chosen)], tables, [_scores(scores), _by_rate(by_task)])


def _by_name(rows: Sequence[Row]) -> dict[str, list[Row]]:
    names = {
        f"{candidate}, {gate.replace('_', ' ')}": (candidate, gate) for candidate in CANDIDATES for gate in SQUASHES
    }
    found = {name: pick(rows, candidate=candidate, gate=gate) for name, (candidate, gate) in names.items()}
    return {name: some for name, some in found.items() if some}


def _table(task: str, of: Mapping[str, list[Row]], chosen: Mapping[str, list[Row]], setup: Setup) -> Table:
    unit, bar = ("epochs", "review_good") if task == REVIEWS else ("steps", "good")
    lines = []
    for name, some in chosen.items():
        times = [row["steps"] for row in some if row["steps"] is not None]
        usual, largest = ([row[key] for row in some if row[key] is not None] for key in ("usual", "largest"))
        lines.append(
            [
                name,
                f"{some[0]['learning_rate']:g}",
                written(scored({name: some})[name]),
                f"{np.median(times):.0f} ({len(times)} of {len(some)})" if times else "never",
                f"{sum(row['diverged'] for row in of[name])} of {len(of[name])}",
                f"{sum(row['score'] <= GUESSING[task] for row in of[name])} of {len(of[name])}",
                f"{np.mean(usual):.2f}" if usual else "–",
                f"{max(largest):.2f}" if largest else "–",
            ]
        )
    heads = ["", "learning rate", "score", f"{unit} to {setup.sizes[bar]:g} (seeds)"]
    counts = ["loss not finite, all rates", "guessing, all rates"]
    return Table(task.capitalize(), [*heads, *counts, "|h|, 99 %", "|h|, largest"], lines)


def _troubles(by_task: Mapping[str, Mapping[str, list[Row]]]) -> Iterator[str]:
    """Says how often trainings failed, over all tasks and learning rates."""
    apart: dict[str, list[bool]] = {}
    failed: dict[str, list[bool]] = {}
    for task, of in by_task.items():
        for name, some in of.items():
            apart.setdefault(name, []).extend(row["diverged"] for row in some)
            failed.setdefault(name, []).extend(row["score"] <= GUESSING[task] for row in some)
    for what, counts in (("the loss was no longer finite", apart), ("the end was no better than guessing", failed)):
        said = [f"{name} {sum(found)} of {len(found)}" for name, found in counts.items()]
        yield f"Trainings in which {what}, over all tasks and learning rates: {'; '.join(said)}."


def _ranges(chosen: Mapping[str, Mapping[str, list[Row]]]) -> Iterator[str]:
    """Says how large states become on each task."""
    for task, of in chosen.items():
        largest = {name: max(row["largest"] or 0.0 for row in some) for name, some in of.items()}
        yield f"Largest |h|, {task}: {'; '.join(f'{name} {size:.2g}' for name, size in largest.items())}."


def _scores(scores: Mapping[str, Mapping[str, Interval]]) -> Figure:
    panels = {task: {"": of} for task, of in scores.items()}
    caption = "Explained share of the variance, or accuracy, at the best learning rate of each; 95 % intervals."
    return figures.points("Activations of candidate and gates", caption, panels, "score")


def _by_rate(by_task: Mapping[str, Mapping[str, list[Row]]]) -> Figure:
    panels: dict[str, dict[str, figures.Curve]] = {}
    for task, of in by_task.items():
        panels[task] = {}
        for name, some in of.items():
            rates = sorted({row["learning_rate"] for row in some})
            points = scored({rate: pick(some, learning_rate=rate) for rate in rates})
            panels[task][name] = figures.curve_of(points)._replace(low=None, high=None)
    caption = "Mean score by learning rate: a candidate without bounds pays at high ones."
    return figures.curves(
        "How much the learning rate may be", caption, panels, ("learning rate", "score"), logarithmic=True
    )


STUDY = Study(
    name="activation",
    title="Activations",
    method=(
        "GRUs whose candidate is tanh, relu or the identity, and whose gates are sigmoids or hard sigmoids (a/6 + 1/2"
        " between 0 and 1), are trained on the adding problem, on the deciding word at mixed distances and on "
        "reviews, with several learning rates each. Scores are those of the learning rate whose mean score on other "
        "sequences and reviews is best; trainings that come apart are counted over all of them. Time is that until "
        "the mean score of 20 batches, or the accuracy on the reviews that choose the epoch, reaches a bar. |h| is "
        "taken over all units and steps of new sequences."
    ),
    sizes={
        "adding_length": 100,
        "longest": 200,
        "hidden": 32,
        "steps": 500,
        "good": 0.9,
        "learning_rates": [3e-3, 1e-2, 3e-2, 1e-1],
        "train": 4000,
        "test": 4000,
        "max_length": 200,
        "review_hidden": 64,
        "embedding": 64,
        "epochs": 5,
        "review_good": 0.8,
        "review_rates": [2e-3, 1e-2],
    },
    quick={
        "adding_length": 10,
        "longest": 10,
        "hidden": 8,
        "steps": 30,
        "learning_rates": [1e-2],
        "train": 64,
        "test": 64,
        "max_length": 20,
        "review_hidden": 8,
        "embedding": 8,
        "epochs": 1,
        "review_rates": [2e-3],
    },
    seeds=4,
    prepare=reviews.ready,
    conditions=conditions,
    measure=measure,
    conclude=conclude,
)
