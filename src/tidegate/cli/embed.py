"""`tidegate embed`: one summary vector for each text."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import tidegate
from tidegate.cli import outputs, texts
from tidegate.cli.console import note
from tidegate.cli.options import KindOption, ModelArgument, OverwriteOption, TextOption, TextsArgument, ThreadsOption
from tidegate.data import tables
from tidegate.data.files import replacing
from tidegate.data.outputs import PARQUET, VECTORS


def embed(
    model: ModelArgument,
    file: TextsArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="A .npy file (float32) or a .parquet file.")
    ],
    overwrite: OverwriteOption = False,
    kind: KindOption = None,
    text: TextOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Summarise each text by a vector, for search, clustering or another model.

    A Parquet file keeps all columns of the input and adds vector; an .npy file holds the vectors alone, a row for each.
    """
    target = outputs.output(output, (VECTORS, PARQUET), (model, file), overwrite=overwrite)
    if threads:
        tidegate.set_num_threads(threads)
    loaded = tidegate.load(model, tidegate.TextModel)
    parts = [(part.columns, loaded.encode(part.texts)) for part in texts.read(file, kind, text)]
    if not parts:
        raise ValueError(f"{file} has no rows")
    if target.format is VECTORS:
        with replacing(target.path) as npy:
            np.save(npy, np.concatenate([vectors for _, vectors in parts]))
    else:
        with tables.writer(target.path, target.format.name) as append:
            for columns, vectors in parts:
                append(columns | {"vector": vectors})
    count = sum(len(vectors) for _, vectors in parts)
    note(f"wrote {count:,} vectors of {loaded.config.summary_size} numbers to {target.path}")
