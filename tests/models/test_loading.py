"""Tests of files that earlier versions wrote."""

from pathlib import Path

import pytest

from tidegate.models.loading import load
from tidegate.models.text_model import TextModel

FOLDER = Path(__file__).parent / "earlier"

EARLIER = {
    "gru.safetensors": ("gru", ["a good film", "the gate came in", ""], [0.140356, 0.306858, 0.76135]),
    "chosen_gru.safetensors": (
        "gru reset=off candidate=relu",
        ["a fine film", "dull, dull"],
        [0.8722335696220398, 0.8648683428764343],
    ),
}


@pytest.mark.parametrize(("name", "expected"), EARLIER.items())
def test_a_file_of_an_earlier_version_is_read(name: str, expected: tuple[str, list[str], list[float]]) -> None:
    """Before the cell was one text, what was chosen of it stood beside it; such a model predicts what it predicted."""
    cell, texts, probabilities = expected
    model = load(FOLDER / name, TextModel)
    assert model.config.cell == cell
    assert model.predict_proba(texts)[:, 0] == pytest.approx(probabilities, abs=1e-6)


def test_every_earlier_file_is_in_the_table() -> None:
    """The folder of earlier files and the table name the same files."""
    assert {path.name for path in FOLDER.iterdir()} == EARLIER.keys()
