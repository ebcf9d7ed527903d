"""What the page says of a network: titles, values and their roles, all read from the declaration of its cell."""

from tidegate.inspection.network import Inspectable
from tidegate.ops.cells import Cell
from tidegate.serve.page.messages import Role, Value

_GATES: tuple[Role, ...] = ("keeps", "reads", "writes", "shows", "gate")
_OTHERS: tuple[Role, ...] = ("candidate", "state", "output", "memory", "other")
KEPT = Value(name="kept", label="Kept at the end", symbol="", role="kept")


def kind_of(model: Inspectable) -> str:
    """Names what reads the words: the title of a cell, or of a pooling."""
    if model.stack:
        return model.stack.cell.title
    if not model.head_weight.shape[1]:
        return "n-grams"
    return ("average" if model.rate is None else "compounding") + " of word vectors"


def title_of(model: Inspectable) -> str:
    """Names what reads the words, with what was chosen of the cell."""
    return model.stack.cell.full_title if model.stack else kind_of(model)


def term_of(model: Inspectable) -> str:
    """Says what a word's term in the score is."""
    if model.stack:
        beside = ", and its share of the n-grams that it is part of" if model.ngrams else ""
        return "what this word wrote into the memory, and what of it is still there at the end" + beside
    if not model.head_weight.shape[1]:
        return "this word's share of the n-grams that it is part of"
    if model.rate is None:
        return "what the vector of this word adds to the average"
    return "what the vector of this word adds, as far as compounding has left it at the end"


def values_of(cell: Cell) -> list[Value]:
    """Lists the values that a unit has at every step, by role: gates, candidate, states, and what is kept."""
    names = [*cell.blocks, *cell.states]
    values = [
        Value(name=name, label=_label(cell, name), symbol=cell.symbols[name], role=role, off=cell.is_off(name))
        for role in (*_GATES, *_OTHERS)
        for name in names
        if _role(cell, name) == role
    ]
    return [*values, KEPT] if cell.retains else values


def maps_of(cell: Cell) -> list[str]:
    """Lists the values that are worth a heat map; those that are the same everywhere are not."""
    return [value.name for value in values_of(cell) if not value.off]


def twin_of(cell: Cell) -> Cell | None:
    """Returns the cell with all of its gates off, the vanilla RNN of its candidate; None if they can't be off."""
    if not cell.gates or not all("off" in cell.choices.get(gate, ()) for gate in cell.gates):
        return None
    return Cell.of(cell, **dict.fromkeys(cell.gates, "off"))


def _role(cell: Cell, name: str) -> Role:
    if name in cell.states:
        if cell.S == 1:
            return "state"
        return "output" if name == cell.states[0] else "memory"
    if name in cell.gates:
        found: Role = cell.role(name) or "gate"  # type: ignore[assignment]
        return found
    return "candidate" if cell.gates else "other"


def _label(cell: Cell, name: str) -> str:
    """Names a value for readers: "Update gate z", "Candidate n", "State h", "Cell state c"."""
    titles = {name: f"{name} gate" for name in cell.gates}
    titles |= {name: "state" if cell.S == 1 else f"{name.removesuffix('_state')} state" for name in cell.states}
    return f"{titles.get(name, name).replace('_', ' ').capitalize()} {cell.symbols[name]}"
