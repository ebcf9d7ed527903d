"""Does `embed --ray-address` keep every row if a worker is killed, how fast is it, and does its memory stay flat?

python benchmarks/bench_ray.py [--rows 1000000] [--turns 3] [--folder FOLDER]

Short texts are embedded by two plain processes with one thread, each half of them, and by a Ray cluster of this machine
with two workers, in turns; then once more by the cluster while one of its workers is killed by SIGKILL after a third of
the rows. Rows a second are counted after the first fifth of them, because to start a cluster or a process takes as long
for any number of rows. The vectors of the cluster must be, byte for byte, those of the plain
processes. Memory is that of the process of the command, without what it shares with others, after each fifth.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import parquet

import tidegate

WORDS, FEWEST, MOST = 20_000, 4, 20  # words that there are, and words of a text
PIECE = 50_000  # rows
WORKERS = 2
SHARES = (0.2, 0.4, 0.6, 0.8, 0.99)  # of the rows, after which memory is looked at
BETWEEN_LOOKS = 0.02  # seconds


class Done(NamedTuple):
    """What was seen of some commands: rows a second, and the memory of the first after each share of its rows, MB."""

    speed: float
    memory: list[float]


def write_texts(folder: Path, count: int) -> list[Path]:
    """Writes texts whose words have the frequencies of a language: all of them, and a file for each half."""
    rng = np.random.default_rng(0)
    words = np.array([f"w{i:x}" for i in range(WORDS)])
    schema, middle = pa.schema({"text": pa.string()}), count // 2
    paths = [folder / name for name in ("all.parquet", "first.parquet", "second.parquet")]
    writers = [parquet.ParquetWriter(path, schema) for path in paths]
    for first in range(0, count, PIECE):
        lengths = rng.integers(FEWEST, MOST, min(count - first, PIECE))
        drawn = words[np.minimum(rng.zipf(1.2, lengths.sum()), WORDS) - 1]
        table = pa.table({"text": [" ".join(text) for text in np.split(drawn, lengths.cumsum()[:-1])]})
        inside = min(max(0, middle - first), len(table))
        for writer, piece in zip(writers, (table, table.slice(0, inside), table.slice(inside)), strict=True):
            writer.write_table(piece)
    for writer in writers:
        writer.close()
    return paths


def write_model(path: Path, texts: Path) -> int:
    """Trains a little, as what it learns is of no matter; returns the bytes of a vector."""
    some = parquet.ParquetFile(texts).read_row_group(0)["text"].to_pylist()[:3000]
    model = tidegate.fit(some, np.random.default_rng(0).choice(["a", "b"], len(some)).tolist(), epochs=1)
    model.save(path)
    return 4 * model.config.summary_size


def memory_of(process: int) -> float:
    """Memory of a process that no other one shares, MB; 0 if it has ended."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1e3
    return 0.0


def lose_a_worker(process: int) -> None:
    """Kills one of the workers of the cluster that a process has started."""
    parents, workers = {}, []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if (path / "cmdline").read_bytes().startswith(b"ray::_Worker"):
                workers.append(int(path.name))
    for worker in workers:
        above = worker
        while above in parents and above != process:
            above = parents[above]
        if above == process:
            os.kill(worker, signal.SIGKILL)
            print(f"  killed worker {worker}")
            return
    raise LookupError("there is no worker to kill")


def rows_in(output: Path, size: int) -> int:
    """Counts the rows in an output, which has a temporary name until it is whole."""
    with suppress(OSError, StopIteration):
        found = output if output.exists() else next(output.parent.glob(f".{output.name}.*"))
        return found.stat().st_size // size
    return 0


def embedded(
    commands: Sequence[Sequence[str | Path]], outputs: Sequence[Path], rows: int, size: int, kill: bool
) -> Done:
    """Runs commands side by side, and watches what they write."""
    for output in outputs:
        output.unlink(missing_ok=True)
    first = [sys.executable, "-m", "tidegate", "embed"]
    apart = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}  # as Ray's are
    started = [subprocess.Popen([*first, *each], **apart) for each in commands]
    process, begun, memory = started[0].pid, (0.0, 0), []
    to_kill: list[Callable[[int], None]] = [lose_a_worker] * kill
    done = 0
    while done < rows and any(each.poll() is None for each in started):
        time.sleep(BETWEEN_LOOKS)
        now, done = time.perf_counter(), sum(rows_in(output, size) for output in outputs)
        if done >= SHARES[0] * rows and not begun[1]:
            begun = now, done
        if to_kill and done > rows / 3:
            to_kill.pop()(process)
        if len(memory) < len(SHARES) and done >= SHARES[len(memory)] * rows:
            memory.append(memory_of(process))
    seconds = time.perf_counter() - begun[0]
    if any(each.wait() for each in started):
        raise RuntimeError("a command has failed")
    return Done((done - begun[1]) / seconds, memory)


def vectors(outputs: Sequence[Path]) -> np.ndarray:
    """Reads vectors, a half behind the other."""
    found = [np.load(output, mmap_mode="r") for output in outputs]
    return found[0] if len(found) == 1 else np.concatenate(found)


def measure(folder: Path, rows: int, turns: int) -> None:
    """Prints what comes out, turn by turn."""
    model, alone, cluster = folder / "model.safetensors", [folder / "1.npy", folder / "2.npy"], [folder / "all.npy"]
    whole, *halves = write_texts(folder, rows)
    size = write_model(model, whole)
    plain = [[model, half, "-o", output, "--threads", "1"] for half, output in zip(halves, alone, strict=True)]
    by_ray = [[model, whole, "-o", cluster[0], "--ray-address", "local", "--workers", str(WORKERS)]]
    ratios = []
    for turn in range(1, turns + 2):
        kill = turn > turns
        one, other = embedded(plain, alone, rows, size, False), embedded(by_ray, cluster, rows, size, kill)
        same = np.array_equal(vectors(alone), vectors(cluster))
        ratios += [other.speed / one.speed] * (not kill)
        name = "worker killed" if kill else f"turn {turn}"
        print(
            f"{name}: {one.speed:,.0f} rows/s by two processes, {other.speed:,.0f} by two workers, "
            f"{other.speed / one.speed:.2f} times as many; "
            f"vectors {'are the same' if same else 'DIFFER'}; memory of the command after each fifth "
            f"{', '.join(f'{each:.0f}' for each in other.memory)} MB",
            flush=True,
        )
    print(f"{rows:,} rows: two workers ÷ two plain processes: {median(ratios):.2f} (from {min(ratios):.2f} to "
          f"{max(ratios):.2f})")  # fmt: skip


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="for about 1 kB a row")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        measure(Path(folder), asked.rows, asked.turns)


if __name__ == "__main__":
    main()
