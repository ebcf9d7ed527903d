"""How much memory does a training step take, beside torch's own layer? The growth of the process.

python benchmarks/bench_memory.py [--cells PATTERN] [--rounds 3]

Each layer trains in a process of its own, for a peak never comes down again. What counts is the growth of the peak from
right before the first step of that size, with module, input and gradients of the outputs there and a step of two rows
done, to the end of three steps: outputs, what the backward pass reads of each step, gradients, and whatever the library
keeps for itself. Figures are medians.
"""

import argparse
import json
import re
import subprocess
import sys
from statistics import median

import contest
from bench_recompute import peak_megabytes

SHAPES = {
    "reviews 100/128/400/64": (100, 128, 400, 64, False),
    "reviews 100/128/400/64 packed": (100, 128, 400, 64, True),
    "speech 256/512/200/32": (256, 512, 200, 32, False),
}
"""I, H, T, B, and whether the rows have lengths, which torch wants packed."""
LAYERS = ("tidegate", "torch")
STEPS = 3


def train(layer: str, shape: str) -> float:
    """Trains in this process; returns the megabytes by which the peak has grown."""
    import torch  # noqa: PLC0415 - the process that starts the others needs none
    from torch.nn.utils.rnn import pack_padded_sequence  # noqa: PLC0415 - likewise

    import tidegate.torch  # noqa: PLC0415 - likewise

    I, H, T, B, ragged = SHAPES[shape]
    module = (tidegate.torch if layer == "tidegate" else torch.nn).GRU(I, H)
    x, lengths = torch.randn(T, B, I), torch.linspace(T, T // 10, B).long()

    def step(rows: int) -> None:
        module.zero_grad()
        given = x[:, :rows].detach().requires_grad_()
        if not ragged:
            output = module(given)[0]
        elif layer == "tidegate":
            output = module(given, lengths=lengths[:rows])[0]
        else:
            output = module(pack_padded_sequence(given, lengths[:rows]))[0].data
        output.backward(dy.expand_as(output))

    dy = torch.ones(1, 1)
    step(2)
    before = peak_megabytes()
    for _ in range(STEPS):
        step(B)
    return peak_megabytes() - before


def apart(layer: str, shape: str) -> float:
    """Runs `train` in a process of its own."""
    command = [sys.executable, __file__, "--child", layer, shape]
    found: float = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def main() -> None:
    """Prints a line for each shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default="", help="a regular expression that finds a shape")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each layer and shape")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(train(*options.child)))
        return
    print(f"{contest.machine()}; growth of the process in {STEPS} training steps, MB")
    print(f"{'':32}" + "".join(f" {name:>9}" for name in LAYERS) + f" {'×':>6}")
    for shape in SHAPES:
        if not re.search(options.cells, shape):
            continue
        grown = {layer: median([apart(layer, shape) for _ in range(options.rounds)]) for layer in LAYERS}
        ratio = grown["tidegate"] / grown["torch"]
        print(f"{shape:32}" + "".join(f" {grown[name]:9.1f}" for name in LAYERS) + f" {ratio:6.2f}", flush=True)


if __name__ == "__main__":
    main()
