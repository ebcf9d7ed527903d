"""How ONNX holds a cell: its operator, the order of its blocks, its activations. Needs neither onnx nor torch."""

from typing import Any, NamedTuple

from tidegate.ops.cells import GRU, LSTM, Cell, ReluRNN, TanhRNN


class Form(NamedTuple):
    """How ONNX holds a cell.

    Attributes:
        operator: The name of the operator.
        blocks: The blocks of its weights, in the order of ONNX.
        activations: The operator's activations, each by its own name or by that of the cell's attribute that holds it.
    """

    operator: str
    blocks: tuple[str, ...]
    activations: tuple[str, ...]


FORMS: dict[type[Cell], Form] = {
    GRU: Form("GRU", ("update", "reset", "candidate"), ("gate", "candidate")),
    LSTM: Form("LSTM", ("input", "output", "forget", "candidate"), ("sigmoid", "tanh", "tanh")),
    TanhRNN: Form("RNN", ("preactivation",), ("activation",)),
    ReluRNN: Form("RNN", ("preactivation",), ("activation",)),
}
"""The operators of ONNX."""

ACTIVATIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "sigmoid": ("Sigmoid", ()),
    "hard_sigmoid": ("HardSigmoid", (1 / 6, 0.5)),
    "tanh": ("Tanh", ()),
    "relu": ("Relu", ()),
    "identity": ("Affine", (1.0, 0.0)),
}
"""What ONNX calls an activation, with its α and β."""

OFF = {"reset": 100.0, "update": -100.0}
"""The bias that holds a gate where it is when it is off, at 1 or at 0."""


def attributes(cell: Cell, form: Form, D: int, H: int) -> dict[str, Any]:
    """Returns the attributes of an operator of D directions and H units."""
    named = [ACTIVATIONS[getattr(cell, word, word)] for word in form.activations] * D
    found: dict[str, Any] = {"hidden_size": H, "direction": "bidirectional" if D == 2 else "forward"}
    found["activations"] = [name for name, _ in named]
    numbers = [numbers for _, numbers in named if numbers]
    if numbers:
        found["activation_alpha"], found["activation_beta"] = ([*column] for column in zip(*numbers, strict=True))
    if hasattr(cell, "reset"):
        found["linear_before_reset"] = int(cell.reset != "before")
    return found
