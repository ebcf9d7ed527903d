#!/usr/bin/env bash
# deep-river: a class that is new takes over the output of one that was learnt, and accuracy falls from 100 to 0 %.
#
# Versions: deep-river 0.3.4, river 0.25.0, torch 2.13.0, numpy 2.4.6, pandas 2.3.3.
# Expected: a classifier that learns from a stream and meets a third class gets a third output; the other two keep
#   theirs ("dynamic class expansion", is_class_incremental, on by default).
# Seen: an output belongs to a class by its place among the sorted labels, and the new output is the last. A new label
#   that sorts before the others moves them by one:
#     LSTMClassifier     sit and walk: 1.00   after one step of fall: 0.00
#     LogisticRegression sit and walk: 1.00   after one step of fall: 0.00
#     LSTMClassifier     sit and walk: 1.00   after one step of zumba: 1.00
#   After "fall", "sit" is answered where "walk" was, and "fall" where "sit" was. No warning.
# Why it matters: the alphabet decides what a running model forgets. A stream of labels that come in alphabetical order
#   shows nothing. All labels given to one `learn_one` each before training, or names such as c0, c1, c2 in the order
#   of their coming, help.
#
# deep-river asks for torch < 2.6, of which PyPI has no build for the CPU alone; torch is used here as it is since.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 pandas==2.3.3 river==0.25.0 scikit-learn sortedcontainers torchviz tqdm \
  pytest
"$tmp/venv/bin/pip" install -q --no-deps deep-river==0.3.4
cd "$tmp"
venv/bin/python -W ignore - <<'PY'
import random
import re
import warnings
from importlib.metadata import version

from deep_river.classification.zoo import LogisticRegression, LSTMClassifier

print("deep-river", version("deep-river"), "river", version("river"), "torch", version("torch"))
PLACES = {"walk": (1, 0), "sit": (-1, 0), "fall": (0, 3), "zumba": (0, 3)}
HOW = {"n_features": 2, "n_init_classes": 2, "optimizer_fn": "adam", "lr": 0.03, "seed": 0}
chance = random.Random(0)


def step(label):
    return {axis: place + chance.gauss(0, 0.1) for axis, place in zip("xy", PLACES[label], strict=True)}


def accuracy(model):
    found = [model.predict_one(step(label)) == label for label in ("walk", "sit") * 50]
    return sum(found) / len(found)


for kind, new, expected in (
    (lambda: LSTMClassifier(hidden_size=16, window_size=1, **HOW), "fall", 0.0),
    (lambda: LogisticRegression(**HOW), "fall", 0.0),
    (lambda: LSTMClassifier(hidden_size=16, window_size=1, **HOW), "zumba", 1.0),
):
    model = kind()
    for label in ("walk", "sit") * 300:
        model.learn_one(step(label), label)
    before = accuracy(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.learn_one(step(new), new)
        after = accuracy(model)
    name = type(model).__name__
    print(f"{name:18} sit and walk: {before:.2f}   after one step of {new}: {after:.2f}")
    assert (before, after) == (1.0, expected), (before, after)
    assert not [warning for warning in caught if re.search("class|label|output", str(warning.message))]
PY
