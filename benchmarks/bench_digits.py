"""How well and how fast are spoken digits learned? The Free Spoken Digit Dataset, official split, with `logmel`.

python benchmarks/bench_digits.py fsdd.parquet [--seeds 3] [--rounds 3] [--speakers]

A table of one row for each recording: `pcm` (list of 16-bit samples), `digit`, `speaker`, `split`. The front-end is the
standard one of `tidegate.LogMel`; the time that it takes for a second of sound is printed. Each seed trains on all
2,700 recordings and is tested on the 300 others, which choose no epoch. One epoch is also timed beside the same network
with torch.nn.GRU in the place of the recurrent layer, on the same batches, in turn. With --speakers, each of the six
speakers is also left out of training and tested on.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import tidegate
from contest import machine
from digits import FRONT_END, read
from tidegate.sequences.samples import as_sound
from tidegate.training import Settings, prepare_sequences
from tidegate.training.network import loop

SIZES: dict[str, Any] = {"hidden_size": 64, "bidirectional": True, "summary": "mean+max"}
HOW: dict[str, Any] = {"epochs": 20, "batch_size": 16, "dropout": 0.3}


class TorchGRU(torch.nn.GRU):
    """torch's own layer, called as the native one is."""

    def forward(self, x: Any, *, lengths: Any) -> Any:  # type: ignore[override]
        """Reads [T, B, I] of some lengths."""
        packed, h_n = super().forward(pack_padded_sequence(x, lengths, enforce_sorted=False))
        return pad_packed_sequence(packed, total_length=len(x))[0], h_n


@contextmanager
def on_torch() -> Iterator[None]:
    """Trains with torch.nn.GRU and as many threads as torch likes."""

    def layers(cell: Any, *sizes: int, **options: Any) -> TorchGRU:
        return TorchGRU(*sizes, **options)

    with (
        mock.patch("tidegate.training.network.modules.recurrent_layers", layers),
        mock.patch("tidegate.training.network.loop.one_torch_thread", nullcontext),
    ):
        yield


def front_end_time(sequences: Any) -> float:
    """Seconds that the front-end takes for a second of sound, by the median of five."""
    front_end, times = tidegate.LogMel.of(FRONT_END), []
    sound = [as_sound("clip", clip) for clip in sequences]
    for _ in range(5):
        began = time.perf_counter()
        for clip in sound:
            front_end.frames(clip)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * front_end.sample_rate / sum(map(len, sequences))


def epoch(sequences: Any, digits: Any) -> float:
    """Seconds of one epoch."""
    examples = prepare_sequences(sequences, digits, validation=(sequences[:10], digits[:10]), frontend=FRONT_END)
    config, settings = examples.config(**SIZES), Settings(**HOW | {"epochs": 1})
    began = time.perf_counter()
    for _ in loop.train(examples, config, settings):
        pass
    return time.perf_counter() - began


def compare(sequences: Any, digits: Any, rounds: int) -> tuple[float, float]:
    """Times epochs in turn: medians of ours and of torch's; the first round, which warms up, does not count."""
    times: list[tuple[float, float]] = []
    for _ in range(1 + rounds):
        ours = epoch(sequences, digits)
        with on_torch():
            times.append((ours, epoch(sequences, digits)))
    ours, theirs = (statistics.median(column) for column in zip(*times[1:], strict=True))
    return ours, theirs


def accuracy(train: tuple[Any, Any], test: tuple[Any, Any], seed: int) -> tuple[float, float]:
    """Trains on all of one part and tests on the other: accuracy, and seconds of training."""
    began = time.perf_counter()
    model = tidegate.fit(*train, validation=0, seed=seed, frontend=FRONT_END, **SIZES, **HOW)
    seconds = time.perf_counter() - began
    return float((model.predict(test[0]) == test[1]).mean()), seconds


def leave_out(parts: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yields the accuracy on each speaker by a model that has not heard them."""
    sequences = parts["train"][0] + parts["test"][0]
    digits, speakers = (np.concatenate([parts["train"][i], parts["test"][i]]) for i in (1, 2))
    for speaker in sorted(set(speakers)):
        train, test = (
            ([sequences[b] for b in rows], digits[rows])
            for rows in (np.flatnonzero(speakers != speaker), np.flatnonzero(speakers == speaker))
        )
        yield speaker, accuracy(train, test, 0)[0]


def main() -> None:
    """Prints a line for each seed, their mean, and the ratio of the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--speakers", action="store_true")
    arguments = parser.parse_args()
    print(f"{machine()}; {SIZES | HOW}")
    parts = read(arguments.file)
    train, test = ((sequences, digits) for sequences, digits, _ in (parts["train"], parts["test"]))
    found = []
    for seed in range(arguments.seeds):
        found.append(accuracy(train, test, seed))
        print(f"seed {seed}: test accuracy {found[-1][0]:.2%}, {found[-1][1]:.0f} s", flush=True)
    if found:
        print(f"mean  : test accuracy {statistics.mean(score for score, _ in found):.2%}")
    print(f"front-end: {front_end_time(train[0]):.5f} of the time of the sound", flush=True)
    if arguments.rounds:
        ours, theirs = compare(*train, arguments.rounds)
        print(f"one epoch: {ours:.2f} s, with torch.nn.GRU {theirs:.2f} s, ratio {ours / theirs:.3f}", flush=True)
    for speaker, score in leave_out(parts) if arguments.speakers else ():
        print(f"without {speaker}: accuracy on this speaker {score:.2%}", flush=True)


if __name__ == "__main__":
    main()
