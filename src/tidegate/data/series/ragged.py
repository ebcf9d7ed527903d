"""Arrays in `.npz` files: all steps end to end with the lengths of the sequences, or one array of three axes."""

import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

VALUES, LENGTHS, LABELS = ("values", "x", "X", "data"), ("lengths",), ("labels", "y", "label", "target")
"""How the arrays may be called."""

_LARGEST = 1 << 36  # bytes that a file may unpack to


def read_npz(path: Path, *, typed: bool = False) -> tuple[list[Array], npt.NDArray[Any] | None]:
    """Reads a file: `values` [N, K] or [N] and `lengths` [B], or `values` [B, T, K]; maybe `labels` [B] or [B, C].

    Args:
        path: The file.
        typed: Whether numbers stay in their type, as those of sound do.

    Returns:
        Arrays [T, K], and the labels.

    Raises:
        OSError: The file cannot be read.
        ValueError: There are no such arrays, or their sizes do not fit each other.
    """
    arrays = _arrays(path)
    values, lengths, labels = (_called(arrays, names) for names in (VALUES, LENGTHS, LABELS))
    if values is None:
        raise ValueError(f"the arrays are {', '.join(arrays) or 'none'}, expected values, and lengths")
    if values.dtype.kind not in "fiub":
        raise ValueError(f"values has dtype {values.dtype}, expected numbers")
    values = values if typed else values.astype(np.result_type(values.dtype, np.float32), copy=False)
    if lengths is None and values.ndim != 3:
        raise ValueError(f"values has shape {values.shape}, expected [B, T, K], or [N, K] with lengths [B]")
    sequences = list(values) if lengths is None else _cut(values, lengths)
    if labels is not None and labels.ndim not in {1, 2}:
        raise ValueError(f"labels has shape {labels.shape}, expected [B] or [B, C]")
    if labels is not None and len(labels) != len(sequences):
        raise ValueError(f"labels has {len(labels)} rows for {len(sequences)} sequences, expected one for each")
    return sequences, labels


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with ZipFile(path) as packed:
            if sum(member.file_size for member in packed.infolist()) > _LARGEST:
                raise ValueError(f"it would unpack to more than {_LARGEST:,} bytes")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if name in {*VALUES, *LENGTHS, *LABELS}}
    except (BadZipFile, EOFError, KeyError, zlib.error) as error:
        raise ValueError(f"it is no .npz file, or a damaged one: {error}") from None


def _called(arrays: dict[str, npt.NDArray[Any]], names: tuple[str, ...]) -> npt.NDArray[Any] | None:
    """Finds an array by one of its usual names."""
    found = [name for name in names if name in arrays]
    if len(found) > 1:
        raise ValueError(f"it has the arrays {found[0]} and {found[1]}, expected one of them")
    return arrays[found[0]] if found else None


def _cut(values: Array, lengths: npt.NDArray[Any]) -> list[Array]:
    """Cuts all steps into sequences."""
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any():
        raise ValueError(
            f"lengths has shape {lengths.shape} and dtype {lengths.dtype}, expected integers [B] of 0 or more"
        )
    if values.ndim not in {1, 2} or lengths.sum() != len(values):
        raise ValueError(
            f"values has shape {values.shape}, expected [N, K] with N = {lengths.sum()}, the sum of lengths"
        )
    steps = values if values.ndim == 2 else values[:, None]
    return [steps[end - length : end] for length, end in zip(lengths, np.cumsum(lengths), strict=True)]
