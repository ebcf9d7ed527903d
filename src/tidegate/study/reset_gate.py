"""The GRU without its reset gate, without its update gate, and without both, on tasks that tell them apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tidegate.inspection.gradient_flow import jacobians
from tidegate.inspection.statistics import Interval
from tidegate.ops.cells import Cell
from tidegate.ops.trace import Trace
from tidegate.sequences.recurrent import Recurrent
from tidegate.study import figures, reviews
from tidegate.study.findings import (
    Figure,
    Findings,
    Row,
    Table,
    against,
    best,
    clear,
    over_seeds,
    paired,
    pick,
    scored,
    written,
)
from tidegate.study.frame import Setup, Study
from tidegate.study.networks import TEST_SEED, Reader, evaluate, fit
from tidegate.study.tasks import Task, adding, copying, starting_afresh

GRU, NO_RESET, NO_UPDATE, NEITHER = "GRU", "r = 1", "z = 0", "r = 1, z = 0: the RNN"
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    GRU: {},
    NO_RESET: {"reset": "off"},
    NO_UPDATE: {"update": "off"},
    NEITHER: {"reset": "off", "update": "off"},
}
AFRESH, COPY, ADD, REVIEWS = "start afresh", "copy", "adding", "reviews"
STATE, CANDIDATE = "state", "candidate"


def conditions(setup: Setup) -> list[Row]:
    """Every task with every variant and learning rate."""
    rates = dict.fromkeys((AFRESH, COPY, ADD), setup.sizes["learning_rates"]) | {REVIEWS: setup.sizes["review_rates"]}
    return [
        {"task": task, "variant": variant, "learning_rate": rate}
        for task in rates
        for variant in VARIANTS
        for rate in rates[task]
    ]


def measure(condition: Row, seed: int, setup: Setup) -> Iterator[Row]:
    """Trains a variant and yields its score, and for the markers what the state and the candidate still see there."""
    sizes, choices, rate = setup.sizes, VARIANTS[condition["variant"]], condition["learning_rate"]
    if condition["task"] == REVIEWS:
        drawn = reviews.draw(setup, seed)
        config = drawn.config(setup, "gru", **choices)
        try:
            yield reviews.classifier(drawn, config, seed, learning_rate=rate, epochs=sizes["epochs"]).facts()
        except FloatingPointError:
            yield reviews.GUESSING
        return
    task, hidden, steps = _task(condition["task"], setup)
    torch.manual_seed(seed)
    reader = Reader(task, Cell.of("gru", **choices), hidden)
    trained = fit(reader, task, seed, steps=steps, learning_rate=rate)
    row = evaluate(reader, task, seed) | {"diverged": trained.diverged is not None}
    yield row | (at_markers(reader, task, seed) if condition["task"] == AFRESH else {})


def _task(name: str, setup: Setup) -> tuple[Task, int, int]:
    """Returns a task, the units for it, and the steps of its training."""
    sizes = setup.sizes
    task = {
        AFRESH: starting_afresh(sizes["afresh_length"], sizes["afresh_numbers"]),
        COPY: copying(sizes["copy_symbols"], sizes["copy_delay"]),
        ADD: adding(sizes["adding_length"]),
    }[name]
    return task, sizes["afresh_hidden" if name == AFRESH else "hidden"], sizes["steps"][name]


def at_markers(reader: Reader, task: Task, seed: int, rows: int = 32) -> Row:
    """Measures the error at markers and elsewhere, and what there still depends on the state before.

    Returns:
        `error_…`, the root of the mean squared error, `candidate_…`, the mean spectral norm of ∂n/∂h, and `state_…`,
        that of ∂h′/∂h, each `…at_markers` and `…elsewhere`; the first step, before which there is nothing, is left out.
    """
    drawn = task.draw(np.random.default_rng(TEST_SEED + seed), rows)
    with torch.inference_mode():
        squares = (reader.answer(drawn).numpy() - drawn.target) ** 2
    errors = squares.mean(axis=1).reshape(len(drawn.x), rows)
    layer = Recurrent(reader.weights(), reader.cell)
    (trace,), w_hh = layer.trace(drawn.x), layer.weights["weight_hh_l0"]
    norms = {
        CANDIDATE: np.stack([candidate_norms(trace, w_hh, row) for row in range(rows)], axis=1),
        STATE: np.stack([np.linalg.norm(jacobians(trace, w_hh, row), 2, axis=(1, 2)) for row in range(rows)], axis=1),
    }
    marked = drawn.x[1:, :, -1] > 0
    found = {}
    for place, where in (("at_markers", marked), ("elsewhere", ~marked)):
        found[f"error_{place}"] = float(np.sqrt(errors[1:][where].mean()))
        found |= {f"{name}_{place}": float(norm[1:][where].mean()) for name, norm in norms.items()}
    return found


def candidate_norms(trace: Trace, w_hh: npt.NDArray[np.float32], row: int) -> npt.NDArray[np.float64]:
    """Computes the spectral norm of ∂n_t/∂h_{t−1} at each step of a GRU, float64 [n].

    It depends on r and n, and not on how much of the candidate z lets into the state: with z taken to be 0, the state
    is the candidate.
    """
    through = replace(trace, values={**trace.values, "update": np.zeros_like(trace.hidden)})
    norms: npt.NDArray[np.float64] = np.linalg.norm(jacobians(through, w_hh, row), 2, axis=(1, 2))
    return norms


def conclude(rows: Sequence[Row], setup: Setup) -> Findings:
    """Compares the variants on each task, and says what happens at the markers."""
    chosen = {
        task: {variant: best(pick(rows, task=task, variant=variant)) for variant in VARIANTS}
        for task in (AFRESH, COPY, ADD, REVIEWS)
    }
    chosen = {task: {name: some for name, some in of.items() if some} for task, of in chosen.items()}
    chosen = {task: of for task, of in chosen.items() if of}
    scores = {task: scored(of, "score") for task, of in chosen.items()}
    lines = [[name, *(written(of[name], 3) if name in of else "–" for of in scores.values())] for name in VARIANTS]
    tables = [Table("Scores: explained share of the variance, or accuracy", ["", *scores], lines)]
    pictures = [_scores(scores)]
    verdict = [*_answer(chosen), *(against(GRU, task, of) for task, of in chosen.items() if GRU in of)]
    if marked := chosen.get(AFRESH):
        tables.append(_marker_table(marked))
        pictures.append(_markers(marked))
        verdict += _mechanism(marked)
    return Findings(verdict, tables, pictures)


def _answer(chosen: Mapping[str, Mapping[str, list[Row]]]) -> Iterator[str]:
    """Answers the question, from the tasks on which the reset gate makes a difference beside an update gate."""
    gains = {
        task: paired(of[GRU], of[NO_RESET], "score") for task, of in chosen.items() if {GRU, NO_RESET} <= of.keys()
    }
    helped = [task for task, gain in gains.items() if gain.low > 0]
    harmed = [task for task, gain in gains.items() if gain.high < 0]
    same = [task for task, gain in gains.items() if not clear(gain)]
    said = [
        f"{verb} on {', '.join(tasks)}"
        for verb, tasks in (
            ("helps", helped),
            ("harms", harmed),
            ("makes no difference beyond chance", same),
        )
        if tasks
    ]
    if said:
        yield f"Beside an update gate, the reset gate {'; it '.join(said)}."


def _mechanism(marked: Mapping[str, list[Row]]) -> Iterator[str]:
    """Says how much of the past the candidate sees at markers, against other steps."""
    said = []
    for name, some in marked.items():
        at, elsewhere = (np.mean([row[f"candidate_{place}"] for row in some]) for place in ("at_markers", "elsewhere"))
        said.append(f"{name}: {at:.2f} at markers, {elsewhere:.2f} elsewhere")
    yield f"How strongly the candidate depends on the state before, ‖∂n/∂h‖ – {'; '.join(said)}."
    if NEITHER in marked:
        left = over_seeds(row["state_at_markers"] for row in marked[NEITHER])
        yield (
            f"With z = 0 and no reset gate nothing is carried over, and still the new state at a marker depends on the "
            f"one before, through U: ‖∂h′/∂h‖ is {written(left, 2)} there."
        )
    if {GRU, NO_RESET} <= marked.keys():
        difference = paired(marked[NO_RESET], marked[GRU], "error_at_markers")
        yield (
            f"Without the reset gate the error at markers is {_times(marked)} that of the GRU "
            f"(difference {written(difference, 3)})."
        )


def _times(marked: Mapping[str, list[Row]]) -> str:
    without, with_gate = (np.mean([row["error_at_markers"] for row in marked[name]]) for name in (NO_RESET, GRU))
    return f"{without / with_gate:.1f} times"


def _marker_table(marked: Mapping[str, list[Row]]) -> Table:
    columns = [f"{what}_{place}" for what in ("error", CANDIDATE, STATE) for place in ("at_markers", "elsewhere")]
    heads = ["error at markers", "elsewhere", "‖∂n/∂h‖ at markers", "elsewhere", "‖∂h′/∂h‖ at markers", "elsewhere"]
    lines = [
        [name, *(written(over_seeds(row[column] for row in some), 3) for column in columns)]
        for name, some in marked.items()
    ]
    return Table("Start afresh: at markers, and at other steps", ["", *heads], lines)


def _scores(scores: Mapping[str, Mapping[str, Interval]]) -> Figure:
    panels = {task: {"": of} for task, of in scores.items()}
    caption = "Explained share of the variance, or accuracy, on new sequences."
    return figures.points("What each gate is worth", caption, panels, "score")


def _markers(marked: Mapping[str, list[Row]]) -> Figure:
    titles = {"error": "error of the answer", CANDIDATE: "‖∂n/∂h‖, candidate", STATE: "‖∂h′/∂h‖, state"}
    places = {"at markers": "at_markers", "elsewhere": "elsewhere"}
    panels = {
        title: {
            place: {name: over_seeds(row[f"{what}_{key}"] for row in some) for name, some in marked.items()}
            for place, key in places.items()
        }
        for what, title in titles.items()
    }
    caption = (
        "At a marker the answer must not depend on the past. Left: how wrong it is. Middle and right: how strongly the "
        "candidate and the new state depend on the state before (mean spectral norm)."
    )
    return figures.points("What is left of the past at a marker", caption, panels, "")


STUDY = Study(
    name="reset-gate",
    title="The reset gate",
    method=(
        "The GRU is trained whole, with r fixed at 1, with z fixed at 0, and with both, which is the vanilla RNN. "
        "“Start afresh” asks at every step for |P y_before − x|, four numbers that have to be read from the state, "
        "moved and bent, but at a marker for the new numbers x alone: the past must be gone in the very step in which"
        " they are read. “Copy” asks for symbols read before a delay, “adding” for the sum of two marked numbers, and"
        " the reviews for their class. With the first seed each variant is trained with the same learning rates; the "
        "one that scores best on other sequences and reviews is taken for all seeds. At the markers the Jacobians of "
        "the trained networks are computed exactly: ∂n/∂h, how the candidate depends on the state before, and ∂h′/∂h,"
        " how the new state does."
    ),
    sizes={
        "afresh_length": 30,
        "afresh_numbers": 4,
        "afresh_hidden": 16,
        "copy_symbols": 5,
        "copy_delay": 20,
        "adding_length": 100,
        "hidden": 32,
        "steps": {AFRESH: 1500, COPY: 1000, ADD: 800},
        "learning_rates": [1e-2, 3e-2],
        "train": 4000,
        "test": 4000,
        "max_length": 200,
        "review_hidden": 64,
        "embedding": 64,
        "epochs": 5,
        "review_rates": [1e-3, 2e-3],
    },
    quick={
        "afresh_length": 8,
        "steps": {AFRESH: 20, COPY: 20, ADD: 20},
        "learning_rates": [1e-2],
        "train": 64,
        "test": 64,
        "max_length": 20,
        "review_hidden": 8,
        "embedding": 8,
        "epochs": 1,
        "review_rates": [2e-3],
    },
    seeds=5,
    tuned=True,
    prepare=reviews.ready,
    conditions=conditions,
    measure=measure,
    conclude=conclude,
)
