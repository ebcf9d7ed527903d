"""How many requests does `tidegate serve` answer, beside an endpoint that does nothing, and beside other libraries?

python benchmarks/bench_service.py MODEL FILE [--rounds 5] [--seconds 2] [--clients 64]
python benchmarks/bench_service.py MODEL FILE --rate 3000
python benchmarks/bench_service.py MODEL FILE --memory 200000

MODEL is a GRU of one layer without n-grams (`tidegate train --parts gru`), FILE a table of short texts. The client is
wrk (Debian's package of this name), which needs a tenth of the time that the server takes for a request; it runs on the
same processors. Endpoints take turns; figures are medians. The peers stand in `service_app.py`.

With --rate, requests come at a constant rate, and a latency counts from when its request was due (`paced.py`). Other
programs on the machine show in this at once: `chrt -r 30 python …` keeps them away, up to the 5 % of each second that
Linux keeps for them, in which the server stands still for 50 ms if it is the only one with work.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import contest
import tidegate
from paced import paced
from service_app import threads
from tidegate.data import tables

HERE = Path(__file__).parent
PORT = 8765
ROWS = 64  # texts in a batch
PATHS = {
    "tidegate /predict": "predict",
    "{} by FastAPI": "nothing",
    "/health": "health",
    "ONNX Runtime, def": "onnx",
    "ONNX Runtime, async def": "onnx-async",
    "scikit-learn, def": "sklearn",
    "scikit-learn, async def": "sklearn-async",
}


class Load(NamedTuple):
    """What a load came to: requests a second, and the time in which 99 % were answered, in ms."""

    rate: float
    p99: float


@contextmanager
def served(options: argparse.Namespace) -> Iterator[None]:
    """Runs the server in a process of its own."""
    command = [sys.executable, str(HERE / "service_app.py"), options.model, options.file, str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            if running.stdout is None or "ready" not in running.stdout.readline():
                raise RuntimeError("the server did not start")
            yield
        finally:
            running.terminate()
            running.wait(20)


def load(path: str, bodies: Path, clients: int, seconds: float) -> Load:
    """Asks as fast as the server answers.

    Raises:
        RuntimeError: An answer was an error.
    """
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:.0f}", "--latency", f"http://127.0.0.1:{PORT}/{path}"]
    if path != "health":  # the one that is asked by GET
        command[-1:] = ["-s", str(HERE / "wrk.lua"), command[-1], "--", str(bodies)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in found:
        raise RuntimeError(found)
    [rate] = re.findall(r"Requests/sec:\s+([\d.]+)", found)
    [(number, unit)] = re.findall(r"99%\s+([\d.]+)(us|ms|s)", found)
    return Load(float(rate), float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit])


def at_a_rate(options: argparse.Namespace, texts: list[str], _: Path) -> None:
    """Prints the times to an answer where requests come at a constant rate."""
    bodies = [json.dumps({"text": text}) for text in texts]
    names = list(PATHS)[:2]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for turn in range(options.rounds + 1):
        for name in names:
            waits = paced(PORT, PATHS[name], bodies, options.rate, options.seconds, options.clients)
            if turn:  # the first one warms up
                found[name].append((1000 * waits[len(waits) // 2], 1000 * waits[int(0.99 * len(waits))]))
    print(f"{options.rate:,.0f} requests/s over {options.clients} connections, {options.rounds} turns of each")
    print(f"{'':26} {'median, ms':>11} {'p99, ms':>8} {'least p99':>10} {'turns with p99 <= 50 ms':>24}")
    for name in names:
        medians, tails = zip(*found[name], strict=True)
        within = sum(tail <= 50 for tail in tails)
        usual, tail = statistics.median(medians), statistics.median(tails)
        print(f"{name:26} {usual:11.1f} {tail:8.1f} {min(tails):10.1f} {within:24}")


def alone(model: tidegate.TextModel, texts: list[str], seconds: float) -> float:
    """Returns the texts a second of `predict_proba` in a loop, in batches."""
    batches = [texts[i : i + ROWS] for i in range(0, len(texts) - ROWS, ROWS)]
    read, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        model.predict_proba(batches[read % len(batches)])
        read += 1
    return read * ROWS / (time.perf_counter() - start)


def rates(options: argparse.Namespace, texts: list[str], folder: Path) -> None:
    """Prints requests a second, and texts a second in batches."""
    singles, batches = folder / "singles", folder / "batches"
    singles.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    parts = [texts[i : i + ROWS] for i in range(0, len(texts) - ROWS, ROWS)]
    batches.write_text("".join(json.dumps({"texts": part}) + "\n" for part in parts))
    model = tidegate.load(options.model, tidegate.TextModel)
    tidegate.set_num_threads(threads())
    found: dict[str, list[Load]] = {name: [] for name in [*PATHS, "batches"]}
    loops: list[float] = []
    for _ in range(options.rounds):
        for name, path in PATHS.items():
            found[name].append(load(path, singles, options.clients, options.seconds))
        loops.append(alone(model, texts, options.seconds))
        found["batches"].append(load("predict", batches, 8, options.seconds))
    medians = {name: Load(*map(statistics.median, zip(*loads, strict=True))) for name, loads in found.items()}
    nothing = medians["{} by FastAPI"].rate
    print(f"{'':26} {'requests/s':>10} {'p99, ms':>8} {'× {}':>6}")
    for name in PATHS:
        print(f"{name:26} {medians[name].rate:10,.0f} {medians[name].p99:8.1f} {medians[name].rate / nothing:6.2f}")
    best = max(medians[name].rate for name in PATHS if "def" in name)
    print(f"beside the better peer: {medians['tidegate /predict'].rate / best:.2f} ×")
    batched, loop = medians["batches"].rate * ROWS, statistics.median(loops)
    print(f"texts/s in batches of {ROWS}: {batched:,.0f}, {batched / loop:.2f} × the {loop:,.0f} of predict_proba")


def resident() -> float:
    """Returns the memory of the server in MB, as it says itself."""
    with urlopen(f"http://127.0.0.1:{PORT}/metrics") as found:
        [size] = re.findall(rb"^process_resident_memory_bytes (\S+)", found.read(), re.MULTILINE)
    return float(size) / 1e6


def answered() -> float:
    """Returns the requests to /predict that the server has answered."""
    with urlopen(f"http://127.0.0.1:{PORT}/metrics") as found:
        counts = re.findall(rb'^http_requests_total\{handler="/predict".*?\} (\S+)', found.read(), re.MULTILINE)
    return sum(map(float, counts))


def memory(options: argparse.Namespace, texts: list[str], folder: Path) -> None:
    """Prints the memory of the server while it answers requests."""
    singles = folder / "singles"
    singles.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    load("predict", singles, options.clients, 2)  # every buffer has its size then
    first, start, shown = resident(), answered(), 0
    while (made := answered() - start) < options.memory:
        if made >= shown * options.memory / 5:
            print(f"{made:9,.0f} requests: {resident():.1f} MB", flush=True)
            shown += 1
        load("predict", singles, options.clients, 1)
    print(f"{made:9,.0f} requests: {resident():.1f} MB, {resident() / first - 1:+.1%}")


def main() -> None:
    """Prints what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model of one GRU layer, without n-grams")
    parser.add_argument("file", help="a table of short texts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each endpoint and round")
    parser.add_argument("--clients", type=int, default=64, help="connections at a time")
    parser.add_argument("--rate", type=float, default=0, metavar="N", help="measure waits at N requests/s instead")
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="measure memory over N requests instead")
    options = parser.parse_args()
    print(f"{contest.machine()}; {threads()} thread(s) to compute with")
    texts = list(tables.read(options.file).texts)[:2048]
    with tempfile.TemporaryDirectory() as folder, served(options):
        (memory if options.memory else at_a_rate if options.rate else rates)(options, texts, Path(folder))


if __name__ == "__main__":
    main()
