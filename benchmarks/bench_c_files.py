"""How large is a network as a file of C, and how fast is a step? Beside it, its file of ONNX, called from Python.

python benchmarks/bench_c_files.py

The files are those of `tidegate export --c`, compiled by $CC or cc with -O3; all run on one thread.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime

from tidegate import Network, NetworkConfig
from tidegate.convert.to_c import to_c
from tidegate.convert.to_onnx import to_onnx
from tidegate.ops.processor import processor

SHAPES = [("gru", 3, 16, 1), ("gru", 24, 48, 1), ("gru", 40, 96, 2), ("lstm", 40, 96, 2), ("gru", 128, 256, 1)]
ROUNDS, CALLS = 9, 100


def network(cell: str, I: int, H: int, L: int) -> Network:
    """A classifier of two classes with random weights."""
    config = NetworkConfig(cell=cell, labels=("no", "yes"), input_size=I, hidden_size=H, num_layers=L)
    rng = np.random.default_rng(0)
    arrays = {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in config.shapes().items()}
    return Network(config, {name: array / np.float32(H**0.5) for name, array in arrays.items()})


def onnx_step(model: Network, path: Path) -> float:
    """The median time of a step of the streaming form, in µs."""
    to_onnx(model, path, streaming=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds: dict[str, Any] = {
        given.name: np.zeros([size if isinstance(size, int) else 1 for size in given.shape], np.float32)
        for given in session.get_inputs()
    }
    feeds["lengths"] = np.ones(1, np.int64)
    names = ["probabilities", *(f"next_{name}" for name in feeds.keys() - {"x", "lengths"})]
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            session.run(names, feeds)
        times.append((time.perf_counter() - start) / CALLS * 1e6)
    return median(times)


def main() -> None:
    """Prints a line for each network and kind of weights."""
    print(f"{processor()}\n")
    print("| network | weights | constants | code | state | step in C, µs | step in ONNX Runtime, µs |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for cell, I, H, L in SHAPES:
            model = network(cell, I, H, L)
            beside = f"{onnx_step(model, Path(folder) / 'm.onnx'):.1f}"
            for weights in ("float32", "int8"):
                file = to_c(model, Path(folder) / "m.c", weights=weights)
                if file.compiled is None:
                    raise SystemExit("there is no C compiler: set CC")
                sizes = f"{file.weight_bytes:,} | {file.compiled.code_bytes or 0:,} | {file.compiled.state_bytes:,}"
                step = f"{file.compiled.step_microseconds:.2f}"
                print(f"| {cell} {I}/{H} × {L} | {weights} | {sizes} | {step} | {beside} |", flush=True)
                beside = ""


if __name__ == "__main__":
    main()
