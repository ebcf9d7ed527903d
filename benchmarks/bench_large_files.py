"""How much memory does a file take that is far larger than the memory, and how soon is one refused that is no table?

python benchmarks/bench_large_files.py [--gigabytes 10] [--cases REGEX] [--folder FOLDER]

Makes one file after the other, runs a command on it as a user would, and prints what it came to: seconds of the clock
and of the processor, which start with the interpreter, and the most memory that the process had at a time.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from pyarrow import parquet

GB, PIECE = 10**9, 10**7  # bytes
TRAINING = "text,label\n" + "a good film,good\na bad film,bad\n" * 20
TEXT = "it is a good film and not a bad one, all in all"
ROWS, COLUMNS = 2000, 5000  # of a wide table


class Case(NamedTuple):
    """One file and a command.

    Attributes:
        name: What the file is.
        file: Its name.
        pieces: Makes its content, from the number of bytes that it shall have at least.
        size: That number.
        command: What `tidegate` is given; MODEL, FILE and TRAIN stand for files.
    """

    name: str
    file: str
    pieces: Callable[[int], Iterable[bytes]]
    size: int
    command: str = "predict MODEL FILE --to jsonl"


def rows(size: int) -> Iterator[bytes]:
    """Rows of CSV with a text each, and another column of 20,000 letters."""
    row = f'"{TEXT}",good,{"x" * 20_000}\n'.encode()
    piece = row * (PIECE // len(row))
    yield b"text,label,more\n"
    yield from repeat(piece, size // len(piece) + 1)


def between(start: bytes, unit: bytes, end: bytes) -> Callable[[int], Iterator[bytes]]:
    """One thing that comes again and again, between a start and an end."""

    def pieces(size: int) -> Iterator[bytes]:
        yield start
        yield from repeat(unit * (PIECE // len(unit)), size // PIECE)
        yield end

    return pieces


def wide(kind: str) -> Callable[[int], Iterator[bytes]]:
    """A table of many columns."""
    names = ["text", *(f"column {place}" for place in range(COLUMNS - 1))]
    values = [TEXT, *map(str, range(COLUMNS - 1))]

    def pieces(size: int) -> Iterator[bytes]:
        if kind == "parquet":
            sink = pa.BufferOutputStream()
            parquet.write_table(
                pa.table({name: [value] * ROWS for name, value in zip(names, values, strict=True)}), sink
            )
            yield sink.getvalue().to_pybytes()
            return
        header, row = (",".join(f'"{value}"' for value in line).encode() + b"\n" for line in (names, values))
        row = row if kind == "csv" else json.dumps(dict(zip(names, values, strict=True))).encode() + b"\n"
        yield header if kind == "csv" else b""
        yield from repeat(row, ROWS)

    return pieces


def cases(gigabytes: float) -> list[Case]:
    """All files."""
    text, objects = between(b'{"text": "', b"x", b'"}\n'), between(b'{"text": [', b'{"a":1},', b"1]}\n")
    vectors = between(b"film ", b"0.25 ", b"1\n")
    return [
        Case(f"CSV of {gigabytes:g} GB", "t.csv", rows, int(gigabytes * GB)),
        Case("CSV with a field of 2 GB", "t.csv", between(b'text,label\n"', b"x", b'",a\n'), 2 * GB),
        Case("JSON with a text of 2 GB", "t.json", text, 2 * GB),
        Case("JSON with an array of objects of 2 GB", "t.json", objects, 2 * GB),
        Case("JSON Lines with a text of 2 GB", "t.jsonl", text, 2 * GB),
        Case("word vectors with a line of 2 GB", "v.vec", vectors, 2 * GB, "train TRAIN --vectors FILE -o OUT"),
        *(Case(f"{COLUMNS:,} columns, {kind}", f"t.{kind}", wide(kind), 0) for kind in ("csv", "jsonl", "parquet")),
        *(
            Case(f"{COLUMNS:,} columns, {kind} to parquet", f"t.{kind}", wide(kind), 0, "predict MODEL FILE -o OUT")
            for kind in ("csv", "jsonl", "parquet")
        ),
    ]


def measure(case: Case, folder: Path) -> str:
    """Makes the file, runs the command, removes the file; returns a row of the table."""
    file, out = folder / case.file, folder / ("out.safetensors" if case.command.startswith("train") else "out.parquet")
    names = {"MODEL": folder / "model.safetensors", "FILE": file, "TRAIN": folder / "train.csv", "OUT": out}
    with open(file, "wb") as made:
        made.writelines(case.pieces(case.size))
    command = [str(names.get(word, word)) for word in case.command.split()]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidegate", *command], stdout=subprocess.DEVNULL, stderr=errors
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        errors.seek(0)
        said = " ".join(errors.read().decode(errors="replace").split()).replace(str(folder) + "/", "")
    process.returncode = os.waitstatus_to_exitcode(status)
    size = file.stat().st_size / GB
    file.unlink()
    out.unlink(missing_ok=True)
    outcome = "done" if process.returncode == 0 else f"refused: {said[:110]}…"
    memory = used.ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)  # it counts in kB, or in bytes
    return (
        f"| {case.name} ({size:.2f} GB) | {outcome} | {memory:,.0f} MB | {seconds:.1f} s | "
        f"{used.ru_utime + used.ru_stime:.1f} s |"
    )


def main() -> None:
    """Measures the cases that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=10, help="of the large CSV file")
    parser.add_argument("--cases", default="", help="the cases whose name this regular expression finds")
    parser.add_argument("--folder", help="where there is room for the files")
    given = parser.parse_args()
    print("| input | outcome | peak memory | clock | processor |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        (folder / "train.csv").write_text(TRAINING, encoding="utf-8")
        trained = [sys.executable, "-m", "tidegate", "train", "train.csv", "-o", "model.safetensors", "--epochs", "1"]
        subprocess.run(trained, cwd=folder, check=True, capture_output=True)
        for case in cases(given.gigabytes):
            if re.search(given.cases, case.name):
                print(measure(case, folder), flush=True)


if __name__ == "__main__":
    main()
