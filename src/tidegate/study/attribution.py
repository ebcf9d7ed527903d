"""The ledger, integrated gradients and occlusion on held-out reviews: do they agree, and do their words decide?"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tidegate.inspection.attribution import METHODS, compare
from tidegate.inspection.statistics import Interval
from tidegate.study import figures, reviews
from tidegate.study.findings import Figure, Findings, Row, Table, over_seeds, written
from tidegate.study.frame import Setup, Study


def conditions(setup: Setup) -> list[Row]:
    """One model for each seed."""
    return [{"cell": "gru"}]


def measure(condition: Row, seed: int, setup: Setup) -> Iterator[Row]:
    """Trains a classifier, and compares the three methods on reviews that it has not seen."""
    sizes, drawn = setup.sizes, reviews.draw(setup, seed)
    config = drawn.config(setup, condition["cell"])
    fitted = reviews.classifier(drawn, config, seed, epochs=sizes["epochs"])
    found = compare(fitted.model, reviews.held_out(setup, sizes["texts"], seed), seed, steps=sizes["steps"])
    yield {"accuracy": fitted.accuracy, **found}


def conclude(rows: Sequence[Row], setup: Setup) -> Findings:
    """Says whether each method beats random words, and how well the methods agree."""
    gains = {name: _worst(rows, "gains", name) for name in METHODS}
    beaten = [name for name, interval in gains.items() if interval.low > 0]
    not_beaten = [name for name in gains if name not in beaten]
    texts, shown = rows[0]["texts"], "; ".join(f"{name} {written(i, 3)}" for name, i in gains.items())
    verdict = [
        "Removing the words that a method ranks highest lowers the probability faster than removing random ones: "
        f"{', '.join(beaten) or 'no method'} with an interval clear of 0 in every model"
        + (f"; not {', '.join(not_beaten)}." if not_beaten else ".")
    ]
    verdict.append(
        f"Area between the curves, as a mean lowering of the probability, {texts} reviews each; the model with the "
        f"lowest interval: {shown}."
    )
    pairs = rows[0]["agreement"]
    agreement = {pair: _over_models(rows, "agreement", pair) for pair in pairs}
    shown = "; ".join(f"{pair} {written(interval, 2)}" for pair, interval in agreement.items())
    verdict.append(f"Rank correlation of what two methods say about the words of a review, over models: {shown}.")
    return Findings(verdict, [_gains(rows), _agreement(rows), _curves_table(rows)], [_curves(rows), _agreed(agreement)])


def _worst(rows: Sequence[Row], what: str, name: str) -> Interval:
    """Returns the interval of the model in which it reaches lowest: what holds for it holds for all."""
    return Interval(**min((row[what][name] for row in rows), key=lambda interval: interval["low"]))


def _over_models(rows: Sequence[Row], what: str, name: str) -> Interval:
    return over_seeds(row[what][name]["mean"] for row in rows)


def _each(rows: Sequence[Row], what: str, title: str) -> Table:
    names = list(rows[0][what])
    lines = [
        [
            f"model {row['seed']}, accuracy {row['accuracy']:.3f}",
            *(written(Interval(**row[what][name])) for name in names),
        ]
        for row in rows
    ]
    return Table(title, ["", *names], lines)


def _gains(rows: Sequence[Row]) -> Table:
    return _each(rows, "gains", "Area between random and ranked, mean probability (95 % bootstrap over reviews)")


def _agreement(rows: Sequence[Row]) -> Table:
    return _each(rows, "agreement", "Rank correlation over the words of a review (95 % bootstrap over reviews)")


def _curves_table(rows: Sequence[Row]) -> Table:
    shares = rows[0]["fractions"]
    lines = [
        [name, *(f"{share:.3f}" for share in np.mean([row["curves"][name] for row in rows], axis=0))]
        for name in rows[0]["curves"]
    ]
    heads = ["removed", *(f"{share:.0%}" for share in shares)]
    return Table("Mean probability of the class that was predicted, over models", heads, lines)


def _curves(rows: Sequence[Row]) -> Figure:
    shares = [100 * share for share in rows[0]["fractions"]]
    panels: Mapping[str, Mapping[str, figures.Curve]] = {
        f"model {row['seed']}": {name: figures.Curve(shares, curve) for name, curve in row["curves"].items()}
        for row in rows
    }
    caption = (
        "Mean probability of the class that was predicted for the whole review, after the words that a method ranks "
        "highest for it are removed; a lower curve names words that decide."
    )
    return figures.curves("The deletion test", caption, panels, ("words removed, %", "probability"))


def _agreed(agreement: Mapping[str, Interval]) -> Figure:
    caption = "Rank correlation over the words of a review, mean over reviews; interval over models."
    return figures.points(
        "How well the methods agree", caption, {"": {"ρ": agreement}}, "rank correlation", limits=(0, 1)
    )


STUDY = Study(
    name="attribution",
    title="Which words mattered",
    method=(
        "GRU classifiers are trained on reviews. On 500 held-out reviews three methods say how much each word "
        "counts for the class that the model predicts: the ledger, which shares the logit exactly among the "
        "deposits that are left at the end; integrated gradients on the word vectors; and occlusion, which leaves "
        "each word out in turn. They are compared by the rank correlation of their numbers within a review, and by "
        "a deletion test: the words that a method ranks highest are removed, a share after another, and the "
        "probability is followed; the area between its curve and that of random words is what the method gains. "
        "Intervals within a model are paired bootstraps over the reviews."
    ),
    sizes={
        "train": 16000,
        "test": 2000,
        "max_length": 300,
        "review_hidden": 64,
        "embedding": 64,
        "epochs": 3,
        "texts": 500,
        "steps": 32,
    },
    quick={
        "train": 400,
        "test": 50,
        "max_length": 20,
        "review_hidden": 8,
        "embedding": 8,
        "epochs": 20,
        "texts": 20,
        "steps": 8,
    },
    seeds=3,
    prepare=reviews.ready,
    conditions=conditions,
    measure=measure,
    conclude=conclude,
)
