"""Cho's claim about single units: those with a short memory have active reset gates."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from tidegate.inspection.units import Units, units
from tidegate.sequences.recurrent import Recurrent
from tidegate.study import figures, reviews
from tidegate.study.findings import Findings, Row, Table, over_seeds, pick, scored, values, written
from tidegate.study.frame import Setup, Study
from tidegate.study.networks import TEST_SEED, Reader, evaluate, fit
from tidegate.study.tasks import Task, adding, copying, deciding_words, starting_afresh

REVIEWS = "reviews"


def conditions(setup: Setup) -> list[Row]:
    """Every task."""
    return [{"task": task.name} for task in _tasks(setup)] + [{"task": REVIEWS}]


def measure(condition: Row, seed: int, setup: Setup) -> Iterator[Row]:
    """Trains a GRU, and yields what its units do on new sequences, and what they did before training."""
    sizes = setup.sizes
    if condition["task"] == REVIEWS:
        drawn = reviews.draw(setup, seed)
        config = drawn.config(setup, "gru")
        fitted = reviews.classifier(drawn, config, seed, epochs=sizes["epochs"])
        texts = reviews.held_out(setup, sizes["sequences"], seed)
        yield {"score": fitted.accuracy, **_facts(units(fitted.model, texts), seed)}
        return
    task = next(task for task in _tasks(setup) if task.name == condition["task"])
    torch.manual_seed(seed)
    reader = Reader(task, "gru", sizes["hidden"])
    before = _facts(_units(reader, task, seed, setup), seed)["correlation"]
    fit(reader, task, seed, steps=sizes["steps"], learning_rate=sizes["learning_rate"])
    facts = _facts(_units(reader, task, seed, setup), seed)
    yield {**evaluate(reader, task, seed), "before_training": before, **facts}


def _tasks(setup: Setup) -> list[Task]:
    sizes = setup.sizes
    return [
        starting_afresh(sizes["afresh_length"]),
        copying(sizes["copy_symbols"], sizes["copy_delay"]),
        adding(sizes["adding_length"]),
        deciding_words(sizes["longest"]),
    ]


def _units(reader: Reader, task: Task, seed: int, setup: Setup) -> Units:
    drawn = task.draw(np.random.default_rng(TEST_SEED + seed), setup.sizes["sequences"])
    return units(Recurrent(reader.weights(), reader.cell).trace(drawn.x))


def _facts(found: Units, seed: int) -> dict[str, Any]:
    """What a row keeps of the units: memory and mean reset gate of each, and the claim's correlation."""
    claim = found.claim(seed)
    assert claim is not None  # noqa: S101 - for mypy: units of a trained network differ
    return {
        "correlation": claim.correlation,
        "low": claim.low,
        "high": claim.high,
        "memory": [round(float(steps), 3) for steps in np.minimum(found.memory, 1e6)],
        "reset": [round(float(share), 4) for share in found.mean["reset"]],
    }


def conclude(rows: Sequence[Row], setup: Setup) -> Findings:
    """Says for each task whether memory and mean reset gate go up together."""
    by_task = {task: pick(rows, task=task) for task in values(rows, "task")}
    found = scored(by_task, "correlation", least=-1.0)
    judged: dict[str, list[str]] = {"supported": [], "contradicted": [], "left open": []}
    for task, interval in found.items():
        judged["supported" if interval.low > 0 else "contradicted" if interval.high < 0 else "left open"].append(task)
    said = [f"{word} on {', '.join(tasks)}" for word, tasks in judged.items() if tasks]
    numbers = "; ".join(f"{task} {written(interval, 2)}" for task, interval in found.items())
    verdict = [
        f"That units with a short memory have active reset gates (a mean r near 0) is {'; '.join(said)}.",
        f"Rank correlation of memory, 1/(1 − z̄), with mean r, which the claim says is above 0: {numbers}.",
    ]
    untrained = [row["before_training"] for row in rows if "before_training" in row]
    if untrained:
        verdict.append(f"Before training it is {written(over_seeds(untrained, -1, 1), 2)} over all networks.")
    lines = [
        [
            task,
            written(found[task], 2),
            f"{sum(row['low'] > 0 for row in some)}, {sum(row['high'] < 0 for row in some)} of {len(some)}",
            f"{np.median([np.median(row['memory']) for row in some]):.1f}",
            f"{np.mean([np.mean(row['reset']) for row in some]):.2f}",
            f"{np.mean([row['score'] for row in some]):.3f}",
        ]
        for task, some in by_task.items()
    ]
    heads = ["", "ρ over seeds", "networks clear above 0, below 0", "median memory", "mean r", "score"]
    clouds = {
        f"{task}, seed {some[0]['seed']}": (some[0]["memory"], some[0]["reset"]) for task, some in by_task.items()
    }
    caption = "Each dot is a unit of one network; the claim expects dots to rise to the right."
    pictures = [
        figures.points(
            "Memory and reset gate",
            "Rank correlation over the units of each network, mean and interval over seeds; the claim: above 0.",
            {"": {"ρ": found}},
            "rank correlation of 1/(1 − z̄) with mean r",
            limits=(-1, 1),
        ),
        figures.scatter("The units of one network each", caption, clouds, ("memory 1/(1 − z̄), steps", "mean r")),
    ]
    return Findings(verdict, [Table("Memory and mean reset gate", heads, lines)], pictures)


STUDY = Study(
    name="short-memory",
    title="Short memory and the reset gate",
    method=(
        "Cho et al. (2014) write that units which learn short-term dependencies tend to have reset gates that are "
        "frequently active, that is, near 0, where they drop the old state. For GRUs trained on five tasks the mean "
        "update gate z̄ and the mean reset gate r̄ of each unit are taken over all steps of new sequences. The "
        "memory of a unit is 1/(1 − z̄) steps. The claim expects a positive rank correlation of memory and r̄ over "
        "the units of a network. Intervals over seeds say whether it holds for a task; those over the units of one "
        "network, by the bootstrap, whether it holds there. What a correlation cannot say is which of both gates "
        "follows the other."
    ),
    sizes={
        "hidden": 64,
        "review_hidden": 64,
        "afresh_length": 30,
        "copy_symbols": 5,
        "copy_delay": 20,
        "adding_length": 100,
        "longest": 200,
        "steps": 1000,
        "learning_rate": 5e-3,
        "sequences": 200,
        "train": 8000,
        "test": 2000,
        "max_length": 200,
        "embedding": 64,
        "epochs": 4,
    },
    quick={
        "hidden": 8,
        "review_hidden": 8,
        "afresh_length": 10,
        "copy_delay": 5,
        "adding_length": 10,
        "longest": 10,
        "steps": 30,
        "sequences": 20,
        "train": 64,
        "test": 64,
        "max_length": 20,
        "embedding": 8,
        "epochs": 1,
    },
    seeds=8,
    prepare=reviews.ready,
    conditions=conditions,
    measure=measure,
    conclude=conclude,
)
