"""Kills processes of `tidegate train --workers 2` at random moments, resumes it, and compares it with a run left alone.

Half of the runs lose their second process, the other half the first one, which is the command itself, by SIGKILL. A
command that has lost a process must end by itself and say so; the second process must end with the first one. Then the
same command with --resume must end with the weights of the run left alone, bit for bit, and every epoch that any of
them has printed must have its loss and its score. Checkpoints are written after each step. Exits with 1 otherwise.

    python fuzz/kill_workers.py --runs 10
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from kill_training import PATIENCE, weights, write_texts

SIZES = "--parts network --embedding-size 8 --hidden-size 8 --batch-size 16 --epochs 8 --patience 8"
HOW = ["--workers", "2", "--checkpoint-every", "0", *SIZES.split()]
BETWEEN_LOOKS = 0.002  # seconds
EPOCH = re.compile(r"^(\w+ +epoch \d+/\d+  loss \S+  \S+ \S+)", re.MULTILINE)


class Ended(NamedTuple):
    """How a command has ended: its exit code, negative if it was killed, and what it has printed."""

    code: int
    said: str


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """Starts `tidegate train` with two processes."""
    data, model = folder.parent / "train.csv", folder / "model.safetensors"
    command = [sys.executable, "-m", "tidegate", "train", data, "-o", model, *HOW, *options]
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def end(command: subprocess.Popen[bytes], folder: Path) -> Ended:
    """Waits for a command to end."""
    try:
        return Ended(command.wait(PATIENCE), (folder / "log.txt").read_text(encoding="utf-8"))
    except subprocess.TimeoutExpired:
        command.kill()
        raise


def others(command: int) -> list[int]:
    """The processes that train together with a command; each is known to the system by how it was started."""
    with suppress(OSError):  # it has ended
        children = Path(f"/proc/{command}/task/{command}/children").read_text(encoding="ascii").split()
        return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return []


def is_there(process: int) -> bool:
    """Whether a process has not ended; one whose parent has not asked for its end yet has."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(reached: Callable[[], bool], what: str) -> None:
    """Waits for something.

    Raises:
        TimeoutError: It does not happen.
    """
    until = time.perf_counter() + PATIENCE
    while not reached():
        if time.perf_counter() > until:
            raise TimeoutError(what)
        time.sleep(BETWEEN_LOOKS)


def kill(folder: Path, moment: float, *, first: bool) -> tuple[Ended, bool] | None:
    """Starts a run and kills one of its processes.

    Args:
        folder: Of the run.
        moment: Seconds after the start; if there is no second process by then, as soon as there is.
        first: Whether it is the command that is killed.

    Returns:
        How it has ended, and whether there was a checkpoint; None if it has ended before.
    """
    command, began = start(folder), time.perf_counter()
    wait_until(
        lambda: command.poll() is not None or (time.perf_counter() - began > moment and bool(others(command.pid))),
        "there is no second process",
    )
    try:
        second = others(command.pid)[0]
        os.kill(command.pid if first else second, signal.SIGKILL)
    except (IndexError, ProcessLookupError):
        end(command, folder)
        return None
    ended = end(command, folder)
    wait_until(lambda: not is_there(second), f"process {second} has outlived the command")
    return ended, any((folder / "model.safetensors.checkpoint").glob("*.safetensors"))


def trouble(
    killed: Ended, resumed: Ended, expected: tuple[Ended, dict[str, bytes]], folder: Path, *, first: bool, saved: bool
) -> str:
    """Says what is wrong with a run that was killed, before or after a checkpoint was saved, and resumed."""
    if not first and "worker 2 of 2 was killed by SIGKILL" not in killed.said:
        return f"it has ended with {killed.code}, and has not said that a worker was killed"
    if not first and saved != ("--resume continues this run" in killed.said):
        return "it has not said whether it can be resumed"
    if resumed.code:
        return f"when it was resumed it has ended with {resumed.code}"
    alone, arrays = expected
    curve = set(EPOCH.findall(alone.said))
    strange = [line for ended in (killed, resumed) for line in EPOCH.findall(ended.said) if line not in curve]
    if strange:
        return f"an epoch differs: {strange[0]}"
    names = {path.name for path in folder.iterdir()} - {"log.txt", "model.safetensors"}
    if names:
        return f"its folder holds {', '.join(sorted(names))}"
    return "" if weights(folder) == arrays else "its weights differ"


def run(wanted: int, seed: int) -> int:
    """Kills and resumes as many runs as wanted; returns the exit code."""
    random.seed(seed)
    began = time.perf_counter()
    with TemporaryDirectory() as name:
        place = Path(name)
        write_texts(place / "train.csv", 300)
        (place / "alone").mkdir()
        alone = end(start(place / "alone"), place / "alone")
        duration = time.perf_counter() - began
        expected = alone, weights(place / "alone")
        print(f"left alone: {len(EPOCH.findall(alone.said))} epochs in {duration:.1f} s", flush=True)
        done = same = index = 0
        while done < wanted:
            first, folder, index = done % 2 == 1, place / str(index), index + 1
            folder.mkdir()
            moment = random.uniform(0, duration)
            found = kill(folder, moment, first=first)
            if found is None:
                continue
            killed, saved = found
            resumed = end(start(folder, "--resume"), folder)
            wrong = trouble(killed, resumed, expected, folder, first=first, saved=saved)
            done, same = done + 1, same + (not wrong)
            what = "the command" if first else "its second process"
            where = "after a checkpoint" if saved else "before any checkpoint"
            print(f"run {done}: {what} killed after {moment:.1f} s, {where}: {wrong or 'the same'}", flush=True)
            if wrong:
                print(killed.said, resumed.said, sep="\n--resume:\n")
    seconds = time.perf_counter() - began
    print(f"{same} of {done} killed runs ended with the weights and losses of a run left alone, in {seconds:.0f} s")
    return int(same < done)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10, help="how many runs to kill, half of them each way")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments")
    given = parser.parse_args()
    print(f"seed {given.seed}")
    sys.exit(run(given.runs, given.seed))
