"""The cells by name, and what can be chosen of them."""

from itertools import product
from typing import Any

import pytest

from tidegate.ops.cells import CHOICES, Cell

EVERY = [Cell("rnn_tanh"), Cell("rnn_relu"), *(Cell("gru", *chosen) for chosen in product(*CHOICES.values()))]


@pytest.mark.parametrize("cell", EVERY, ids=str)
def test_a_text_stands_for_a_cell(cell: Cell) -> None:
    """Every cell is read back from its text, and may be given as it is."""
    assert Cell.of(str(cell)) == cell
    assert Cell.of(cell) == cell
    assert Cell.of(cell.name, **cell.choices) == cell


def test_texts_are_short() -> None:
    """The text of a standard cell is its name; the choices follow in one order, whatever order they came in."""
    assert str(Cell("gru")) == "gru"
    assert str(Cell("gru", candidate="relu", reset="off")) == "gru reset=off candidate=relu"
    assert str(Cell.of("gru candidate=relu reset=off")) == "gru reset=off candidate=relu"


def test_keywords_change_a_cell() -> None:
    """A keyword wins over what the cell has, and leaves the rest."""
    assert Cell.of("gru update=off gate=hard_sigmoid", update="on") == Cell("gru", gate="hard_sigmoid")


@pytest.mark.parametrize("cell", EVERY, ids=str)
def test_facts(cell: Cell) -> None:
    """A GRU has three gates and four values a step, an RNN one of each."""
    gru = cell.name == "gru"
    assert (cell.gated, cell.gates, len(cell.kept)) == ((True, 3, 4) if gru else (False, 1, 1))


WRONG: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "name": ("lstm", {}, ValueError, "^cell is 'lstm', expected one of 'gru', 'rnn_tanh', 'rnn_relu'$"),
    "name of a cell": (Cell("lstm"), {}, ValueError, "^cell is 'lstm', expected one of"),
    "list": (["gru"], {}, ValueError, r"^cell is \['gru'\], expected one of"),
    "text": ("gru colour=red", {}, ValueError, "^cell is 'gru colour=red', expected one of"),
    "half a text": ("gru reset", {}, ValueError, "^cell is 'gru reset', expected one of"),
    "choice": ("gru", {"reset": "before"}, ValueError, "^reset is 'before', expected one of 'after', 'off'$"),
    "choice in a text": ("gru gate=soft", {}, ValueError, "^gate is 'soft', expected one of 'sigmoid', 'hard_s"),
    "choice of a cell": (Cell("gru", update="of"), {}, ValueError, "^update is 'of', expected one of 'on', 'off'$"),
    "keyword": ("gru", {"colour": "red"}, TypeError, "^there is no option 'colour', expected one of reset, update"),
    "rnn": ("rnn_relu", {"candidate": "relu"}, ValueError, "^candidate is 'relu' for the cell 'rnn_relu', expected it"),
}


@pytest.mark.parametrize(("cell", "choices", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_cells_are_named(cell: Any, choices: Any, error: type[Exception], message: str) -> None:
    """An error says what was given and what there is."""
    with pytest.raises(error, match=message):
        Cell.of(cell, **choices)
