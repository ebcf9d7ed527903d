"""What does pretraining add to a network of texts, and what does it cost? Judged on held-out texts, a fifth of all.

python benchmarks/bench_pretraining.py reviews.parquet [--texts 4000] [--seeds 1]

A table of `text` and `label`; some of its texts are drawn, the same for all seeds. The network is trained without
n-grams, from its own start and after it has learned to foresee the words of the texts to train on.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import tidegate
from contest import machine
from tidegate.data import tables


def trained(texts: list[str], labels: list[str], seed: int, *, pretrain: bool) -> str:
    """Trains a network, and says how good it is."""
    began = time.perf_counter()
    model = tidegate.fit(texts, labels, validation=0.2, seed=seed, pretrain=pretrain)
    figures: Any = model.metrics
    accuracy, loss = figures["accuracy"], figures["log_loss"]
    return f"accuracy {100 * accuracy:.1f} %, log-loss {loss:.3f}, {time.perf_counter() - began:.0f} s"


def main() -> None:
    """Prints a line for each seed and each start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--texts", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    tidegate.set_num_threads(asked.threads)
    table = tables.read(asked.file, "text", "label")
    rows = np.random.default_rng(0).permutation(len(table))[: asked.texts]
    texts, labels = ([column[i] for i in rows] for column in (table.texts, table.labels or []))
    print(f"{machine()}; {len(texts)} texts of {asked.file.name}", flush=True)
    for seed in range(asked.seeds):
        for pretrain in (False, True):
            said = trained(texts, labels, seed, pretrain=pretrain)
            print(f"seed {seed}, {'after pretraining' if pretrain else 'from its own start'}: {said}", flush=True)


if __name__ == "__main__":
    main()
