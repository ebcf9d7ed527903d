"""Trained recurrent stacks on numpy arrays: sequences in, summary vectors out, no PyTorch."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tidegate.ops.cells import Cell
from tidegate.ops.compressed import Compressed, compress
from tidegate.sequences.layers import checked
from tidegate.sequences.padding import Sequences, as_sequences, batches, pad
from tidegate.sequences.passes import Passes
from tidegate.sequences.summaries import summarize, summary_size

Array = npt.NDArray[np.float32]


class Recurrent(Passes):
    """A trained stack of recurrent layers, of any number and in one direction or both.

    Example:
        A unit that adds up what it sees, as long as it stays positive:

        >>> weights = {"weight_ih_l0": np.array([[1.0]]), "weight_hh_l0": np.array([[1.0]])}
        >>> layer = Recurrent(weights, cell="rnn_relu")
        >>> layer([[[1.0], [2.0], [3.0]], [[4.0], [-9.0]]])
        array([[6.],
               [0.]], dtype=float32)

        The weights of a torch layer are `{name: tensor.numpy() for name, tensor in layer.state_dict().items()}`.

    Attributes:
        cell: The cell, with what was chosen of it; `str` gives its name.
        summary: "last", "mean", "max" or "mean+max".
        input_size: I.
        hidden_size: H.
        num_layers: L.
        bidirectional: Whether each layer walks in both directions (D = 2) or only forward (D = 1).
        bias: Whether the cells have biases.
        summary_size: F, size of a summary: D·H, twice that for "mean+max".
        stored: The weights by their names, float32, or of fewer bits.
    """

    def __init__(
        self,
        weights: Mapping[str, npt.ArrayLike | Compressed],
        cell: str | Cell = "gru",
        summary: str = "last",
        **choices: str,
    ) -> None:
        """Checks the weights and packs them for the kernels, once.

        Args:
            weights: Arrays by torch's names, `weight_ih_l0` [G·H, I], `weight_hh_l0` [G·H, H], `bias_ih_l0` [G·H],
                `bias_hh_l0` [G·H], `weight_ih_l0_reverse`, …; converted to float32, unless they are compressed. The
                names say how many layers and directions there are.
            cell: The cell that they were trained for, by its name or its text.
            summary: What becomes of the outputs of a sequence, as in `summarize`.
            choices: What is chosen of the cell, see `Cell.choices`.

        Raises:
            TypeError: The weights are no arrays of real numbers.
            ValueError: Cell, summary or a choice are unknown, or a weight is missing, left over or has a wrong shape.
        """
        cell = Cell.of(cell, **choices)
        self._set_up(checked(weights, cell), cell, summary)

    @classmethod
    def of_checked(cls, weights: Mapping[str, Array | Compressed], cell: Cell, summary: str = "last") -> Self:
        """Makes a stack of weights, float32 or compressed, that the caller has checked, as those of a model file."""
        stack = cls.__new__(cls)
        stack._set_up(dict(weights), cell, summary)  # noqa: SLF001 - of its own class
        return stack

    def _set_up(self, arrays: dict[str, Array | Compressed], cell: Cell, summary: str) -> None:
        super().__init__(arrays, cell)
        self.summary = summary
        self.summary_size = summary_size(summary, (1 + self.bidirectional) * self.hidden_size)

    def compressed(self, dtype: str) -> Self:
        """Makes a stack with the same weights in fewer bits, whose steps are faster where layers are wide.

            >>> rng = np.random.default_rng(0)
            >>> shapes = {"weight_ih_l0": (96, 8), "weight_hh_l0": (96, 32)}
            >>> layer = Recurrent({name: 0.2 * rng.standard_normal(shape) for name, shape in shapes.items()})
            >>> x = rng.standard_normal((1, 9, 8))
            >>> bool(np.abs(layer.compressed("int8")(x) - layer(x)).max() < 0.01)
            True

        Args:
            dtype: "int8" or "bfloat16", as in `ops.compress`. Biases stay float32.

        Raises:
            ValueError: The dtype is another, a weight is not finite, or a matrix is too wide for int8.
        """
        weights = {name: compress(w, dtype) if w.ndim == 2 else w for name, w in self.weights.items()}
        return self.of_checked(weights, self.cell, self.summary)

    def __call__(self, sequences: Sequences) -> Array:
        """Summarises sequences, each to one vector.

        Args:
            sequences: Numbers [T, I] for each of B sequences, T of any length, or one array [B, T, I].

        Returns:
            Summaries, float32 [B, F].

        Raises:
            TypeError: The sequences are no real numbers.
            ValueError: A sequence has another number of axes or features.
        """
        arrays, _ = as_sequences(sequences, self.input_size)
        result = np.zeros((len(arrays), self.summary_size), np.float32)
        for rows in batches([len(array) for array in arrays]):
            x, lengths = pad([arrays[row] for row in rows], self.input_size)
            result[rows] = summarize(*self.outputs(x, lengths), lengths, self.summary)
        return result

    def __reduce__(self) -> tuple[Any, ...]:
        # Packed weights belong to a process: a copy, or a worker that is sent a stack, packs its own.
        return type(self).of_checked, (self.stored, self.cell, self.summary)

    def __repr__(self) -> str:
        return (
            f"Recurrent({self.input_size}, {self.hidden_size}, cell={str(self.cell)!r}, num_layers={self.num_layers}, "
            f"bidirectional={self.bidirectional}, bias={self.bias}, summary={self.summary!r})"
        )
