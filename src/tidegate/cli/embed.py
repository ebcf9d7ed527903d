"""`tidegate embed`: one summary vector for each text."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import tidegate
from tidegate.cli import texts
from tidegate.cli.console import note
from tidegate.cli.options import KindOption, ModelArgument, TextOption, TextsArgument, ThreadsOption
from tidegate.data import tables
from tidegate.data.files import replacing


def embed(
    model: ModelArgument,
    file: TextsArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="A .npy file (float32) or a .parquet file.")
    ],
    kind: KindOption = None,
    text: TextOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Summarise each text by a vector, for search, clustering or another model.

    A Parquet file keeps all columns of the input and adds vector; an .npy file holds the vectors alone, a row for each.
    """
    if output.suffix not in {".npy", ".parquet"}:
        raise ValueError(f"the output is {output}, expected a file that ends in .npy or .parquet")
    if threads:
        tidegate.set_num_threads(threads)
    loaded = tidegate.load(model, tidegate.TextModel)
    parts = [(part.columns, loaded.encode(part.texts)) for part in texts.read(file, kind, text)]
    if not parts:
        raise ValueError(f"{file} has no rows")
    if output.suffix == ".npy":
        with replacing(output) as target:
            np.save(target, np.concatenate([vectors for _, vectors in parts]))
    else:
        with tables.writer(output) as append:
            for columns, vectors in parts:
                append(columns | {"vector": vectors})
    count = sum(len(vectors) for _, vectors in parts)
    note(f"wrote {count:,} vectors of {loaded.config.summary_size} numbers to {output}")
