"""The cells by name, and what can be chosen of them."""

import pickle
from itertools import product
from typing import Any

import pytest

from tidegate import _native, ops
from tidegate.ops.cells import CELLS, GRU, Cell

EVERY = [cell(*chosen) for cell in CELLS.values() for chosen in product(*cell.choices.values())]


@pytest.mark.parametrize("cell", EVERY, ids=str)
def test_a_text_stands_for_a_cell(cell: Cell) -> None:
    """Every cell is read back from its text, and may be given as it is."""
    assert Cell.of(str(cell)) == cell
    assert Cell.of(cell) == cell
    assert Cell.of(cell.name, **cell.options) == cell
    assert pickle.loads(pickle.dumps(cell)) == cell


def test_texts_are_short() -> None:
    """The text of a standard cell is its name; the choices follow in one order, whatever order they came in."""
    assert str(GRU()) == "gru"
    assert str(GRU(candidate="relu", reset="off")) == "gru reset=off candidate=relu"
    assert str(Cell.of("gru candidate=relu reset=off")) == "gru reset=off candidate=relu"


def test_keywords_change_a_cell() -> None:
    """A keyword wins over what the cell has, and leaves the rest."""
    assert Cell.of("gru update=off gate=hard_sigmoid", update="on") == GRU(gate="hard_sigmoid")


@pytest.mark.parametrize("isa", ops.isas())
@pytest.mark.parametrize("cell", EVERY, ids=str)
def test_the_kernels_have_the_numbers_of_the_declaration(cell: Cell, isa: str) -> None:
    """Blocks, states and traced values are as many in both, and both know whether the backward pass reads a trace."""
    numbers = _native.cell_numbers(isa, cell.name, cell.places)
    assert numbers == (cell.G, cell.S, len(cell.trace), cell.needs_trace)


@pytest.mark.parametrize("cell", EVERY, ids=str)
def test_a_declaration_is_complete(cell: Cell) -> None:
    """Gates and the keeping gate are traced, and what equations show has a letter."""
    assert set(cell.gates) <= set(cell.trace)
    assert cell.keeps is None or cell.keeps in cell.gates
    assert {*cell.blocks, *cell.states} <= cell.symbols.keys()
    assert cell.title


def test_wrong_words_are_refused_when_a_cell_is_made() -> None:
    """A cell that is made by its class is checked too."""
    with pytest.raises(ValueError, match=r"^update is 'of', expected one of 'on', 'off'$"):
        GRU(update="of")


@pytest.mark.parametrize("cell", EVERY, ids=str)
def test_a_cell_knows_what_is_off(cell: Cell) -> None:
    """A gate is off where that is its word, and a cell retains something unless it lacks the gate or has it off."""
    assert [gate for gate in cell.gates if cell.is_off(gate)] == [
        gate for gate in cell.gates if f" {gate}=off" in str(cell)
    ]
    assert cell.retains == (cell.keeps is not None and f" {cell.keeps}=off" not in str(cell))


WRONG: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "name": ("mlp", {}, ValueError, "^cell is 'mlp', expected one of 'gru', 'lstm', 'rnn_tanh', 'rnn_relu'$"),
    "list": (["gru"], {}, ValueError, r"^cell is \['gru'\], expected one of"),
    "text": ("gru colour=red", {}, ValueError, "^cell is 'gru colour=red', expected one of"),
    "half a text": ("gru reset", {}, ValueError, "^cell is 'gru reset', expected one of"),
    "choice": ("gru", {"reset": "on"}, ValueError, "^reset is 'on', expected one of 'after', 'before', 'off'$"),
    "choice in a text": ("gru gate=soft", {}, ValueError, "^gate is 'soft', expected one of 'sigmoid', 'hard_s"),
    "keyword": ("gru", {"colour": "red"}, TypeError, "^there is no option 'colour', expected one of reset, update"),
    "rnn": ("rnn_relu", {"candidate": "relu"}, ValueError, "^candidate is 'relu' for the cell 'rnn_relu', which has"),
}


@pytest.mark.parametrize(("cell", "choices", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_cells_are_named(cell: Any, choices: Any, error: type[Exception], message: str) -> None:
    """An error says what was given and what there is."""
    with pytest.raises(error, match=message):
        Cell.of(cell, **choices)
