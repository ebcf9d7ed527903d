"""Weights of torch layers, packed for the native kernels and kept for as long as they live and stay as they are.

There is one store for the whole process. It finds weights by where they are in memory, so that a module, a compiled
graph and a functional call that share weights share the packed ones, and nobody has to carry them about.
"""

import ctypes
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tidegate import ops
from tidegate.ops import _kernels
from tidegate.ops.cells import Cell
from tidegate.torch.cells import weights_per_direction

Array = npt.NDArray[np.float32]

MOST = 256  # layers in the store; beyond, the oldest makes room

_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]


@dataclass(slots=True)
class _Entry:
    """The packed weights of one layer, and what tells whether they still are the layer's weights.

    Attributes:
        facts: What torch knows of the weights: versions, strides, shapes.
        copies: The numbers that were packed.
        directions: The packed weights of each direction.
        storages: Weak references that take the entry out of the store when the memory of a weight is freed.
        views: The live numbers, not owned; made when first needed, and read only while the caller holds the weights.
        spans: Where the live numbers of each weight are, where their copies are, and the bytes of both; empty if a
            weight is not contiguous.
    """

    facts: list[tuple[Any, ...]]
    copies: list[Array]
    directions: list[_kernels.Layer]
    storages: list[weakref.ref[Any]]
    views: list[Array] = field(default_factory=list)
    spans: list[tuple[int, int, int]] = field(default_factory=list)

    def unchanged(self, weights: Sequence[Tensor]) -> bool:
        """Compares all numbers, as bits, with those that were packed."""
        if not self.views:
            views = [_view(weight) for weight in weights]
            if all(view.flags.c_contiguous for view in views):
                pairs = zip(views, self.copies, strict=True)
                self.spans = [(view.ctypes.data, copy.ctypes.data, copy.nbytes) for view, copy in pairs]
            self.views = views  # set last, so that another thread finds both or makes its own
        if self.spans:
            return not any(_memcmp(*span) for span in self.spans)
        pairs = zip(self.views, self.copies, strict=True)
        return all(np.array_equal(view.view(np.int32), copy.view(np.int32)) for view, copy in pairs)


class PackedWeights:
    """The store: `get` packs the weights of a layer when they are new or have changed.

    torch counts the changes of a tensor in place, but not those made through `weight.data`, through a numpy view, or by
    another process. So all the numbers are compared too, at every call: at the speed at which memory is read.

        >>> import torch
        >>> weights = [torch.ones(3, 2), torch.ones(3, 1)]
        >>> store, cell = PackedWeights(), Cell.of("gru")
        >>> first = store.get(cell, weights)
        >>> store.get(cell, weights) is first
        True
        >>> weights[0].data[1, 1] = 2
        >>> store.get(cell, weights) is first
        False
        >>> del weights
        >>> len(store.entries)
        0
    """

    def __init__(self) -> None:
        self.entries: dict[tuple[Any, ...], _Entry] = {}

    def get(self, cell: Cell, weights: Sequence[Tensor]) -> list[_kernels.Layer]:
        """Returns the packed weights of each direction of a layer, and packs them if `find` does not find them.

        Args:
            cell: The cell.
            weights: float32 weights on the CPU as torch lists them, for each direction w_ih [G·H, I], w_hh [G·H, H] and
                with bias b_ih, b_hh [G·H].

        Raises:
            TypeError: A weight is not float32.
            ValueError: The shapes do not fit each other.
        """
        return self.find(cell, weights) or self.pack(cell, weights)

    def find(self, cell: Cell, weights: Sequence[Tensor]) -> list[_kernels.Layer] | None:
        """Returns the packed weights of each direction of a layer; None if these weights are not the packed ones."""
        entry = self.entries.get(_key(cell, weights))
        if entry is None or entry.facts != _facts(weights) or not entry.unchanged(weights):
            return None
        return entry.directions

    def pack(self, cell: Cell, weights: Sequence[Tensor]) -> list[_kernels.Layer]:
        """Packs the weights of a layer and stores them until one of them is freed."""
        for weight in weights:
            if weight.dtype is not torch.float32:
                raise TypeError(f"a weight has dtype {str(weight.dtype).removeprefix('torch.')}, expected float32")
        key, facts = _key(cell, weights), _facts(weights)
        entries, step = self.entries, weights_per_direction(weights)
        copies = [_copy(weight) for weight in weights]
        parts = [copies[i : i + step] for i in range(0, len(copies), step)]
        old = entries.get(key)
        if old is not None and all(then[1:] == now[1:] for then, now in zip(old.facts, facts, strict=True)):
            directions = [
                _kernels.pack_weights(cell, _padded(part), layer.isa)
                for layer, part in zip(old.directions, parts, strict=True)
            ]
        else:
            directions = [ops.pack(cell, *part) for part in parts]
        storages = [weakref.ref(weight.untyped_storage(), lambda _: entries.pop(key, None)) for weight in weights]
        if len(entries) >= MOST and key not in entries:
            entries.pop(next(iter(entries)), None)
        entries[key] = _Entry(facts, copies, directions, storages)
        return directions


PACKED = PackedWeights()
"""The store of this process."""


def _padded(part: Sequence[Array]) -> _kernels.Weights:
    """Returns the weights of one direction, with None for biases that are not there."""
    w_ih, w_hh, *biases = part
    b_ih, b_hh = biases or (None, None)
    return w_ih, w_hh, b_ih, b_hh


def _key(cell: Cell, weights: Sequence[Tensor]) -> tuple[Any, ...]:
    return (cell, *[weight.data_ptr() for weight in weights])


def _facts(weights: Sequence[Tensor]) -> list[tuple[Any, ...]]:
    """Returns what changes when weights are, as far as torch counts it, changed in place or seen another way."""
    try:
        return [(weight._version, weight.stride(), weight.shape) for weight in weights]  # noqa: SLF001
    except RuntimeError:  # made in inference mode, where torch counts no versions
        return [(None, weight.stride(), weight.shape) for weight in weights]


def _copy(weight: Tensor) -> Array:
    """Copies a weight to memory that earlier copies have used."""
    copy = _kernels.empty(*weight.shape)
    copy[...] = weight.numpy(force=True)
    return copy


def _view(weight: Tensor) -> Array:
    """Returns an array on the memory of a weight that does not keep it from being freed."""
    span = 1 + sum((size - 1) * stride for size, stride in zip(weight.shape, weight.stride(), strict=True))
    memory = (ctypes.c_float * span).from_address(weight.data_ptr())
    return np.ndarray(weight.shape, np.float32, memoryview(memory), strides=[4 * stride for stride in weight.stride()])
