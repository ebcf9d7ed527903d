"""What a model is made of: cell, sizes, summary and labels, and the arrays that follow from them."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tidegate.ops.cells import CELLS as RECURRENT
from tidegate.ops.cells import GRU, Cell
from tidegate.ops.checks import Sizes, check, check_choice
from tidegate.ops.names import check_names, parameter_letters
from tidegate.sequences.summaries import SUMMARIES

# What reads the words.
CellName = Literal["gru", "lstm", "rnn_tanh", "rnn_relu", "average", "compound"]
CELLS: tuple[str, ...] = get_args(CellName)

LIMITS = {
    "vocab_size": 2**24,
    "embedding_size": 65_536,
    "hidden_size": 65_536,
    "num_layers": 64,
    "max_length": 2**24,
}
"""The largest sizes; they keep a damaged or hostile file from asking for more than a machine has."""

MAX_LABELS = 65_536


@dataclass(frozen=True, kw_only=True)
class Config:
    """The configuration of a text classifier: embedding, recurrent stack, summary and linear head.

    Example:
        >>> config = Config(cell="gru", labels=("no", "yes"), vocab_size=9, embedding_size=4, hidden_size=8)
        >>> config.summary_size
        8
        >>> Config.from_json(config.to_json()) == config
        True

    Attributes:
        cell: "gru", "rnn_tanh", "rnn_relu", or one of the summaries without order, "average" and "compound". These
            two read the embeddings as they are, and hidden_size, num_layers, bidirectional, bias and summary say
            nothing about them.
        labels: The C names of the classes, in the order of the head's rows.
        vocab_size: V, the number of words of the tokenizer.
        embedding_size: E.
        hidden_size: H.
        num_layers: L.
        bidirectional: Whether each layer walks in both directions (D = 2).
        bias: Whether the cells have biases.
        summary: "last", "mean", "max" or "mean+max".
        max_length: Longest text in words, the rest is not read; None for no limit.
        rate: The growth factor that a "compound" cell was given; None where it was learned, and for other cells.
        reset: What was chosen of a GRU, see `cells.Cell`, and so are the next three.
        update: "on" or "off".
        candidate: "tanh", "relu" or "identity".
        gate: "sigmoid" or "hard_sigmoid".
    """

    cell: str
    labels: tuple[str, ...]
    vocab_size: int
    embedding_size: int
    hidden_size: int = 1
    num_layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    summary: str = "last"
    max_length: int | None = None
    rate: float | None = None
    reset: str = "after"
    update: str = "on"
    candidate: str = "tanh"
    gate: str = "sigmoid"

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            TypeError: A value has another type.
            ValueError: A name is unknown, a size is out of its limits, labels are too few or not distinct, or something
                is chosen of a cell that is no GRU.
        """
        check_choice("cell", self.cell, CELLS)
        Cell.of(self.cell if self.recurrent else "rnn_tanh", **self.choices)
        check_choice("summary", self.summary, SUMMARIES)
        for name, limit in LIMITS.items():
            size = getattr(self, name)
            if name == "max_length" and size is None:
                continue
            if type(size) is not int:
                raise TypeError(f"{name} is {size!r}, expected an integer")
            if not 1 <= size <= limit:
                raise ValueError(f"{name} is {size}, expected 1..{limit}")
        for name in ("bidirectional", "bias"):
            if type(getattr(self, name)) is not bool:
                raise TypeError(f"{name} is {getattr(self, name)!r}, expected True or False")
        if self.rate is not None and not (type(self.rate) in (int, float) and np.isfinite(self.rate)):
            raise TypeError(f"rate is {self.rate!r}, expected a finite number or None")
        self._check_labels()

    def _check_labels(self) -> None:
        labels: Any = self.labels
        if not isinstance(labels, tuple) or not all(isinstance(label, str) for label in labels):
            raise TypeError(f"labels is {str(labels)[:80]}, expected a tuple of texts")
        if not 2 <= len(labels) <= MAX_LABELS:
            raise ValueError(f"labels has {len(labels)} names, expected 2..{MAX_LABELS}: a classifier needs a choice")
        if len(set(labels)) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise ValueError(f"labels has {twice!r} twice, expected distinct names")

    @property
    def recurrent(self) -> bool:
        """Whether the order of words counts by a recurrent stack."""
        return self.cell in RECURRENT

    @property
    def choices(self) -> dict[str, str]:
        """What was chosen of a GRU: reset, update, candidate and gate."""
        return {"reset": self.reset, "update": self.update, "candidate": self.candidate, "gate": self.gate}

    @property
    def recurrent_cell(self) -> Cell:
        """The cell of the recurrent stack, with what was chosen of it.

        Raises:
            ValueError: There is no recurrent stack.
        """
        return Cell.of(self.cell, **self.choices)

    @property
    def summary_size(self) -> int:
        """F, the size of a summary vector: D·H, twice that for "mean+max"; E without a recurrent stack."""
        if not self.recurrent:
            return self.embedding_size
        return (1 + self.bidirectional) * self.hidden_size * (1 + ("+" in self.summary))

    def letters(self) -> dict[str, str]:
        """Names the arrays of the model with their shapes in letters; those of the stack start with `rnn.`."""
        letters = {"embedding.weight": "V E"}
        if self.recurrent:
            stack = parameter_letters(self.num_layers, self.bidirectional, self.bias)
            letters |= {f"rnn.{name}": shape.replace("I", "E") for name, shape in stack.items()}
        if self.cell == "compound":
            letters["rate"] = "R"
        return letters | {"head.weight": "C F", "head.bias": "C"}

    def check_arrays(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Checks name, dtype and shape of the arrays of a model; their values are not read.

        Args:
            arrays: By name; `rate` is [1] or [E].

        Raises:
            TypeError: One is no float32 array.
            ValueError: One is missing, left over, or has a wrong shape.
        """
        letters = self.letters()
        check_names("the model", arrays.keys(), letters, f"cell {self.cell!r}")
        sizes: Sizes = {
            "V": (self.vocab_size, "vocab_size"),
            "E": (self.embedding_size, "embedding_size"),
            "C": (len(self.labels), "the number of labels"),
            "F": (self.summary_size, "the size of the summary"),
            "G": (self.recurrent_cell.G if self.recurrent else 0, f"cell {self.cell!r}"),
            "D": (1 + self.bidirectional, f"bidirectional={self.bidirectional}"),
            "H": (self.hidden_size, "hidden_size"),
        }
        for name, shape in letters.items():
            one_rate = name == "rate" and getattr(arrays[name], "shape", None) == (1,)
            check(name, arrays[name], "1" if one_rate else shape.replace("R", "E"), dict(sizes))

    def to_json(self) -> str:
        """Writes the configuration as a JSON object; choices only where they are not the standard ones.

        So the files of standard cells can be read by versions that know no others.
        """
        standard = {name: values[0] for name, values in GRU.choices.items()}.items()
        return json.dumps(dict(item for item in dataclasses.asdict(self).items() if item not in standard))

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """Reads what `to_json` wrote.

        Raises:
            TypeError: A value has another type.
            ValueError: It is no such JSON object, a key is missing or left over, or a value is out of its limits.
        """
        values = parse_object("config", text)
        names = [field.name for field in dataclasses.fields(cls) if field.name in values or field.name not in GRU.choices]
        check_names("config", values, names, "this version of tidegate")
        if isinstance(values["labels"], list):
            values["labels"] = tuple(values["labels"])
        return cls(**values)


def parse_object(name: str, text: str) -> dict[str, Any]:
    """Parses a JSON object.

    Raises:
        ValueError: It is none, or it is nested too deeply to be read.
    """
    if not text.startswith("{"):
        raise ValueError(f"{name} is {text[:40]!r}, expected a JSON object")
    try:
        value: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no JSON: {error}") from error
    return value


def format_object(values: Mapping[str, Any]) -> str:
    """Writes a JSON object, scalars of numpy as plain numbers.

    Raises:
        TypeError: A value is nothing that JSON holds.
    """
    return json.dumps(values, default=_plain_number)


def _plain_number(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r:.60} is of type {type(value).__name__}, expected what JSON holds")
