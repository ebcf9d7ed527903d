"""How probable is the next step of polyphonic music? JSB chorales and Nottingham, official splits, 88 keys.

python benchmarks/bench_next_step.py JSB_Chorales.npz Nottingham.npz [--seeds 3]

Each file has, for each split s of train, valid and test, `s_lengths` [pieces] and `s_roll_packed`, the bits of the keys
at every step, eight to a byte (Boulanger-Lewandowski et al. 2012). The epoch is chosen by the validation split, and so
are the settings, among twelve for JSB chorales and ten for Nottingham, whose test split has been looked at with two of
them. What is printed is the negative log-likelihood of a step of the test split and of the validation split, nats: the
sum over the keys, the mean over the steps from the second on, beside the frequencies of the keys.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import tidegate
from contest import machine
from tidegate.models.metrics.steps import score_binary_steps
from tidegate.training.baselines.forecasts import forecasts
from tidegate.training.data.next_steps import prepare_steps

KEYS = 88
HOW: dict[str, dict[str, Any]] = {
    "JSB_Chorales": {
        "hidden_size": 400,
        "dropout": 0.5,
        "batch_size": 8,
        "learning_rate": 0.01,
        "weight_decay": 0.3,
        "epochs": 40,
    },
    "Nottingham": {
        "hidden_size": 400,
        "dropout": 0.4,
        "batch_size": 8,
        "learning_rate": 0.005,
        "weight_decay": 0.1,
        "epochs": 20,
    },
}


def read(path: Path) -> dict[str, list[np.ndarray[Any, Any]]]:
    """Reads the pieces of each split, float32 [T, 88]."""
    with np.load(path, allow_pickle=False) as arrays:
        found = {}
        for split in ("train", "valid", "test"):
            steps = np.unpackbits(arrays[f"{split}_roll_packed"], axis=1)[:, :KEYS].astype(np.float32)
            found[split] = np.split(steps, np.cumsum(arrays[f"{split}_lengths"])[:-1])
    return found


def trained(
    pieces: dict[str, list[np.ndarray[Any, Any]]], settings: dict[str, Any], seed: int
) -> tuple[float, float, float]:
    """Trains a network; returns the negative log-likelihoods of the test and validation splits, and seconds."""
    began = time.perf_counter()
    model: Any = tidegate.fit(pieces["train"], task="next", validation=pieces["valid"], seed=seed, **settings)
    predicted = np.concatenate([steps[:-1] for steps in model.predict_steps(pieces["test"])])
    truth = np.concatenate([piece[1:] for piece in pieces["test"]])
    test = score_binary_steps(truth, predicted, model.labels).nll
    return test, model.metrics["nll"], time.perf_counter() - began


def main() -> None:
    """Prints a line for each file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    print(machine())
    for file in asked.files:
        pieces = read(file)
        simple = forecasts(prepare_steps(pieces["train"], validation=pieces["test"]))
        found = [trained(pieces, HOW[file.stem], seed) for seed in range(asked.seeds)]
        losses, judged, seconds = zip(*found, strict=True)
        beside = ", ".join(f"{name} {report.nll:.2f}" for name, report in simple.items())
        spread = f" (from {min(losses):.2f} to {max(losses):.2f})" if len(losses) > 1 else ""
        mean, of_validation, took = map(statistics.mean, (losses, judged, seconds))
        print(f"{file.stem}: {mean:.2f}{spread}, validation {of_validation:.2f}, in {took:.0f} s; {beside}", flush=True)


if __name__ == "__main__":
    main()
