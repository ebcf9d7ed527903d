"""The second generation of RNNoise: its file of weights, and its network as the package `pyrnnoise` has it."""

import ctypes
import struct
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.convert import ConversionError, convert
from tidegate.convert.rnnoise import found_in_rnnoise, matrix_of, read_weights
from tidegate.ops.cells.activations import sigmoid

Array = Any
CODES = {"f": 0, "i": 1, "b": 3}


def record(name: str, array: Array) -> bytes:
    """An array as it is in a file."""
    data: bytes = array.tobytes()
    whole = -(-len(data) // 64) * 64
    header = struct.pack("<4siiii44s", b"DNNw", 0, CODES[array.dtype.char], len(data), whole, name.encode())
    return header + bytes(data).ljust(whole, b"\0")


def file_of(arrays: dict[str, Array]) -> bytes:
    """A file of weights."""
    return b"".join(record(name, array) for name, array in arrays.items())


def sparse(matrix: Array, kept: Array, *, diagonal: bool) -> dict[str, Array]:
    """The arrays of a matrix [O, I] whose blocks are kept or all zero; those of its diagonal stand apart."""
    places, blocks = [], []
    for i, row in enumerate(kept):
        columns = 4 * np.flatnonzero(row)
        places += [len(columns), *columns]
        blocks += [matrix[8 * i : 8 * i + 8, c : c + 4].T.ravel() for c in columns]
    found = {"weights_float": np.concatenate(blocks).astype("f4"), "weights_idx": np.array(places, "i4")}
    return found | ({"weights_diag": np.ones(len(matrix), "f4")} if diagonal else {})


@pytest.fixture
def arrays() -> dict[str, Array]:
    """One GRU of 8 units on 12 inputs, sparse, in RNNoise's own arrays, and its whole matrices."""
    rng = np.random.default_rng(0)
    found: dict[str, Array] = {"conv2_bias": np.zeros(12, "f4")}
    for side, width in (("input", 12), ("recurrent", 8)):
        kept = rng.random((3, width // 4)) < 0.6
        matrix = rng.standard_normal((24, width)).astype("f4") * np.repeat(np.repeat(kept, 8, 0), 4, 1)
        own = sparse(matrix, kept, diagonal=side == "recurrent") | {"bias": rng.standard_normal(24).astype("f4")}
        found |= {f"gru1_{side}_{part}": array for part, array in own.items()} | {f"whole {side}": matrix}
    return found


def test_sparse_matrices_and_diagonals_become_whole(tmp_path: Path, arrays: dict[str, Array]) -> None:
    """A file gives its arrays; zeros fill the gaps between blocks, the diagonal is in its place, gates in our order."""
    path = tmp_path / "weights_blob.bin"
    whole = {side: arrays.pop(f"whole {side}") for side in ("input", "recurrent")}
    path.write_bytes(file_of(arrays))
    whole["recurrent"] = whole["recurrent"] + np.tile(np.eye(8, dtype="f4"), (3, 1))
    read = read_weights(path)
    assert read.keys() == arrays.keys()
    weights = found_in_rnnoise(read).layers[0].forward
    assert weights is not None
    order = np.r_[8:16, 0:8, 16:24]  # r, z, n
    for side, ours in (("input", weights.w_ih), ("recurrent", weights.w_hh)):
        np.testing.assert_array_equal(matrix_of(read, f"gru1_{side}", whole[side].shape[1]), whole[side])
        np.testing.assert_array_equal(ours, whole[side][order])
    converted = convert(path, part="layers")
    assert converted.model.config.hidden_size == 8
    assert converted.certificate.missing == "not compared with RNNoise's own program"
    with pytest.raises(ConversionError, match=r"convolutions before its layers .*part='layers'"):
        convert(path)


WRONG: dict[str, tuple[Callable[[dict[str, Array]], Any], str]] = {
    "no bias": (lambda a: a.pop("gru1_input_bias"), "no gru1_input_weights_float or no gru1_input_bias"),
    "no layer": (lambda a: a.pop("gru1_recurrent_bias"), "no layer gru1"),
    "integers": (lambda a: a.update({"gru1_input_weights_float": np.ones(9, "i4")}), "weights in int8 alone"),
    "few weights": (
        lambda a: a.update({"gru1_input_weights_float": np.ones(32, "f4")}),
        "fewer weights than its places",
    ),
    "outside": (lambda a: a["gru1_input_weights_idx"].__setitem__(1, 12), "at row 0, column 12, outside 24 × 12"),
    "rows": (lambda a: a.update({"gru1_input_weights_idx": np.zeros(2, "i4")}), "places for 16 rows, expected 24"),
    "negative": (lambda a: a.update({"gru1_input_weights_idx": -np.ones(9, "i4")}), "places for 72 rows, expected 24"),
    "diagonal": (lambda a: a.update({"gru1_recurrent_weights_diag": np.ones(3, "f4")}), "3 numbers in its diagonal"),
    "dense": (lambda a: a.pop("gru1_input_weights_idx"), r"weights, expected 24 · 12"),
    "vast": (lambda a: a.update({"conv2_bias": np.ones(10**6, "f4")}), "weights for a matrix of 24 · 1000000"),
    "one unit": (lambda a: a.update({"gru1_recurrent_bias": np.ones(1, "f4")}), "gru1_recurrent"),
}


@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, Array], case: str) -> None:
    """A missing, wrong or lying array is named."""
    change, message = WRONG[case]
    change(arrays)
    with pytest.raises(ConversionError, match=message):
        found_in_rnnoise(arrays)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-70], "is damaged at byte"),
        (lambda data: data + b"DNNw", "is cut off: 4 bytes are left at its end"),
        (lambda data: data[:12] + b"\xff" * 4 + data[16:], "is damaged at byte 64: no array of RNNoise begins there"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    """A file that is cut off, or says that an array has another size, is named with the place."""
    path = tmp_path / "weights_blob.bin"
    path.write_bytes(change(file_of({"a": np.ones(3, "f4"), "b": np.ones(30, "f4")})))
    with pytest.raises(ConversionError, match=message):
        convert(path, part="layers")


class WeightArray(ctypes.Structure):
    """An array in the library of RNNoise: its name, its type, its size in bytes, its numbers."""

    _fields_ = (("name", ctypes.c_char_p), ("kind", ctypes.c_int), ("size", ctypes.c_int), ("data", ctypes.c_void_p))


def pointer(array: Array) -> ctypes.c_void_p:
    """Where the numbers of an array are."""
    return ctypes.c_void_p(array.ctypes.data)


class Program:
    """The network of `pyrnnoise`, in C, and its weights as a file."""

    def __init__(self, library: Path) -> None:
        self.library = ctypes.CDLL(str(library))
        arrays = (WeightArray * 64).in_dll(self.library, "rnnoise_arrays")
        own = arrays[: next(i for i, array in enumerate(arrays) if not array.name)]
        dtypes = {0: "f4", 1: "i4", 3: "i1"}
        self.arrays = {
            array.name.decode(): np.frombuffer(ctypes.string_at(array.data, array.size), dtypes[array.kind])
            for array in own
        }
        self._network, self._memory = ctypes.create_string_buffer(4096), np.zeros(2048, np.float32)
        self.states = self._memory[130 + 256 :][: 3 * 384].reshape(3, 384)  # behind the windows of two convolutions
        assert self.library.init_rnnoise(self._network, arrays) == 0

    def frame(self, features: Array) -> Array:
        """Its 32 gains, and whether it hears a voice."""
        gains, voice = np.zeros(32, np.float32), np.zeros(1, np.float32)
        self.library.compute_rnn(self._network, *map(pointer, (self._memory, gains, voice, features)), 0)
        return np.concatenate([gains, voice])


class InNumpy:
    """The same network in numpy, its GRUs as `step` takes them, or in numpy too."""

    def __init__(self, arrays: dict[str, Array], step: Any = None) -> None:
        sizes = {"conv1": 195, "conv2": 384, "dense_out": 1536, "vad_dense": 1536}
        sizes |= {f"gru{k}_{side}": 384 for k in (1, 2, 3) for side in ("input", "recurrent")}
        self._matrices = {name: matrix_of(arrays, name, size) for name, size in sizes.items()}
        self._arrays, self._step = arrays, step or self._grus
        self._windows, self.states = [np.zeros(195), np.zeros(384)], np.zeros((3, 384), np.float32)

    def frame(self, features: Array) -> Array:
        """Gains and voice."""
        x = features
        for i, name in enumerate(("conv1", "conv2")):
            self._windows[i] = np.concatenate([self._windows[i][len(x) :], x])
            x = np.tanh(self._linear(name, self._windows[i])).astype(np.float32)
        self.states = self._step(x, self.states)
        every = np.concatenate([x, *self.states])
        return np.concatenate([sigmoid(self._linear(name, every)) for name in ("dense_out", "vad_dense")])

    def _linear(self, name: str, x: Array) -> Array:
        return self._matrices[name] @ x + self._arrays[f"{name}_bias"]

    def _grus(self, x: Array, states: Array) -> Array:
        after = [x]
        for k, h in enumerate(states, 1):
            a, r = self._linear(f"gru{k}_input", after[-1]), self._linear(f"gru{k}_recurrent", h)
            z, reset = np.split(sigmoid((a + r)[:768]), 2)
            after.append(z * h + (1 - z) * np.tanh(a[768:] + reset * r[768:]))
        return np.array(after[1:], np.float32)


def test_pyrnnoise_is_its_program(tmp_path: Path) -> None:
    """The three GRUs on the kernels, one converted stack, in all of the network: 200 frames of gains and voice.

    The C program divides by an approximation of 12 bits (`rcpps`) in tanh and sigmoid, which are up to 4e-4 off and
    jump. So numpy comes no nearer than 1e-3 in a frame from the same states, where a gate in a wrong place is far away,
    and the kernels must be within 1e-5 of numpy, frame after frame.
    """
    spec = find_spec("pyrnnoise")
    if spec is None or not spec.submodule_search_locations or sys.platform != "linux":
        pytest.skip("pyrnnoise is not installed")
    c, path = Program(Path(spec.submodule_search_locations[0]) / "librnnoise.so"), tmp_path / "weights_blob.bin"
    path.write_bytes(file_of(c.arrays))
    arrays, layers = read_weights(path), convert(path, part="layers").model.stack
    assert layers is not None
    ours, numpy, forced = InNumpy(arrays, layers.step), InNumpy(arrays), InNumpy(arrays)
    for features in np.random.default_rng(0).standard_normal((200, 65)).astype(np.float32):
        forced.states = c.states.copy()
        program = c.frame(features)
        assert np.abs(forced.frame(features) - program).max() <= 1e-3
        own = ours.frame(features)
        assert np.abs(own - numpy.frame(features)).max() <= 1e-5
        assert np.abs(own - program).mean() <= 1e-3
