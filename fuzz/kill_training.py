"""Kills `tidegate train` at random moments, resumes it, and compares the weights with those of a run left alone.

Each process is a fork of this one, which has imported everything, and dies by SIGKILL: half of them at any moment, half
of them while a checkpoint is being written, some of them again after they were resumed. Checkpoints are written after
each step, and the number of threads changes from process to process. Exits with 1 if any weight differs in any bit.

    python fuzz/kill_training.py --runs 100
"""

import argparse
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import torch._dynamo  # what the forks import is imported here, once
import torch.onnx  # noqa: F401

import tidegate
from tidegate.cli import main

WORDS = {"good": ("fine", "lovely", "great"), "bad": ("dull", "boring", "poor")}
SIZES = "--embedding-size 8 --hidden-size 8 --num-layers 2 --batch-size 16 --epochs 3 --checkpoint-every 0"
AGAIN = 0.25  # share of the resumed processes that are killed as well
PATIENCE = 120.0  # seconds until a process that hangs is an error


def write_texts(path: Path, count: int) -> None:
    """Writes texts with one word among others that tells their label."""
    rows = [("text", "label")]
    for _ in range(count):
        label = random.choice(list(WORDS))
        words = [*random.choices(["the", "film", "is", "a"], k=random.randint(2, 9)), random.choice(WORDS[label])]
        rows.append((" ".join(random.sample(words, len(words))), label))
    path.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")


def start(folder: Path, *options: str) -> int:
    """Starts `tidegate train` in a fork; returns the number of its process."""
    process = os.fork()
    if process:
        return process
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        threads = ["--threads", str(random.Random(os.getpid()).choice((1, 2)))]
        data, model = str(folder.parent / "train.csv"), str(folder / "model.safetensors")
        os._exit(main(["train", data, "-o", model, *SIZES.split(), *threads, *options]))


def wait(process: int, until: Callable[[], bool] = lambda: False) -> int | None:
    """Waits for a process to end, and returns its exit code; None if something else happens first."""
    end = time.perf_counter() + PATIENCE
    while not until():
        if os.waitpid(process, os.WNOHANG) != (0, 0):
            return 0
        if time.perf_counter() > end:
            os.kill(process, signal.SIGKILL)
            raise TimeoutError(f"process {process} hangs")
        time.sleep(0.0005)
    return None


def writes(folder: Path) -> bool:
    """Whether a checkpoint is half written; a run that ends removes all of them, also while this looks."""
    try:
        return any((folder / "model.safetensors.checkpoint").glob(".*.tmp"))
    except FileNotFoundError:
        return False


def kill(process: int, folder: Path, seconds: float, *, writing: bool) -> bool:
    """Kills a process after some seconds, or then as soon as it writes; False if it has ended before."""
    moment = time.perf_counter() + seconds

    def reached() -> bool:
        return time.perf_counter() > moment and (not writing or writes(folder))

    if wait(process, reached) is not None:
        return False
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return True


def weights(folder: Path) -> dict[str, bytes]:
    """Reads the weights of the model in a folder."""
    return {name: array.tobytes() for name, array in tidegate.load(folder / "model.safetensors").arrays.items()}


def trouble(folder: Path, expected: dict[str, bytes]) -> str:
    """Says what is wrong with a run that has ended; nothing should be left beside the model."""
    names = {path.name for path in folder.iterdir()}
    if names != {"log.txt", "model.safetensors"}:
        return f"its folder holds {', '.join(sorted(names))}"
    return "" if weights(folder) == expected else "its weights differ"


def attempt(folder: Path, duration: float, index: int) -> tuple[int, int]:
    """Starts a run, kills it until chance lets it end; returns the kills, and those that interrupted a write."""
    folder.mkdir()
    kills = torn = 0
    options: list[str] = []
    while not kills or random.random() < AGAIN:
        if not kill(start(folder, *options), folder, random.uniform(0, duration), writing=index % 2 == 1):
            break
        kills, options = kills + 1, ["--resume"]
        torn += writes(folder)
    wait(start(folder, *options))
    return kills, torn


def run(wanted: int, seed: int) -> int:
    """Kills and resumes as many runs as wanted; returns the exit code."""
    random.seed(seed)
    with TemporaryDirectory() as name:
        folder, began = Path(name), time.perf_counter()
        write_texts(folder / "train.csv", 60)
        with redirect_stdout(None), redirect_stderr(None):
            main(["train", str(folder / "nothing.csv")])  # imports what training needs, and no more
        (folder / "alone").mkdir()
        alone = time.perf_counter()
        wait(start(folder / "alone"))
        duration, expected = time.perf_counter() - alone, weights(folder / "alone")
        kills = torn = runs = same = index = 0
        while runs < wanted:
            where = folder / str(index)
            killed, interrupted = attempt(where, duration, index)
            wrong = trouble(where, expected)
            if wrong:
                print(f"run {index}: {wrong}; its log:", (where / "log.txt").read_text(encoding="utf-8"), sep="\n")
            kills, torn, index = kills + killed, torn + interrupted, index + 1
            runs, same = runs + (killed > 0), same + (killed > 0 and not wrong)
    print(
        f"{same} of {runs} killed runs ended with the weights of a run left alone, after {kills} kills, {torn} of them "
        f"during a write; a run takes {duration:.1f} s, all of this took {time.perf_counter() - began:.0f} s"
    )
    return int(same < runs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100, help="how many runs to kill")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments")
    given = parser.parse_args()
    print(f"seed {given.seed}")
    sys.exit(run(given.runs, given.seed))
