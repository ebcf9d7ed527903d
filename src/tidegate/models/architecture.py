"""What a network is made of: cell, sizes, summary, task and labels, and the arrays that follow from them.

A cell is one text, such as "gru" or "gru reset=before": a new cell, or a new choice of one, changes nothing here.
"""

import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from tidegate.models.files.metadata import format_object, parse_object
from tidegate.models.tasks import TASKS, Task
from tidegate.ops.cells import CELLS, Cell
from tidegate.ops.checks import Sizes, check, check_choice
from tidegate.ops.compressed import Compressed, stand_in
from tidegate.ops.names import check_names, parameter_letters
from tidegate.sequences.pooling import NOTHING, POOLINGS, Pooling
from tidegate.sequences.summaries import SUMMARIES, summary_size

LIMITS = {
    "vocab_size": 2**24,
    "embedding_size": 65_536,
    "input_size": 65_536,
    "hidden_size": 65_536,
    "num_layers": 64,
    "max_length": 2**24,
}
"""The largest sizes; they keep a damaged or hostile file from asking for more than a machine has."""

MAX_LABELS = 65_536

_LARGEST = float(np.finfo(np.float32).max)

# Written where they are not the standard ones, so that earlier versions read the rest.
_OPTIONAL = (
    *("task", "classes", "separator", "horizon", "ngrams", "ngram_order", "ngram_letters"),
    *("columns", "key", "time", "target", "frontend"),
)


class CheckedArrays(dict[str, npt.NDArray[Any] | Compressed]):
    """Arrays whose names, dtypes and shapes have been checked against a configuration.

    Attributes:
        config: The configuration.
    """

    def __init__(self, config: "Architecture", arrays: Mapping[str, npt.NDArray[Any] | Compressed]) -> None:
        """Vouches for arrays; `Architecture.checked` makes sure."""
        super().__init__(arrays)
        self.config = config


def cell_names() -> tuple[str, ...]:
    """Lists what can read a sequence: the recurrent cells, and the poolings, which have no recurrent layer."""
    return (*CELLS, *POOLINGS)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What the configurations of all networks have: a recurrent stack or a pooling, a summary, and a linear head.

    Attributes:
        cell: The text of a recurrent cell, "gru", "lstm", "gru reset=before", …, see `Cell`; or a pooling, "average" or
            "compound". A pooling reads the vectors as they are, and hidden_size, num_layers, bidirectional, bias and
            summary have no meaning for it. "none" for no network at all, beside other parts of a model.
        labels: Names of the C outputs, in the order of the head's rows: the classes, or the numbers of a regression.
        hidden_size: H.
        num_layers: L.
        bidirectional: Whether each layer walks in both directions (D = 2).
        bias: Whether the cells have biases.
        summary: "last", "mean", "max" or "mean+max".
        rate: The growth factor that compounding was given; None where it was learned, and for other cells.
        task: The name of one of `TASKS`: "classification"; "multi-label", where a sequence has any number of the
            labels; "regression", whose outputs are numbers; "quantiles" of numbers; "next" and "next-binary", whose
            outputs are the next steps; "next-token", whose outputs are the words of the vocabulary; or "encoding",
            without a head: the summary vectors are the result.
        classes: What `predict` returns for each label where that is not the label itself, such as numbers.
        separator: What stands between the labels of a cell in tables of several labels; None where they are lists.
        horizon: How many steps are foreseen.
    """

    cell: str
    labels: tuple[str, ...] = ()
    hidden_size: int = 1
    num_layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    summary: str = "last"
    rate: float | None = None
    task: str = "classification"
    classes: tuple[Hashable, ...] | None = None
    separator: str | None = None
    horizon: int = 1

    input_letter: ClassVar[str]

    def __post_init__(self) -> None:
        """Checks every value, and gives the cell's text its standard form.

        Raises:
            TypeError: A value has another type.
            ValueError: A name is unknown, a size is out of its limits, labels are too few or not distinct, or something
                is chosen that the cell has not.
        """
        object.__setattr__(self, "cell", _checked_cell(self.cell))
        check_choice("summary", self.summary, SUMMARIES)
        check_choice("task", self.task, tuple(TASKS))
        for name, limit in LIMITS.items():
            size = getattr(self, name, 1)
            if name == "max_length" and size is None:
                continue
            if type(size) is not int:
                raise TypeError(f"{name} is {size!r:.60}, expected an integer")
            if self.cell == NOTHING.name and name in {"embedding_size", "input_size"}:
                if size != 0:
                    raise ValueError(f"{name} is {size!r:.60}, expected 0: no network reads the vectors")
            elif not 1 <= size <= limit:
                raise ValueError(f"{name} is {size!r:.60}, expected 1..{limit}")
        for name in ("bidirectional", "bias"):
            if type(getattr(self, name)) is not bool:
                raise TypeError(f"{name} is {getattr(self, name)!r:.60}, expected True or False")
        if self.rate is not None and not (type(self.rate) in (int, float) and abs(self.rate) <= _LARGEST):
            raise TypeError(f"rate is {self.rate!r:.60}, expected a finite number or None")
        if self.rate is not None and not (self.pooling and self.pooling.has_rate):
            raise ValueError(f"rate is {self.rate}, the growth factor of compounding, but the cell is {self.cell!r}")
        self._check_labels()
        self._check_classes()
        self._check_separator()
        self._check_horizon()

    def _check_labels(self) -> None:
        labels: Any = self.labels
        if not isinstance(labels, tuple) or not all(isinstance(label, str) for label in labels):
            raise TypeError(f"labels is {str(labels)[:80]}, expected a tuple of texts")
        most, fewest = MAX_LABELS if self.has_head and not self.aim.reads_tokens else 0, self.aim.fewest
        if not fewest <= len(labels) <= most:
            raise ValueError(f"labels has {len(labels)} names, expected {fewest}..{most} for {self.task}")
        if len(set(labels)) < len(labels):
            seen: set[str] = set()
            twice = next(label for label in labels if label in seen or seen.add(label))  # type: ignore[func-returns-value]
            raise ValueError(f"labels has {twice!r:.60} twice, expected distinct names")
        if self.aim.reads_tokens and not self.output_size:
            raise ValueError(f"the task is {self.task!r}, which foresees words, but the model reads no texts")
        self.aim.numbers(labels)  # reads the levels of quantiles

    def _check_classes(self) -> None:
        classes: Any = self.classes
        if classes is None:
            return
        if not isinstance(classes, tuple) or not all(isinstance(value, Hashable) for value in classes):
            raise TypeError(f"classes is {str(classes)[:80]}, expected a tuple of hashable values")
        if not self.aim.has_probabilities or self.aim.reads_tokens or len(classes) != len(self.labels):
            raise ValueError(f"classes has {len(classes)} values, expected one for each label of a classification")

    def _check_separator(self) -> None:
        if self.separator is None:
            return
        if not isinstance(self.separator, str) or not self.separator:
            raise TypeError(f"separator is {self.separator!r:.60}, expected a text or None")
        if self.aim.truth != "classes":
            raise ValueError(
                f"separator is {self.separator!r:.60}, but the task is {self.task!r}, expected multi-label"
            )

    def _check_horizon(self) -> None:
        if type(self.horizon) is not int or not 1 <= self.horizon <= MAX_LABELS:
            raise ValueError(f"horizon is {self.horizon!r:.60}, expected an integer of 1..{MAX_LABELS}")
        if not self.aim.foresees and self.horizon > 1:
            raise ValueError(f"horizon is {self.horizon}, but the task is {self.task!r}, which foresees no steps")
        if not self.aim.each_step:
            return
        if self.aim.reads_tokens and self.horizon > 1:
            raise ValueError(f"horizon is {self.horizon}, but the task is {self.task!r}, which foresees one token")
        if len(self.labels) % self.horizon:
            raise ValueError(f"labels has {len(self.labels)} names, expected a multiple of the horizon {self.horizon}")
        if not self.recurrent or self.bidirectional or self.summary != "last":
            raise ValueError(
                f"the task {self.task!r} needs a recurrent cell that reads forward, and the summary 'last', found "
                f"{self.cell!r}, bidirectional={self.bidirectional} and {self.summary!r}"
            )

    if TYPE_CHECKING:  # a field of one subclass, a property of the other

        @property
        def input_size(self) -> int:
            """I, the numbers of each vector that the stack or the pooling reads."""

    @property
    def pooling(self) -> Pooling | None:
        """What reads the vectors if there is no recurrent stack."""
        return NOTHING if self.cell == NOTHING.name else POOLINGS.get(self.cell)

    @property
    def recurrent(self) -> bool:
        """Whether there is a recurrent stack."""
        return self.pooling is None

    @property
    def reader(self) -> Cell | Pooling:
        """The cell of the recurrent stack, with what was chosen of it, or the pooling."""
        return self.pooling or Cell.of(self.cell)

    @property
    def recurrent_cell(self) -> Cell:
        """The cell of the recurrent stack, with what was chosen of it.

        Raises:
            ValueError: There is no recurrent stack.
        """
        return Cell.of(self.cell)

    @property
    def aim(self) -> Task:
        """The task as a value, which says what the outputs mean."""
        return TASKS[self.task]

    @property
    def has_head(self) -> bool:
        """Whether a linear head follows the summary."""
        return self.task != "encoding"

    @property
    def output_size(self) -> int:
        """C, the number of outputs."""
        return len(self.labels)

    @property
    def summary_size(self) -> int:
        """F, the size of a summary vector: D·H, twice that for "mean+max"; I for a pooling."""
        if not self.recurrent:
            return self.input_size
        return summary_size(self.summary, (1 + self.bidirectional) * self.hidden_size)

    def letters(self) -> dict[str, str]:
        """Names the arrays with their shapes in letters; those of the stack start with `rnn.`."""
        letters: dict[str, str] = {}
        if self.pooling is None:
            stack = parameter_letters(self.num_layers, self.bidirectional, self.bias)
            letters |= {f"rnn.{name}": shape.replace("I", self.input_letter) for name, shape in stack.items()}
        elif self.pooling.has_rate:
            letters["rate"] = "R"
        return letters | ({"head.weight": "C F", "head.bias": "C"} if self.has_head else {})

    def sizes(self) -> Sizes:
        """Returns the size of each letter, and where it comes from."""
        return {
            "C": (self.output_size, "the number of labels"),
            "F": (self.summary_size, "the size of the summary"),
            "G": (self.recurrent_cell.G if self.recurrent else 0, f"cell {self.cell!r}"),
            "D": (1 + self.bidirectional, f"bidirectional={self.bidirectional}"),
            "H": (self.hidden_size, "hidden_size"),
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Returns the shape of each array by name; `rate` may also have one number for each feature."""
        sizes = self.sizes() | {"R": (1, "one rate")}
        return {
            name: tuple(prod(sizes[letter][0] for letter in axis.split("·")) for axis in shape.split())
            for name, shape in self.letters().items()
        }

    def check_arrays(self, arrays: Mapping[str, npt.NDArray[Any] | Compressed]) -> None:
        """Checks name, dtype and shape of the arrays of a network; their values are not read.

        Args:
            arrays: By name; `rate` is [1] or [I].

        Raises:
            TypeError: One is no float32 array.
            ValueError: One is missing, left over, or has a wrong shape.
        """
        letters, sizes = self.letters(), self.sizes()
        check_names("the model", arrays.keys(), letters, f"cell {self.cell!r}")
        for name, shape in letters.items():
            one_rate = name == "rate" and getattr(arrays[name], "shape", None) == (1,)
            check(name, stand_in(arrays[name]), "1" if one_rate else shape.replace("R", self.input_letter), dict(sizes))

    def checked(self, arrays: Mapping[str, npt.NDArray[Any] | Compressed]) -> CheckedArrays:
        """Checks arrays as `check_arrays` does, unless that has been done."""
        if isinstance(arrays, CheckedArrays) and arrays.config == self:
            return arrays
        self.check_arrays(arrays)
        return CheckedArrays(self, arrays)

    def to_json(self) -> str:
        """Writes the configuration as a JSON object.

        Raises:
            TypeError: `classes` holds something that JSON does not.
        """
        if any(type(value) not in (str, int, float, bool, type(None)) for value in self.classes or ()):
            found = sorted({type(value).__name__ for value in self.classes or ()})
            raise TypeError(
                f"classes are of type {', '.join(found)}, but a model file holds texts, numbers, True, False and None"
            )
        standard = {field.name: field.default for field in dataclasses.fields(self) if field.name in _OPTIONAL}
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return format_object({name: value for name, value in values.items() if value != standard.get(name, ...)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote, in this version or an earlier one, which wrote choices of the cell one by one.

        Raises:
            TypeError: A value has another type.
            ValueError: It is no such JSON object, a key is missing or left over, or a value is out of its limits.
        """
        values = parse_object("config", text)
        names = [field.name for field in dataclasses.fields(cls)]
        choices = {choice for cell in CELLS.values() for choice in cell.choices} & values.keys() - set(names)
        if choices and "cell" in values:
            values["cell"] = str(Cell.of(values["cell"], **{choice: values.pop(choice) for choice in sorted(choices)}))
        names = [name for name in names if name in values or name not in _OPTIONAL]
        check_names("config", values, names, "this version of tidegate")
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**fields)


def _checked_cell(cell: Any) -> str:
    """Returns the standard text of a cell, or the name of a pooling.

    Raises:
        ValueError: There is none of this name, or something is chosen that it has not.
    """
    if isinstance(cell, Cell):
        return str(cell)
    name = cell.partition(" ")[0] if isinstance(cell, str) else cell
    if cell == NOTHING.name:
        return NOTHING.name
    if name not in cell_names() or name in POOLINGS:
        check_choice("cell", cell, cell_names())
        return str(name)
    return str(Cell.of(cell))
