"""The second generation of RNNoise, from version 0.2 on: its file of weights, and the layers in it.

Source of the format: `src/nnet.h` and `src/parse_lpcnet_weights.c` of https://github.com/xiph/rnnoise.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.arrays import layer_of
from tidegate.convert.certificate import ConversionError
from tidegate.convert.found import Found, Layer
from tidegate.ops.cells import GRU

Array = npt.NDArray[Any]

MAGIC = b"DNNw"
"""How a file begins, and each array in it."""

_NAME = "gru"  # of a recurrent layer, before its number
_HEADER = struct.Struct("<4siiii44s")  # magic, version, type, bytes, bytes with padding, name
_DTYPES = {0: "<f4", 1: "<i4", 3: "<i1"}
_ROWS, _COLUMNS = 8, 4  # of a block of a sparse matrix
_BLOCK = _ROWS * _COLUMNS
_SPARSEST = 64  # places of a matrix for each number that is stored


def read_weights(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Reads the arrays of a file of weights, such as `weights_blob.bin`, by their names.

    Raises:
        OSError: The file cannot be read.
        ConversionError: It is none, or a damaged one.
    """
    with open(path, "rb") as file:
        data = file.read()
    arrays: dict[str, Array] = {}
    start = 0
    while start < len(data):
        if len(data) - start < _HEADER.size:
            raise ConversionError(f"{os.fsdecode(path)} is cut off: {len(data) - start} bytes are left at its end")
        magic, _, kind, size, whole, name = _HEADER.unpack_from(data, start)
        start += _HEADER.size
        dtype = np.dtype(_DTYPES.get(kind, "u1"))
        if magic != MAGIC or not 0 <= size <= whole <= len(data) - start or size % dtype.itemsize:
            raise ConversionError(f"{os.fsdecode(path)} is damaged at byte {start}: no array of RNNoise begins there")
        text = name.partition(b"\0")[0].decode("ascii", "replace")
        arrays[text] = np.frombuffer(data, dtype, size // dtype.itemsize, start)
        start += whole
    return arrays


def found_in_rnnoise(arrays: Mapping[str, Array]) -> Found:
    """Reads the recurrent layers gru1, gru2, …: the first reads what conv2 computes, the others what stands before.

    Raises:
        ConversionError: There is none, or an array is missing or does not fit.
    """
    layers: list[Layer] = []
    inputs = len(arrays.get("conv2_bias", ()))
    while f"{_NAME}{len(layers) + 1}_recurrent_bias" in arrays:
        name = f"{_NAME}{len(layers) + 1}"
        H = len(arrays[f"{name}_recurrent_bias"]) // 3
        widths = {"input": inputs, "recurrent": H}
        own = {f"{side}_weights": matrix_of(arrays, f"{name}_{side}", width) for side, width in widths.items()}
        own |= {f"{side}_bias": arrays[f"{name}_{side}_bias"] for side in widths}
        layers.append(layer_of("rnnoise", "GRU 0.2", own, GRU()))
        inputs = H
    if not layers:
        raise ConversionError("it has no layer gru1, as RNNoise has from version 0.2 on")
    return Found(tuple(layers), summary="last")


def matrix_of(arrays: Mapping[str, Array], name: str, inputs: int) -> Array:
    """Returns the matrix of a linear layer, float32 [outputs, inputs], with the zeros that the file leaves out.

    A sparse matrix is stored in blocks of 8 rows and 4 columns: for each 8 rows the number of blocks, and the first
    column of each. The diagonal of a recurrent matrix stands apart.

    Raises:
        ConversionError: An array is missing or does not fit.
    """
    kinds = {"weights_float": "f", "bias": "f", "weights_idx": "i", "weights_diag": "f"}
    wanted = [(arrays.get(f"{name}_{part}"), kind) for part, kind in kinds.items()]
    numbers, bias, places, diagonal = (None if a is None or a.dtype.kind != kind else a for a, kind in wanted)
    if numbers is None or bias is None:
        raise ConversionError(f"it has no {name}_weights_float or no {name}_bias; weights in int8 alone are not read")
    outputs = len(bias)
    if places is None:
        if len(numbers) != outputs * inputs:
            raise ConversionError(f"{name} has {len(numbers)} weights, expected {outputs} · {inputs}")
        return numbers.reshape(inputs, outputs).T
    if outputs * inputs > _SPARSEST * len(numbers):
        raise ConversionError(f"{name} has {len(numbers)} weights for a matrix of {outputs} · {inputs}")
    matrix = np.zeros((outputs, inputs), np.float32)
    blocks = iter(numbers[: len(numbers) // _BLOCK * _BLOCK].reshape(-1, _COLUMNS, _ROWS))
    for row, column in _corners(places, name, outputs, inputs):
        block = next(blocks, None)
        if block is None:
            raise ConversionError(f"{name} has fewer weights than its places say")
        matrix[row : row + _ROWS, column : column + _COLUMNS] = block.T
    if diagonal is not None:
        if len(diagonal) != outputs or outputs != 3 * inputs:
            raise ConversionError(f"{name} has {len(diagonal)} numbers in its diagonal, expected {outputs}")
        matrix[np.arange(outputs), np.arange(outputs) % inputs] += diagonal
    return matrix


def _corners(places: Array, name: str, outputs: int, inputs: int) -> Iterator[tuple[int, int]]:
    """Lists the first row and column of each block.

    Raises:
        ConversionError: A block is outside, or there are not as many rows.
    """
    numbers, row = iter(places.tolist()), 0
    for count in numbers:
        for column in islice(numbers, max(0, count)):
            if not (0 <= column <= inputs - _COLUMNS and row <= outputs - _ROWS):
                raise ConversionError(f"{name} has a block at row {row}, column {column}, outside {outputs} × {inputs}")
            yield row, column
        row += _ROWS
    if row != outputs:
        raise ConversionError(f"{name} has places for {row} rows, expected {outputs}")
