"""MiniRocket and the nearest neighbour by dynamic time warping, of aeon: `bench_series.py` runs this.

python benchmarks/series_peers.py PACKED SEEDS THREADS
"""

import json
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from aeon.classification.convolution_based import MiniRocketClassifier
from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier

Part = tuple[list[npt.NDArray[Any]], npt.NDArray[Any]]
ROCKET, NEIGHBOUR = "MiniRocket, padded", "1-NN DTW"


def unpack(path: str) -> list[Part]:
    """Reads the sequences [T, K] and labels of the training and of the test part."""
    with np.load(path) as file:
        ends = {name: np.cumsum(file[f"{name}_lengths"])[:-1] for name in ("train", "test")}
        return [(np.split(file[name], ends[name]), file[f"{name}_labels"]) for name in ends]


def padded(part: Part, longest: int) -> npt.NDArray[Any]:
    """Fills sequences up with zeros, [B, K, T]."""
    return np.stack([np.pad(x.T, ((0, 0), (0, longest - len(x)))) for x in part[0]])


def run(name: str, train: Part, test: Part, seed: int, threads: int) -> tuple[float, float]:
    """Accuracy, and seconds of training and prediction."""
    if name == ROCKET:
        model: Any = MiniRocketClassifier(random_state=seed, n_jobs=threads)
        longest = max(len(x) for x in [*train[0], *test[0]])
        inputs: list[Any] = [padded(part, longest) for part in (train, test)]
    else:
        model = KNeighborsTimeSeriesClassifier(n_neighbors=1, distance="dtw", n_jobs=threads)
        inputs = [[x.T for x in part[0]] for part in (train, test)]
    began = time.perf_counter()
    right = model.fit(inputs[0], train[1]).predict(inputs[1]) == test[1]
    return float(right.mean()), time.perf_counter() - began


def main(path: str, seeds: str, threads: str) -> None:
    """Prints a line of JSON for each peer; the first run compiles, and does not count."""
    train, test = unpack(path)
    few = [int(row) for label in np.unique(train[1]) for row in np.flatnonzero(train[1] == label)[:2]]
    tiny = [train[0][row] for row in few], train[1][few]
    for name, count in ((ROCKET, int(seeds)), (NEIGHBOUR, 1)):
        run(name, tiny, tiny, 0, int(threads))
        print(json.dumps([name, [run(name, train, test, seed, int(threads)) for seed in range(count)]]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
