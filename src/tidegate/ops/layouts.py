"""How other frameworks lay out the weights of a cell: which array is what, the order of blocks, how many biases.

A layout is data. `Layout.read` makes this library's arrays of a framework's, and `Layout.write` goes the other way.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.ops.cells import Cell
from tidegate.ops.onnx import FORMS

Array = npt.NDArray[np.floating[Any]]


class Weights(NamedTuple):
    """The weights of one layer in one direction, blocks in the order of `Cell.blocks`.

    Attributes:
        w_ih: Input weights [G·H, I].
        w_hh: State weights [G·H, H].
        b_ih: Input bias [G·H], or None.
        b_hh: State bias [G·H], or None.
    """

    w_ih: Array
    w_hh: Array
    b_ih: Array | None = None
    b_hh: Array | None = None


class Layout(NamedTuple):
    """How a framework lays out one layer in one direction.

    A part of the weights is `w_ih`, `w_hh`, `b_ih` or `b_hh`; `w`, both matrices side by side, [G·H, I + H]; `biases`,
    both biases one after the other; `bias`, their sum; `b_hn`, of a GRU the bias of U_n h alone; or the rows of one
    block, as in `w_ih/reset`.

    Example:
        An LSTM of Keras stores matrices with columns in the order of input, forget, candidate and output:

        >>> from tidegate.ops.cells import LSTM
        >>> layout = LAYOUTS["keras"]["LSTM"]
        >>> arrays = {"kernel": np.ones((3, 8)), "recurrent_kernel": np.ones((2, 8)), "bias": np.arange(8.0)}
        >>> weights = layout.read(LSTM(), arrays)
        >>> weights.w_ih.shape, weights.b_ih
        ((8, 3), array([0., 1., 2., 3., 4., 5., 6., 7.]))

    Attributes:
        names: What the framework calls each part; a part may be absent where a layer has no bias.
        blocks: The order of its blocks.
        transposed: Whether its matrices are [I, G·H] and [H, G·H].
        negated: Blocks that it has with the other sign: an update gate that says how much is new.
        added: What it adds to the bias of a block as it runs; here that is part of `b_hh`.
    """

    names: Mapping[str, str]
    blocks: tuple[str, ...]
    transposed: bool = False
    negated: tuple[str, ...] = ()
    added: Mapping[str, float] = MappingProxyType({})

    def read(self, cell: Cell, arrays: Mapping[str, npt.ArrayLike]) -> Weights:
        """Makes the weights of a layer of a framework's arrays.

        Args:
            cell: The cell.
            arrays: The framework's, by its names; those that it does not name are not looked at.

        Raises:
            ValueError: A matrix or a part of one is missing, or a shape does not fit the others.
        """
        found = {part: np.asarray(arrays[name]) for part, name in self.names.items() if name in arrays}
        w_ih, w_hh = self._matrices(found)
        H = w_hh.shape[1]
        if w_hh.shape[0] != cell.G * H or w_ih.shape[0] != cell.G * H:
            raise ValueError(
                f"the weights have {w_ih.shape[0]} and {w_hh.shape[0]} rows for {H} units, expected "
                f"{cell.G}·{H} = {cell.G * H} of the cell {cell.name!r}"
            )
        b_ih, b_hh = self._biases(found, cell.G, H)
        if b_hh is not None and self.added:
            b_hh = b_hh + self._added(H, b_hh.dtype)
        ordered = (
            None if part is None else _reordered(self._signed(part), self.blocks, cell.blocks)
            for part in (w_ih, w_hh, b_ih, b_hh)
        )
        return Weights(*ordered)  # type: ignore[arg-type]

    def write(self, cell: Cell, weights: Weights) -> dict[str, Array]:
        """Makes a framework's arrays of the weights of a layer: what `read` undoes.

        Args:
            cell: The cell.
            weights: The weights; biases are 0 where they are None and the layout has any.

        Raises:
            ValueError: The framework has no place for a bias.
        """
        given = (np.zeros(len(weights.w_hh), weights.w_hh.dtype) if part is None else part for part in weights)
        w_ih, w_hh, *biases = (self._signed(_reordered(part, cell.blocks, self.blocks)) for part in given)
        H = w_hh.shape[1]
        biases[1] = biases[1] - self._added(H, w_hh.dtype)
        own = dict(zip(self.blocks, zip(*(np.split(b, cell.G) for b in biases), strict=True), strict=True))
        placed = [self._placed(block, *own[block], late=self._late(cell) == block) for block in self.blocks]
        b_ih, b_hh = (np.concatenate(side) for side in zip(*placed, strict=True))
        whole = {"w_ih": w_ih, "w_hh": w_hh, "w": np.hstack([w_ih, w_hh]), "b_ih": b_ih, "b_hh": b_hh}
        whole |= {"bias": b_ih, "biases": np.concatenate([b_ih, b_hh])}
        if "candidate" in self.blocks:
            whole["b_hn"] = self._block(b_hh, "candidate", H)
        return {name: self._part(whole, part, H) for part, name in self.names.items()}

    def _placed(self, block: str, b_ih: Array, b_hh: Array, *, late: bool) -> tuple[Array, Array]:
        """Moves the biases of a block to where the framework has them; only a late block cares which is which.

        Raises:
            ValueError: It has no place for one.
        """
        sides = {"b_ih": ("b_ih", "biases", "bias"), "b_hh": ("b_hh", "biases", "b_hn" * (block == "candidate"))}
        ih, hh = ({*parts, f"{side}/{block}"} & self.names.keys() for side, parts in sides.items())
        if ih and hh:
            return b_ih, b_hh
        kept, moved = (b_ih, b_hh) if ih else (b_hh, b_ih)
        if moved.any() and (late or not hh | ih):
            raise ValueError(f"the layout has no place for the bias of the {block} block beside the other one")
        total = kept + moved if moved.any() else kept
        none = np.zeros_like(total)
        return (total, none) if ih else (none, total)

    def _late(self, cell: Cell) -> str | None:
        """Returns the block whose recurrent product a gate multiplies, bias and all; None without one."""
        return "candidate" if getattr(cell, "reset", None) == "after" else None

    def _block(self, array: Array, block: str, H: int) -> Array:
        g = self.blocks.index(block)
        return array[g * H : (g + 1) * H]

    def _part(self, whole: Mapping[str, Array], part: str, H: int) -> Array:
        part, _, block = part.partition("/")
        array = whole[part]
        if block:
            array = self._block(array, block, H)
        return np.ascontiguousarray(array.T if self.transposed and array.ndim == 2 else array)

    def _signed(self, array: Array) -> Array:
        """Turns the sign of the rows of blocks that the framework has with the other one; [G·H] or [G·H, ·]."""
        if not self.negated:
            return array
        parts = zip(self.blocks, np.split(array, len(self.blocks)), strict=True)
        return np.concatenate([-part if block in self.negated else part for block, part in parts])

    def _added(self, H: int, dtype: npt.DTypeLike) -> Array:
        return np.repeat(np.array([self.added.get(block, 0) for block in self.blocks], dtype), H)

    def _matrices(self, found: Mapping[str, Array]) -> tuple[Array, Array]:
        """Returns both matrices, [G·H, I] and [G·H, H]."""
        if "w" not in self.names:
            return self._matrix(found, "w_ih"), self._matrix(found, "w_hh")
        both = self._matrix(found, "w")
        H = len(both) // len(self.blocks)
        return both[:, : both.shape[1] - H], both[:, both.shape[1] - H :]

    def _matrix(self, found: Mapping[str, Array], part: str) -> Array:
        """Returns a matrix [G·H, ·], its blocks in the framework's order."""
        pieces = [found[part]] if part in found else [found[key] for key in self._keys(part) if key in found]
        if len(pieces) not in {1, len(self.blocks)} or any(piece.ndim != 2 for piece in pieces):
            wanted = ", ".join(self.names[key] for key in (part, *self._keys(part)) if key in self.names)
            shapes = [piece.shape for piece in pieces]
            raise ValueError(f"the layer has arrays of the shapes {shapes}, expected matrices called {wanted}")
        if len({piece.shape for piece in pieces}) > 1:
            raise ValueError(f"the blocks of {part} have the shapes {[piece.shape for piece in pieces]}, expected one")
        matrix: Array = np.concatenate([piece.T if self.transposed else piece for piece in pieces])
        return matrix

    def _biases(self, found: Mapping[str, Array], G: int, H: int) -> tuple[Array | None, Array | None]:
        """Returns b_ih and b_hh [G·H] in the framework's order, None both where it has none."""
        rows = {name: array.ravel() for name, array in found.items() if name.startswith("b")}
        sizes = {name: {"biases": 2 * G * H, "b_hn": H}.get(name, H if "/" in name else G * H) for name in rows}
        for name, bias in rows.items():
            if bias.size != sizes[name]:
                raise ValueError(f"{self.names[name]} has {bias.size} numbers, expected {sizes[name]}")
        if not rows:
            return None, None
        if "biases" in rows:
            return rows["biases"][: G * H], rows["biases"][G * H :]
        some = next(iter(rows.values()))
        parts = {part: np.zeros(G * H, some.dtype) for part in ("b_ih", "b_hh")}
        for name, bias in rows.items():
            part, _, block = name.partition("/")
            g = self.blocks.index("candidate" if part == "b_hn" else block) if block or part == "b_hn" else None
            place = slice(None) if g is None else slice(g * H, (g + 1) * H)
            parts["b_hh" if part in {"b_hh", "b_hn"} else "b_ih"][place] = bias
        return parts["b_ih"], parts["b_hh"]

    def _keys(self, part: str) -> list[str]:
        return [f"{part}/{block}" for block in self.blocks]


def _reordered(array: Array, before: Sequence[str], after: Sequence[str]) -> Array:
    """Puts the blocks of rows into another order; the result is contiguous."""
    blocks = dict(zip(before, np.split(array, len(before)), strict=True))
    return np.concatenate([blocks[name] for name in after])


def _by_block(blocks: Mapping[str, str], biased: Mapping[str, Sequence[str]], ending: str = "kernel") -> dict[str, str]:
    """Names the arrays of flax: `ir.kernel`, `hr.kernel`, … of one block each, some of them with a `bias`."""
    sides = {"ih": "i", "hh": "h"}
    names = {f"w_{side}/{block}": f"{i}{g}.{ending}" for side, i in sides.items() for block, g in blocks.items()}
    return names | {f"b_{side}/{g}": f"{sides[side]}{blocks[g]}.bias" for side, given in biased.items() for g in given}


TORCH = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}
"""The parts by torch's names, whose order of blocks is that of `Cell.blocks`."""

_RZN, _ZRN = ("reset", "update", "candidate"), ("update", "reset", "candidate")
_IFGO, _RNN = ("input", "forget", "candidate", "output"), ("preactivation",)
_IGFO = ("input", "candidate", "forget", "output")
_KERAS = {"w_ih": "kernel", "w_hh": "recurrent_kernel"}
_ONNX = {"w_ih": "W", "w_hh": "R", "biases": "B"}
_DENSE = {"w_ih": "dense_i.kernel", "w_hh": "dense_h.kernel"}
_HAIKU_RNN = {"w_ih": "linear.w", "w_hh": "linear_1.w", "b_ih": "linear.b", "b_hh": "linear_1.b"}
_RNNOISE = {"w_ih": "input_weights", "w_hh": "recurrent_weights"}
_GRU_LETTERS = {"reset": "r", "update": "z", "candidate": "n"}
_LSTM_LETTERS = {"input": "i", "forget": "f", "candidate": "g", "output": "o"}

LAYOUTS: dict[str, dict[str, Layout]] = {
    "torch": {"GRU": Layout(TORCH, _RZN), "LSTM": Layout(TORCH, _IFGO), "RNN": Layout(TORCH, _RNN)},
    "paddle": {"GRU": Layout(TORCH, _RZN), "LSTM": Layout(TORCH, _IFGO), "SimpleRNN": Layout(TORCH, _RNN)},
    "onnx": {form.operator: Layout(_ONNX, form.blocks) for form in FORMS.values()},
    "keras": {
        "GRU": Layout(_KERAS | {"biases": "bias"}, _ZRN, transposed=True),
        "GRU reset_after=False": Layout(_KERAS | {"bias": "bias"}, _ZRN, transposed=True),
        "LSTM": Layout(_KERAS | {"bias": "bias"}, _IFGO, transposed=True),
        "SimpleRNN": Layout(_KERAS | {"bias": "bias"}, _RNN, transposed=True),
    },
    "linen": {
        "GRUCell": Layout(_by_block(_GRU_LETTERS, {"ih": _RZN, "hh": ("candidate",)}), _RZN, transposed=True),
        "LSTMCell": Layout(_by_block(_LSTM_LETTERS, {"hh": _IFGO}), _IFGO, transposed=True),
        "SimpleCell": Layout({"w_ih": "i.kernel", "w_hh": "h.kernel", "bias": "i.bias"}, _RNN, transposed=True),
    },
    "nnx": {  # its GRU has no bias on the candidate's recurrent product
        "GRUCell": Layout(_DENSE | {"b_ih": "dense_i.bias"}, _RZN, transposed=True),
        "LSTMCell": Layout(
            {part: name.replace("if.", "if_.") for part, name in _by_block(_LSTM_LETTERS, {"hh": _IFGO}).items()},
            _IFGO,
            transposed=True,
        ),
        "OptimizedLSTMCell": Layout(_DENSE | {"b_hh": "dense_h.bias"}, _IFGO, transposed=True),
        "SimpleCell": Layout(_DENSE | {"bias": "dense_i.bias"}, _RNN, transposed=True),
    },
    "equinox": {
        "GRUCell": Layout({"w_ih": "weight_ih", "w_hh": "weight_hh", "bias": "bias", "b_hn": "bias_n"}, _RZN),
        "LSTMCell": Layout({"w_ih": "weight_ih", "w_hh": "weight_hh", "bias": "bias"}, _IFGO),
    },
    "mlx": {
        "GRU": Layout({"w_ih": "Wx", "w_hh": "Wh", "bias": "b", "b_hn": "bhn"}, _RZN),
        "LSTM": Layout({"w_ih": "Wx", "w_hh": "Wh", "bias": "bias"}, _IFGO),
        "RNN": Layout({"w_ih": "Wxh", "w_hh": "Whh", "bias": "bias"}, _RNN),
    },
    "haiku": {  # h' = (1 - z)·h + z·n, and a forget gate of σ(f + 1)
        "GRU": Layout({"w_ih": "w_i", "w_hh": "w_h", "bias": "b"}, _ZRN, transposed=True, negated=("update",)),
        "LSTM": Layout({"w": "linear.w", "bias": "linear.b"}, _IGFO, transposed=True, added={"forget": 1.0}),
        "VanillaRNN": Layout(_HAIKU_RNN, _RNN, transposed=True),
    },
    "rnnoise": {
        "GRU": Layout(_RNNOISE | {"bias": "bias"}, _ZRN, transposed=True),
        "GRU 0.2": Layout(_RNNOISE | {"b_ih": "input_bias", "b_hh": "recurrent_bias"}, _ZRN),
    },
}
"""The layouts by framework and kind of layer."""
