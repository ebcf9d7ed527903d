"""`tidegate embed`: one summary vector for each text or sequence of numbers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
import typer

from tidegate.cli import outputs
from tidegate.cli.console import note
from tidegate.cli.groups import grouped
from tidegate.cli.options import (
    PLACE_OPTIONS,
    READ_OPTIONS,
    KindOption,
    ModelArgument,
    OverwriteOption,
    TextsArgument,
)
from tidegate.cli.places import Place
from tidegate.cli.reading import texts
from tidegate.cli.reading.inputs import Columns, load_model, read_parts
from tidegate.data import tables
from tidegate.data.outputs import PARQUET, VECTORS
from tidegate.files.writing import replacing
from tidegate.models.network import Network


@grouped("columns", READ_OPTIONS, Columns)
@grouped("place", PLACE_OPTIONS, Place)
def embed(
    model: ModelArgument,
    file: TextsArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="A .npy file (float32) or a .parquet file.")
    ],
    overwrite: OverwriteOption = False,
    kind: KindOption = None,
    columns: Any = None,
    place: Any = None,
) -> None:
    """Summarise each text or sequence by a vector, for search, clustering or another model.

    A Parquet file keeps all columns of the input in their types and adds vector; an .npy file holds the vectors alone,
    a row for each.
    """
    target = outputs.output(output, (VECTORS, PARQUET), (model, file), overwrite=overwrite)
    place.use_threads()
    loaded = load_model(model)
    whole = target.format is PARQUET
    parts = read_parts(loaded, file, kind, columns, output=target if whole else None, others=whole)
    with tables.writer(target.path, PARQUET.name) if whole else _array_writer(target.path) as append:
        count = 0
        with closing(place.worked_on(file, parts, partial(_encoded, loaded))) as done:
            for part, added in done:
                append(texts.joined(part.columns, added, "embed"), part.schema)
                count += len(part)
        if not count:
            raise ValueError(f"{file} has no rows")
    note(f"wrote {count:,} vectors of {loaded.config.summary_size} numbers to {target.path}")


def _encoded(model: Network, batch: Sequence[Any], _first: int) -> dict[str, Any]:
    """Summarises a batch of texts or sequences: the column to add."""
    return {"vector": model.encode(batch)}


@contextmanager
def _array_writer(path: Path) -> Iterator[tables.Write]:
    """Opens an .npy file that takes vectors part by part; how many there are is put into its header at the end.

    A pipe, where nothing can be written over, gets all of them at the end.
    """
    with replacing(path) as file:
        count, shape, waiting = 0, (0,), []

        def append(columns: Mapping[str, Any], schema: Any = None) -> None:
            nonlocal count, shape
            vectors = columns["vector"]
            if not count:
                shape = vectors.shape[1:]
                if file.seekable():
                    _write_header(file, (0, *shape))
            count += len(vectors)
            if file.seekable():
                file.write(vectors.tobytes())
            else:
                waiting.append(vectors.tobytes())

        yield append
        if file.seekable():
            file.seek(0)
        _write_header(file, (count, *shape))  # numpy leaves room in a header for the first size to grow
        for data in waiting:
            file.write(data)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
