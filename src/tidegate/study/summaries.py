"""Average, compounding, RNN, GRU and LSTM on reviews, by how many, and with their words in and out of order."""

from collections.abc import Iterator, Mapping, Sequence

from tidegate.inspection.statistics import Interval
from tidegate.study import figures, reviews
from tidegate.study.findings import (
    Figure,
    Findings,
    Row,
    Table,
    clear,
    over_seeds,
    paired,
    pick,
    scored,
    versus,
    written,
)
from tidegate.study.frame import Setup, Study

CELLS = {"average": "average", "compounding": "compound", "RNN": "rnn_tanh", "GRU": "gru", "LSTM": "lstm"}
IN_ORDER, SHUFFLED = "in order", "shuffled"


def conditions(setup: Setup) -> list[Row]:
    """Every summary with every number of reviews, their words in order and shuffled."""
    return [
        {"reviews": count, "words": words, "summary": summary}
        for count in setup.sizes["counts"]
        for words in (IN_ORDER, SHUFFLED)
        for summary in CELLS
    ]


def measure(condition: Row, seed: int, setup: Setup) -> Iterator[Row]:
    """Trains one summary; what has learnt from words in order is also judged by shuffled ones."""
    shuffled = condition["words"] == SHUFFLED
    drawn = reviews.draw(setup, seed, train=condition["reviews"], shuffled=shuffled)
    cell = CELLS[condition["summary"]]
    config = drawn.config(setup, cell)
    fitted = reviews.classifier(drawn, config, seed, epochs=setup.sizes["epochs"])
    row = fitted.facts()
    if not shuffled:
        other = reviews.draw(setup, seed, train=condition["reviews"], shuffled=True)
        row["score_shuffled"] = reviews.accuracy(fitted.model, other.test)
    yield row


def conclude(rows: Sequence[Row], setup: Setup) -> Findings:
    """Compares the summaries by number of reviews, and says what the order of words is worth to each."""
    counts = [count for count in setup.sizes["counts"] if pick(rows, reviews=count)]
    groups = {
        (name, words): {
            count: some for count in counts if (some := pick(rows, summary=name, words=words, reviews=count))
        }
        for name in CELLS
        for words in (IN_ORDER, SHUFFLED)
    }
    accuracy = {key: scored(of, "score") for key, of in groups.items() if of}
    order = _order(groups)
    lines = [
        [f"{name}, {words}", *(written(of[count], 1, 100) if count in of else "–" for count in counts)]
        for (name, words), of in accuracy.items()
    ]
    worth = [
        [name, *(written(of[count], 1, 100) if count in of else "–" for count in counts)] for name, of in order.items()
    ]
    heads = ["", *(f"{count:,} reviews" for count in counts)]
    tables = [
        Table("Accuracy, %", heads, lines),
        Table("What the order is worth: in order minus shuffled, points", heads, worth),
        _seconds(groups, heads, counts),
    ]
    verdict = [
        *_against(groups, counts, "GRU", "average"),
        *_against(groups, counts, "LSTM", "GRU"),
        *_order_words(order, counts),
        *_dependence(groups, counts),
    ]
    return Findings(verdict, tables, [_curves(accuracy), _worth(order)])


def _order(groups: Mapping[tuple[str, str], Mapping[int, list[Row]]]) -> dict[str, dict[int, Interval]]:
    """Returns what the order is worth to each summary, by number of reviews, seed by seed."""
    found: dict[str, dict[int, Interval]] = {}
    for name in CELLS:
        ordered, shuffled = groups[name, IN_ORDER], groups[name, SHUFFLED]
        both = [count for count in ordered if count in shuffled]
        if both:
            found[name] = {count: paired(ordered[count], shuffled[count], "score") for count in both}
    return found


def _against(
    groups: Mapping[tuple[str, str], Mapping[int, list[Row]]], counts: Sequence[int], first: str, second: str
) -> Iterator[str]:
    """Compares two summaries on words in order, seed by seed."""
    for count in counts:
        some, others = (groups[name, IN_ORDER].get(count, []) for name in (first, second))
        if some and others:
            difference = paired(some, others, "score")
            yield f"With {count:,} reviews: {versus(f'the {first}', f'the {second}', difference)}"


def _order_words(order: Mapping[str, Mapping[int, Interval]], counts: Sequence[int]) -> Iterator[str]:
    said = []
    for name, of in order.items():
        if counts[-1] in of:
            worth = of[counts[-1]]
            said.append(f"{name} {written(worth, 1, 100)}{'' if clear(worth) else ', may be chance'}")
    if said:
        yield (
            f"What the order of words is worth with {counts[-1]:,} reviews, trained and judged in order against "
            f"trained and judged shuffled, in points: {'; '.join(said)}."
        )


def _dependence(groups: Mapping[tuple[str, str], Mapping[int, list[Row]]], counts: Sequence[int]) -> Iterator[str]:
    """Says what those that were trained in order lose when only the texts that judge them are shuffled."""
    said = []
    for name in CELLS:
        some = groups[name, IN_ORDER].get(counts[-1], [])
        if some:
            lost = over_seeds(row["score"] - row["score_shuffled"] for row in some)
            said.append(f"{name} {written(lost, 1, 100)}")
    if said:
        yield f"What those trained in order lose on shuffled reviews, in points: {'; '.join(said)}."


def _seconds(
    groups: Mapping[tuple[str, str], Mapping[int, list[Row]]], heads: Sequence[str], counts: Sequence[int]
) -> Table:
    found = {
        name: {count: over_seeds(row["seconds"] for row in some) for count, some in groups[name, IN_ORDER].items()}
        for name in CELLS
    }
    lines = [
        [name, *(f"{of[count].mean:.1f}" if count in of else "–" for count in counts)] for name, of in found.items()
    ]
    return Table("Seconds of a training, by the clock: what else the machine did counts too", heads, lines)


def _curves(accuracy: Mapping[tuple[str, str], Mapping[int, Interval]]) -> Figure:
    panels = {
        words: {name: figures.curve_of(of) for (name, how), of in accuracy.items() if how == words}
        for words in (IN_ORDER, SHUFFLED)
        if any(how == words for _, how in accuracy)
    }
    caption = (
        "Accuracy on reviews held out, after training on so many; left with their words in order, right shuffled. "
        f"Bands are 95 % intervals over seeds. {figures.APART}"
    )
    labels = ("reviews to train on", "score")
    return figures.curves("Summaries by number of reviews", caption, panels, labels, logarithmic=True, apart=True)


def _worth(order: Mapping[str, Mapping[int, Interval]]) -> Figure:
    panels = {"": {name: figures.curve_of(of) for name, of in order.items()}}
    caption = (
        "Accuracy in order minus accuracy shuffled, seed by seed; above 0 the order of words has been of use. "
        f"{figures.APART}"
    )
    labels = ("reviews to train on", "in order − shuffled")
    return figures.curves("What the order of words is worth", caption, panels, labels, logarithmic=True, apart=True)


STUDY = Study(
    name="summaries",
    title="Summaries by number of reviews and order of words",
    method=(
        "Classifiers with the same head are trained on more and more reviews: on the average of their words' "
        "vectors, on their compounded sum with a learnt rate, and on the last output of a vanilla RNN, of a GRU and "
        "of an LSTM, with the default settings of `tidegate train`; the epoch is chosen by reviews held out for "
        "that. Each is trained a second time on the same reviews with the words of each shuffled, in training and in "
        "judging: "
        "what is lost is what the order was worth. Those trained in order are judged by the shuffled reviews as "
        "well."
    ),
    sizes={
        "counts": [1000, 3000, 9000],
        "test": 4000,
        "max_length": 200,
        "epochs": None,
        "review_hidden": 64,
        "embedding": 64,
    },
    quick={"counts": [100, 200], "test": 100, "max_length": 20, "epochs": 3, "review_hidden": 16, "embedding": 16},
    seeds=3,
    prepare=reviews.ready,
    conditions=conditions,
    measure=measure,
    conclude=conclude,
)
