"""Runs the fuzz targets, one after the other, and says how many inputs each has tried.

    python fuzz/run.py (--seconds N | --runs N) [TARGET ...]

For a number of seconds, the search goes on from the inputs in build/fuzz/corpus/ that reached new code before. For a
number of runs, it begins with the seeds alone and draws the same inputs as ever: what passed once passes again.

What a target fails on is kept in build/fuzz/found/; `python fuzz/targets/TARGET.py FILE` runs it again.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "fuzz"
NATIVE = {name: BUILD / "address" / f"fuzz_{name}" for name in ("native", "tensors", "words")}
PYTHON = ("model_file", "model_parts", "tables", "parquet", "vectors", "messages", "server", "foreign")
MEGABYTES = 500
LONGEST_WAIT = 600  # seconds of the clock for one input, on a busy machine; targets in Python measure the processor's


def command_of(target: str) -> list[str]:
    """Returns what runs a target."""
    if target in NATIVE:
        return [str(NATIVE[target])]
    return [sys.executable, str(ROOT / "fuzz" / "targets" / f"{target}.py")]


def still() -> list[str]:
    """Returns what gives a program the same addresses every time, where the system can: sets are in their order."""
    fixed = ["setarch", "-R"]
    try:
        return fixed if subprocess.run([*fixed, "true"], capture_output=True, check=False).returncode == 0 else []
    except FileNotFoundError:
        return []


def run(target: str, limit: list[str], corpus: Path) -> bool:
    """Runs one target, keeps inputs that reach new code in a folder, and prints figures.

    Returns:
        Whether nothing was found.
    """
    seeds, found = ROOT / "fuzz" / "seeds" / target, BUILD / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    options = [*limit, f"-rss_limit_mb={MEGABYTES}", f"-timeout={LONGEST_WAIT}", "-print_final_stats=1"]
    options += [f"-artifact_prefix={found}/{target}-", str(corpus), *([str(seeds)] if seeds.is_dir() else [])]
    start = time.monotonic()
    # The order of sets is the same every time, and what was freed counts for less of the memory.
    same = os.environ | {"PYTHONHASHSEED": "0", "ASAN_OPTIONS": "quarantine_size_mb=64"}
    command = [*still(), *command_of(target), *options]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=same)
    figures = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stderr))
    inputs, memory = int(figures.get("number_of_executed_units", 0)), figures.get("peak_rss_mb", "?")
    seconds, outcome = time.monotonic() - start, "fine" if done.returncode == 0 else "FAILED"
    print(f"{target:12} {inputs:>12,} inputs  {seconds:>6.0f} s  {memory:>4} MB  {outcome}", flush=True)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).splitlines()
        print(*(line for line in lines[-60:] if not line.startswith(("#", "INFO"))), sep="\n")
    return done.returncode == 0


def main() -> int:
    """Runs the targets that were asked for; returns 1 if one of them has failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    limit = parser.add_mutually_exclusive_group(required=True)
    limit.add_argument("--seconds", type=int, help="for each target")
    limit.add_argument("--runs", type=int, help="inputs of each target, the same ones every time")
    parser.add_argument("targets", nargs="*", help=", ".join([*PYTHON, *NATIVE]))
    given = parser.parse_args()
    targets = given.targets or [*PYTHON, *(name for name, program in NATIVE.items() if program.exists())]
    if given.runs is None:
        results = [run(name, [f"-max_total_time={given.seconds}"], BUILD / "corpus" / name) for name in targets]
    else:
        with tempfile.TemporaryDirectory() as folder:
            results = [run(name, [f"-runs={given.runs}", "-seed=1"], Path(folder) / name) for name in targets]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
