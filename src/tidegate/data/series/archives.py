"""Files that are no tables, by their suffix, as the tables that they would be: `.ts` and `.npz`."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.data.series.ragged import read_npz
from tidegate.data.series.roles import Asked, Looks, Roles, split_names
from tidegate.data.series.table import Array, Series
from tidegate.data.series.ts import read_ts
from tidegate.data.tables.sources.containers import Source
from tidegate.files.remote import is_url, local

_READERS: dict[str, Callable[..., tuple[Any, Any]]] = {".ts": read_ts, ".npz": read_npz}


def is_archive(source: Source) -> bool:
    """Whether a source is such a file, by its suffix."""
    return isinstance(source, str | os.PathLike) and Path(source).suffix.lower() in _READERS


def read_archive(path: str | os.PathLike[str], asked: Asked, *, need_label: bool, first: int = 1) -> Series:
    """Reads such a file.

    Args:
        path: The file.
        asked: Its features `dim_0` and so on, if not all of them.
        need_label: Whether there must be labels.
        first: The number of its first sequence, in the column `case`.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged or has no sequence, there are no labels where they are needed, or no such columns.
    """
    suffix = Path(path).suffix.lower()
    typed = {"typed": True} if asked.sound is not None and suffix == ".npz" else {}
    copy = local(path) if is_url(path) else None
    sequences, labels = _READERS[suffix](Path(copy.name if copy else path), **typed)
    found = _chosen(_as_table(sequences, labels, need_label=need_label, first=first), asked)
    return replace(found, roles=replace(found.roles, sound=asked.sound))


def _as_table(sequences: list[Array], labels: Any, *, need_label: bool, first: int) -> Series:
    """Makes what a table would be of sequences and their labels: columns `case`, counted from `first`, and `label`.

    Raises:
        ValueError: There is no sequence, or there are no labels where they are needed.
    """
    if not sequences:
        raise ValueError("there are no sequences")
    if need_label and labels is None:
        raise ValueError("there are no labels")
    K = max(sequence.shape[1] for sequence in sequences)
    if wrong := next((b for b, sequence in enumerate(sequences, 1) if sequence.shape[1] != K), None):
        raise ValueError(
            f"sequence {wrong} has {sequences[wrong - 1].shape[1]} features, expected {K} as the others have"
        )
    several = [np.asarray(labels)] if np.ndim(labels) == 1 else list(np.asarray(labels).T) if np.ndim(labels) else []
    names = ["label"] if len(several) == 1 else [f"label_{c}" for c in range(len(several))]
    known = {name: column.tolist() for name, column in zip(names, several, strict=True)}
    cases = {"case": list(range(first, first + len(sequences)))}
    roles = Roles(features=tuple(f"dim_{k}" for k in range(K)), labels=tuple(known) if need_label else ())
    return Series(sequences, known if need_label else {}, roles, cases | known)


def _chosen(found: Series, asked: Asked) -> Series:
    """Takes the features that are asked for.

    Raises:
        ValueError: There are no such features or labels, or a key or a time is asked for.
    """
    looks = Looks(dict.fromkeys((*found.roles.features, *found.labels), "number"), {})
    asked = split_names(asked, looks)
    for name in (*asked.features, *(asked.labels if found.labels else ()), asked.key, asked.time):
        if name is not None and name not in looks.by_name:
            raise ValueError(f"there is no {name!r}; there are {', '.join(map(repr, looks.by_name))}")
    features = asked.features or found.roles.features
    chosen = [found.roles.features.index(name) for name in features]
    roles = replace(found.roles, features=features)
    sequences = found.sequences if features == found.roles.features else [x[:, chosen] for x in found.sequences]
    return replace(found, sequences=sequences, roles=roles)
