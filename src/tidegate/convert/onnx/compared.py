"""A model beside its file of ONNX: batches of sequences as the file reads them, whole or in pieces."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import helper

from tidegate.convert.onnx.ngrams import buckets
from tidegate.convert.samples import UNHEARD, batches_for, padded, results_of
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel

Array = npt.NDArray[Any]
Pair = tuple[str, Array, Array]
Run = Callable[[list[str], dict[str, Array]], Any]
"""What runs a file: returns the outputs of these names, given inputs by name."""

_NO_STATES = frozenset({"ids", "x", "lengths", "unknown"})


class State(NamedTuple):
    """A state of a file that reads pieces: its dtype, and its sizes, with None for the rows."""

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]

    def start(self, rows: int) -> Array:
        """Returns it before the first step."""
        return np.zeros([rows if size is None else size for size in self.shape], self.dtype)


def states_of(graph: Any) -> dict[str, State]:
    """Lists the states that a graph reads, by name; none of a file that reads whole sequences."""
    kinds = {value.name: value.type.tensor_type for value in graph.input if value.name not in _NO_STATES}
    return {
        name: State(
            helper.tensor_dtype_to_np_dtype(kind.elem_type),
            tuple(size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim),
        )
        for name, kind in kinds.items()
    }


def compared(run: Run, model: Network, states: Mapping[str, State]) -> Iterator[Pair]:
    """Yields what a model makes of ragged batches, and what its file does; in pieces if the file has states."""
    if states:
        yield from _in_pieces(run, model, states)
        return
    for sequences in batches_for(model):
        expected = results_of(model, sequences)
        found = run(list(expected), _fed(model, sequences))
        yield from zip(expected, expected.values(), found, strict=True)


def _fed(model: Network, sequences: list[Array]) -> dict[str, Array]:
    """Lays sequences side by side as the file reads them; beyond their ends stands what must not be read."""
    texts = isinstance(model, TextModel)
    x, lengths = padded(sequences, -1 if texts else np.nan)
    if getattr(model.config, "layout", "") == "channels_first":
        x = np.ascontiguousarray(x.transpose(0, 2, 1))
    given = {"ids" if texts else "x": x, "lengths": lengths}
    if isinstance(model, TextModel) and model.config.ngram_letters:
        given["unknown"] = buckets(UNHEARD, model.config.ngram_letters)
    return given


def _in_pieces(run: Run, model: Network, states: Mapping[str, State]) -> Iterator[Pair]:
    """Yields results of the model for beginnings of sequences, and those of the file, which is given them in pieces."""
    rng = np.random.default_rng(0)
    for sequences in batches_for(model):
        kept = [state.start(len(sequences)) for state in states.values()]
        begins = [0] * len(sequences)
        for _ in range(2):
            ends = [
                int(rng.integers(begin, len(sequence) + 1)) for begin, sequence in zip(begins, sequences, strict=True)
            ]
            pieces = [sequence[a:b] for a, b, sequence in zip(begins, ends, sequences, strict=True)]
            expected = results_of(model, [sequence[:end] for end, sequence in zip(ends, sequences, strict=True)])
            feeds = _fed(model, pieces) | dict(zip(states, kept, strict=True))
            found = run([*expected, *(f"next_{name}" for name in states)], feeds)
            yield from zip(expected, expected.values(), found, strict=False)
            kept, begins = found[len(expected) :], ends
