"""The study of summaries: an order that decides is found."""

from dataclasses import replace
from pathlib import Path

from tidegate.study.frame import run
from tidegate.study.summaries import STUDY


def test_an_order_that_decides_is_found(by_order: Path) -> None:
    """Where the order of two words alone makes the class, the GRU is ahead of the average and order is worth a lot."""
    setup = STUDY.setup(data=by_order, quick=True)
    setup = setup._replace(sizes={**setup.sizes, "counts": [1000], "epochs": 15})
    two = replace(
        STUDY, conditions=lambda of: [each for each in STUDY.conditions(of) if each["summary"] in {"average", "GRU"}]
    )
    rows = [row for measured in run(two, setup) for row in measured.rows]
    found = STUDY.conclude(rows, setup)
    assert "With 1,000 reviews: the GRU is ahead of the average by" in found.verdict[0]
    worth = {row[0]: float(row[1].split()[0].replace("−", "-")) for row in found.tables[1].rows}
    assert worth["GRU"] > 30
    assert abs(worth["average"]) < 15
    gru = next(row for row in rows if row["summary"] == "GRU" and row["words"] == "in order")
    assert gru["score"] > 0.95
    assert gru["score_shuffled"] < 0.75
