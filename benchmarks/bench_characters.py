"""How well are the characters of a text foreseen after minutes of training, beside the same network on torch.nn.LSTM?

python benchmarks/bench_characters.py input.txt.gz [--minutes 5] [--cell gru] [--hidden-size 512] [--rounds 3]
    [--epochs OURS THEIRS]

The text is char-rnn's tinyshakespeare, or any other plain text: the first nine tenths are trained on, half of the rest
chooses the epoch, the other half is tested. Some steps of an epoch are timed in turn, ours and with torch.nn.LSTM in
the place of the recurrent layer, on the same batches and by the same loop; each is then trained for as many epochs as
the minutes hold at its speed, or for those that are given. Runs of 6 characters are counted beside them.
"""

import argparse
import gzip
import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from contest import machine
from tidegate.training import Settings
from tidegate.training.baselines.forecasts import forecasts
from tidegate.training.data.next_tokens import prepare_tokens
from tidegate.training.network import loop

SIZES: dict[str, Any] = {"embedding_size": 64, "hidden_size": 512}
HOW: dict[str, Any] = {"batch_size": 32, "dropout": 0.1, "learning_rate": 0.01}
BPTT = 128
TIMED = 12  # steps


class TorchLSTM(torch.nn.LSTM):
    """torch's own layer, called as the native one is; of a single text, no other begins within a part."""

    def forward(self, table: Any, hx: Any = None, *, ids: Any, **rows: Any) -> Any:  # type: ignore[override]
        """Reads rows of a table, ids [T, B]; what stands beyond a row's end is computed, and used by nobody."""
        return super().forward(table[ids.long()], hx)


@contextmanager
def on_torch() -> Iterator[None]:
    """Trains with torch.nn.LSTM and as many threads as torch likes."""

    def layers(cell: Any, *sizes: int, **options: Any) -> TorchLSTM:
        return TorchLSTM(*sizes, **options)

    with (
        mock.patch("tidegate.training.network.modules.recurrent_layers", layers),
        mock.patch("tidegate.training.network.loop.one_torch_thread", nullcontext),
        mock.patch("tidegate.training.network.likelihoods.one_torch_thread", nullcontext),
    ):
        yield


def read(path: Path) -> tuple[str, str, str]:
    """Reads a text: what to train on, to judge by, and to test on."""
    text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
    first, second = len(text) * 90 // 100, len(text) * 95 // 100
    return text[:first], text[first:second], text[second:]


def seconds_of_an_epoch(examples: Any, cell: str) -> float:
    """Times some steps; the first ones, which warm up, do not count."""
    events = loop.train(examples, examples.config(cell, **SIZES), Settings(**HOW | {"epochs": 1}))
    for _ in islice(events, 2):
        pass
    began = time.perf_counter()
    count = sum(1 for _ in islice(events, TIMED))
    steps = Settings(**HOW).schedule(len(examples.train)).steps
    return (time.perf_counter() - began) / count * steps


def trained(examples: Any, cell: str, epochs: int) -> Any:
    """Trains a network, and returns the best epoch."""
    best = None
    for event in loop.train(examples, examples.config(cell, **SIZES), Settings(**HOW | {"epochs": epochs})):
        if isinstance(event, loop.Epoch):
            best = event if event.weights is not None else best
            print(f"  epoch {event.epoch}: {event.report.bits_per_character:.3f}, {event.seconds:.0f} s", flush=True)
    return best


def main() -> None:
    """Prints the times of an epoch, and what each network comes to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--cell", default="gru")
    parser.add_argument("--hidden-size", type=int, default=SIZES["hidden_size"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, nargs=2, metavar=("OURS", "THEIRS"))
    asked = parser.parse_args()
    SIZES["hidden_size"] = asked.hidden_size
    train, held, test = read(asked.file)
    examples = prepare_tokens([train], tokens="characters", validation=[held], bptt=BPTT)
    tested = prepare_tokens([train], tokens="characters", validation=[test], bptt=BPTT)
    print(f"{machine()}; {SIZES | HOW}, parts of {BPTT}", flush=True)
    contenders = {f"tidegate {asked.cell}": (asked.cell, nullcontext), "torch.nn.LSTM": ("lstm", on_torch)}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(asked.rounds):
        for name, (cell, how) in contenders.items():
            with how():
                times[name].append(seconds_of_an_epoch(examples, cell))
    for place, (name, (cell, how)) in enumerate(contenders.items()):
        seconds = statistics.median(times[name]) if times[name] else math.inf
        epochs = asked.epochs[place] if asked.epochs else max(1, math.floor(60 * asked.minutes / seconds))
        print(f"{name}: {seconds:.1f} s an epoch, {epochs} epochs", flush=True)
        if not epochs:
            continue
        with how():
            best = trained(examples, cell, epochs)
        model: Any = loop.to_model(examples, examples.config(cell, **SIZES), best)
        [found] = model.log_likelihoods([test])
        print(f"{name}: {-found.mean(dtype=np.float64) / math.log(2):.3f} bits a character of the test", flush=True)
    print(", ".join(f"{name} {report.bits_per_character:.3f}" for name, report in forecasts(tested).items()))


if __name__ == "__main__":
    main()
