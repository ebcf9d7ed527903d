"""Runs the fuzz targets, one after the other, and says how many inputs each has tried.

    python fuzz/run.py SECONDS [TARGET ...]

What a target fails on is kept in build/fuzz/found/; `python fuzz/targets/TARGET.py FILE` runs it again. Inputs that
reach new code are kept in build/fuzz/corpus/ for the next run.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
NATIVE = ROOT / "build" / "fuzz" / "address" / "fuzz_native"
PYTHON = ("model_file", "model_parts", "tables", "parquet", "vectors", "messages", "server")
MEGABYTES = 500
LONGEST_WAIT = 30  # seconds of the clock for one input; the targets in Python measure the processor's themselves


def command_of(target: str) -> list[str]:
    """Returns what runs a target."""
    if target == "native":
        return [str(NATIVE)]
    return [sys.executable, str(ROOT / "fuzz" / "targets" / f"{target}.py")]


def run(target: str, seconds: int) -> bool:
    """Runs one target and prints its figures; returns whether nothing was found."""
    build, seeds = ROOT / "build" / "fuzz", ROOT / "fuzz" / "seeds" / target
    corpus, found = build / "corpus" / target, build / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-timeout={LONGEST_WAIT}",
    ]
    options += ["-print_final_stats=1", f"-artifact_prefix={found}/{target}-", str(corpus)]
    options += [str(seeds)] if seeds.is_dir() else []
    done = subprocess.run(
        [*command_of(target), *options], capture_output=True, text=True, errors="replace", check=False
    )
    figures = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stderr))
    inputs, memory = int(figures.get("number_of_executed_units", 0)), figures.get("peak_rss_mb", "?")
    print(
        f"{target:12} {inputs:>12,} inputs  {memory:>4} MB  {'fine' if done.returncode == 0 else 'FAILED'}", flush=True
    )
    if done.returncode != 0:
        print(*(line for line in done.stdout.splitlines() if not line.startswith(("#", "INFO"))), sep="\n")
    return done.returncode == 0


if __name__ == "__main__":
    chosen = sys.argv[2:] or [*PYTHON, *(["native"] if NATIVE.exists() else [])]
    results = [run(target, int(sys.argv[1])) for target in chosen]
    sys.exit(not all(results))
