"""The study of attributions: what it says follows from the gains."""

import pytest

from tidegate.study.attribution import STUDY
from tidegate.study.findings import Row


def row(seed: int, low: float) -> Row:
    """One model, in which occlusion gains 0.2 with an interval that starts at `low`."""
    sure = {"mean": 0.2, "low": 0.1, "high": 0.3}
    views = ("ledger", "integrated-gradients", "occlusion")
    return {
        "seed": seed,
        "accuracy": 0.9,
        "texts": 500,
        "fractions": [0, 0.5],
        "errors": {"ledger": 1e-6},
        "curves": {name: [0.9, 0.4 + 0.01 * seed] for name in (*views, "random")},
        "gains": dict.fromkeys(views, sure) | {"occlusion": sure | {"low": low}},
        "agreement": {"ledger, occlusion": sure},
    }


@pytest.mark.parametrize(
    ("low", "says"), [(0.05, "ledger, integrated-gradients, occlusion with"), (-0.05, "not occlusion.")]
)
def test_a_method_must_beat_random_words_in_every_model(low: float, says: str) -> None:
    """One model in which the interval holds 0 is enough not to beat them."""
    assert says in STUDY.conclude([row(0, 0.1), row(1, low)], STUDY.setup(2)).verdict[0]
