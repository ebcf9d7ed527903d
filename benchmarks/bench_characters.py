"""How well are the characters of a text foreseen after minutes of training, beside the same network on torch.nn.LSTM?

python benchmarks/bench_characters.py input.txt.gz [--minutes 5] [--cell lstm] [--hidden-size 256]
    [--batch-size 32] [--dropout 0.2] [--learning-rate 0.005] [--bptt 64] [--rounds 3] [--epochs OURS THEIRS]
    [--only tidegate] [--seeds 0 1 2]

The text is char-rnn's tinyshakespeare, or any other plain text: the first nine tenths are trained on, half of the rest
chooses the epoch, the other half is tested. Some steps of an epoch are timed in turn, ours and with torch.nn.LSTM in
the place of the recurrent layer, on the same batches and by the same loop; each is then trained for as many epochs as
the minutes hold at its speed, or for those that are given, once with each seed. Runs of 6 characters are counted beside
them.
"""

import argparse
import gzip
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from contest import machine
from tidegate.training import Settings
from tidegate.training.baselines.forecasts import forecasts
from tidegate.training.data.next_tokens import prepare_tokens, running
from tidegate.training.network import loop
from tidegate.training.network.modules import NetworkModule, TextModule
from turns import rest

SIZES: dict[str, Any] = {"embedding_size": 64, "hidden_size": 256}
HOW: dict[str, Any] = {"batch_size": 32, "dropout": 0.2, "learning_rate": 0.005}
WARM, TIMED = 2, 40  # steps


class TorchLSTM(torch.nn.LSTM):
    """torch's own layer, called as the native one is; of a single text, no other begins within a part."""

    def forward(self, table: Any, hx: Any = None, *, ids: Any, **rows: Any) -> Any:  # type: ignore[override]
        """Reads rows of a table, ids [T, B]; what stands beyond a row's end is computed, and used by nobody."""
        return super().forward(table[ids.long()], hx)


@contextmanager
def on_torch() -> Iterator[None]:
    """Trains with torch.nn.LSTM, torch's own cross-entropy, and as many threads as torch likes."""

    def layers(cell: Any, *sizes: int, **options: Any) -> TorchLSTM:
        return TorchLSTM(*sizes, **options)

    with (
        mock.patch("tidegate.training.network.modules.recurrent_layers", layers),
        mock.patch("tidegate.training.network.loop.one_torch_thread", nullcontext),
        mock.patch("tidegate.training.network.likelihoods.one_torch_thread", nullcontext),
        mock.patch("tidegate.training.network.threads.get_num_threads", return_value=1),
        mock.patch.object(TextModule, "loss_of", NetworkModule.loss_of),
    ):
        yield


def read(path: Path) -> tuple[str, str, str]:
    """Reads a text: what to train on, to judge by, and to test on."""
    text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
    first, second = len(text) * 90 // 100, len(text) * 95 // 100
    return text[:first], text[first:second], text[second:]


def seconds_of_an_epoch(examples: Any, cell: str) -> float:
    """Times some steps and the judging behind them; the first steps, which warm up, do not count."""
    bptt, [text] = examples.train.bptt, examples.texts[0]
    few = running([text[: (WARM + TIMED) * HOW["batch_size"] * bptt]], examples.tokenizer, bptt)
    short = replace(examples, train=few)
    events = loop.train(short, examples.config(cell, **SIZES), Settings(**HOW | {"epochs": 1}))
    for _ in islice(events, WARM):
        pass
    began = time.perf_counter()
    times = [time.perf_counter() - began for _ in events]  # the last one when the text held out is judged
    steps = examples.schedule(Settings(**HOW), examples.config(cell, **SIZES)).steps
    return times[-2] / (len(times) - 1) * steps + times[-1] - times[-2]


def trained(examples: Any, cell: str, epochs: int, seed: int) -> Any:
    """Trains a network, and returns the best epoch."""
    best, how = None, HOW | {"epochs": epochs, "seed": seed}
    for event in loop.train(examples, examples.config(cell, **SIZES), Settings(**how)):
        if isinstance(event, loop.Epoch):
            best = event if event.weights is not None else best
            bits = f"trained {event.loss / math.log(2):.3f}, held out {event.report.bits_per_character:.3f}"
            print(f"  epoch {event.epoch}: {bits}, {event.seconds:.0f} s", flush=True)
    return best


def main() -> None:
    """Prints the times of an epoch, and what each network comes to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--hidden-size", type=int, default=SIZES["hidden_size"])
    parser.add_argument("--batch-size", type=int, default=HOW["batch_size"])
    parser.add_argument("--dropout", type=float, default=HOW["dropout"])
    parser.add_argument("--learning-rate", type=float, default=HOW["learning_rate"])
    parser.add_argument("--bptt", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, nargs=2, metavar=("OURS", "THEIRS"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", choices=["tidegate", "torch"], help="train this one, and only time the other")
    asked = parser.parse_args()
    if not asked.rounds and not asked.epochs:
        parser.error("--rounds 0 times nothing: say --epochs")
    SIZES["hidden_size"] = asked.hidden_size
    HOW.update(batch_size=asked.batch_size, dropout=asked.dropout, learning_rate=asked.learning_rate)
    train, held, test = read(asked.file)
    examples = prepare_tokens([train], tokens="characters", validation=[held], bptt=asked.bptt)
    tested = prepare_tokens([train], tokens="characters", validation=[test], bptt=asked.bptt)
    print(f"{machine()}; {SIZES | HOW}, parts of {asked.bptt}", flush=True)
    contenders: dict[str, tuple[str, Callable[[], AbstractContextManager[None]]]]
    contenders = {f"tidegate {asked.cell}": (asked.cell, nullcontext), "torch.nn.LSTM": ("lstm", on_torch)}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(asked.rounds):
        for name, (cell, how) in contenders.items():
            rest()
            with how():
                times[name].append(seconds_of_an_epoch(examples, cell))
    for place, (name, (cell, how)) in enumerate(contenders.items()):
        if times[name]:
            seconds = statistics.median(times[name])
            each = ", ".join(f"{took:.1f}" for took in times[name])
            print(f"{name}: {seconds:.1f} s an epoch ({each})", flush=True)
        epochs = asked.epochs[place] if asked.epochs else max(1, math.floor(60 * asked.minutes / seconds))
        print(f"{name}: {epochs} epochs", flush=True)
        if not epochs or (asked.only and not name.startswith(asked.only)):
            continue
        bits = []
        for seed in asked.seeds:
            with how():
                best = trained(examples, cell, epochs, seed)
            model: Any = loop.to_model(examples, examples.config(cell, **SIZES), best)
            [found] = model.log_likelihoods([test])
            bits.append((best.report.bits_per_character, -found.mean(dtype=np.float64) / math.log(2)))
            said = f"{bits[-1][0]:.3f} bits a character held out, {bits[-1][1]:.3f} of the test"
            print(f"{name}, seed {seed}: {said}", flush=True)
        held_out, tested_on = map(statistics.mean, zip(*bits, strict=True))
        print(f"{name}: {held_out:.3f} and {tested_on:.3f} in the mean of {len(bits)}", flush=True)
    print(", ".join(f"{name} {report.bits_per_character:.3f}" for name, report in forecasts(tested).items()))


if __name__ == "__main__":
    main()
