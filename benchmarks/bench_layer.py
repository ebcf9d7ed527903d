"""How fast is one GRU layer beside torch.nn.GRU? Forward without gradients, and a training step, in one run.

python benchmarks/bench_layer.py [--threads 2] [--seconds 2] [--json FILE]

A training step is forward and backward, with the gradients of input and parameters, as a training loop sees it through
autograd. The share of the peak counts the operations of the matrix products alone: 2·3·H·(I+H) a row and step forward,
three times that in a training step.
"""

import argparse
import json
from pathlib import Path

import torch

import tidegate
from contest import fma_peak, machine, medians
from tidegate.torch import GRU

# I, H, T, B
SHAPES = [
    (64, 64, 1, 1),
    (128, 128, 200, 1),
    (100, 128, 200, 32),
    (100, 64, 200, 64),
    (8, 32, 1000, 128),
    (512, 512, 64, 16),
    (256, 512, 200, 32),
]


def layers(input_size: int, hidden_size: int) -> dict[str, torch.nn.GRU]:
    """Returns torch's layer and ours with the same weights."""
    theirs = torch.nn.GRU(input_size, hidden_size)
    ours = GRU(input_size, hidden_size)
    ours.load_state_dict(theirs.state_dict())
    return {"torch": theirs, "tidegate": ours}


def inference(layer: torch.nn.GRU, x: torch.Tensor) -> None:
    """One forward pass without gradients."""
    with torch.inference_mode():
        layer(x)


def training_step(layer: torch.nn.GRU, x: torch.Tensor, dy: torch.Tensor) -> None:
    """Forward and backward."""
    layer.zero_grad()
    y, _ = layer(x.detach().requires_grad_())
    y.backward(dy)


def measure(shape: tuple[int, int, int, int], seconds: float, peak: float) -> dict[str, object]:
    """Times one shape; microseconds, the ratio torch / tidegate, and tidegate's share of the measured peak."""
    I, H, T, B = shape
    torch.manual_seed(0)
    x, dy = torch.randn(T, B, I), torch.randn(T, B, H)
    pair = layers(I, H)
    row: dict[str, object] = {"I": I, "H": H, "T": T, "B": B}
    calls = {
        "forward": {name: lambda layer=layer: inference(layer, x) for name, layer in pair.items()},
        "training": {name: lambda layer=layer: training_step(layer, x, dy) for name, layer in pair.items()},
    }
    for kind, contenders in calls.items():
        times = medians(contenders, seconds)
        operations = 2 * 3 * H * (I + H) * T * B * (3 if kind == "training" else 1)
        row[kind] = {
            "torch_us": times["torch"] * 1e6,
            "tidegate_us": times["tidegate"] * 1e6,
            "ratio": times["torch"] / times["tidegate"],
            "peak": operations / times["tidegate"] / peak,
        }
    return row


def main() -> None:
    """Prints the table, and writes it as JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=tidegate.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each cell of the table")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    tidegate.set_num_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    peak = fma_peak(arguments.threads)
    print(f"{machine()}; {arguments.threads} threads; peak {peak / 1e9:.0f} GFLOP/s of float32 multiply-adds")
    print(f"{'':18} | {'forward, µs':^31} | {'training step, µs':^31}")
    print(
        f"{'I/H/T/B':18} | {'torch':>9} {'tidegate':>9} {'ratio':>5} {'peak':>5} | " * 1
        + f"{'torch':>9} {'tidegate':>9} {'ratio':>5} {'peak':>5}"
    )
    rows = []
    for shape in SHAPES:
        row = measure(shape, arguments.seconds, peak)
        rows.append(row)
        cells = " | ".join(
            f"{cell['torch_us']:9.0f} {cell['tidegate_us']:9.0f} {cell['ratio']:5.1f} {cell['peak']:5.0%}"
            for cell in (row["forward"], row["training"])
        )
        print(f"{'/'.join(map(str, shape)):18} | {cells}", flush=True)
    if arguments.json:
        result = {"machine": machine(), "threads": arguments.threads, "peak_gflops": peak / 1e9, "rows": rows}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
