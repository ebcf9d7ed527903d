"""Spoken digits as sound: the Free Spoken Digit Dataset, which is one Parquet file.

python benchmarks/digits.py fsdd.parquet FOLDER

writes FOLDER/train.parquet and FOLDER/test.parquet, the parts of the official split, which `tidegate train --frontend
logmel` and the other commands read: the columns `pcm` (16-bit samples, 8,000 a second), `digit` and `speaker`.
"""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FRONT_END = "logmel sample_rate=8000"

Part = tuple[list[npt.NDArray[np.int16]], npt.NDArray[np.int64], npt.NDArray[np.str_]]


def read(file: Path) -> dict[str, Part]:
    """Reads clips, digits and speakers of each part of the split."""
    return {part: _columns(rows) for part, rows in _parts(file).items()}


def write(file: Path, folder: Path) -> None:
    """Writes a table for each part of the split."""
    for part, rows in _parts(file).items():
        pq.write_table(rows.select(["pcm", "digit", "speaker"]), folder / f"{part}.parquet")


def _parts(file: Path) -> dict[str, pa.Table]:
    table = pq.read_table(file)
    return {part: table.filter(pc.equal(table["split"], part)) for part in ("train", "test")}


def _columns(rows: pa.Table) -> Part:
    clips = [np.asarray(clip.values, np.int16) for clip in rows["pcm"]]
    return clips, np.array(rows["digit"].to_pylist()), np.array(rows["speaker"].to_pylist())


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
