#!/usr/bin/env bash
# sktime's GRUClassifier runs its GRU over the cases of a batch, and reads of each series nothing but the last value.
#
# Versions: sktime 1.2.0, torch 2.13.0, scikit-learn 1.9.1, numpy 2.4.6.
# Expected: a classifier of series reads a series from its first step to its last, and what it says of one does not
#   depend on which others are asked about. The estimator gets [cases, features, steps] and lays it out for its network
#   itself, so `batch_first`, False unless given, is its own affair.
# Seen: the network gets [cases, steps, features], and an nn.GRU with batch_first=False takes the cases for steps. The
#   largest changes of predict_proba, of two classes, after two epochs:
#     GRUClassifier()                       cases in reverse order 1.0e-01, all steps but the last replaced 0.0e+00
#     GRUClassifier(batch_first=True)       cases in reverse order 0.0e+00, all steps but the last replaced 1.1e-01
#     GRUFCNNClassifier()                   cases in reverse order 3.3e-02
#     GRUFCNNClassifier(batch_first=True)   cases in reverse order 0.0e+00
#   There is no warning. GRUFCNNClassifier has the same standard value, but reads all steps in its convolutions.
# Why it matters: the accuracy of "a GRU" in a comparison made with sktime is that of a network which has seen one value
#   of each series; and what it says of a case depends on others in the batch, so a case alone gets another answer.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q sktime==1.2.0 torch==2.13.0 scikit-learn==1.9.1 numpy==2.4.6
cd "$tmp"
venv/bin/python -W ignore - <<'PY'
import numpy as np
import sklearn
import sktime
import torch
from sktime.classification.deep_learning.gru import GRUClassifier, GRUFCNNClassifier

print("sktime", sktime.__version__, "torch", torch.__version__, "scikit-learn", sklearn.__version__, "numpy", np.__version__)
rng = np.random.default_rng(0)
x, y = rng.standard_normal((16, 2, 10)), np.arange(16) % 2
other = x.copy()
other[:, :, :-1] = rng.standard_normal((16, 2, 9))
settings = {"hidden_dim": 8, "num_epochs": 2, "batch_size": 16, "random_state": 0}


def changes(classifier):
    classifier.fit(x, y)
    before = classifier.predict_proba(x)
    reverse = np.abs(classifier.predict_proba(x[::-1])[::-1] - before).max()
    replaced = np.abs(classifier.predict_proba(other) - before).max()
    return reverse, replaced


seen = {}
for name, of in (
    ("GRUClassifier", lambda **more: GRUClassifier(n_layers=1, **settings, **more)),
    ("GRUFCNNClassifier", lambda **more: GRUFCNNClassifier(gru_layers=1, **settings, **more)),
):
    for more in ({}, {"batch_first": True}):
        reverse, replaced = seen[name, bool(more)] = changes(of(**more))
        shown = f"{name}({'batch_first=True' if more else ''})"
        tail = f", all steps but the last replaced {replaced:.1e}" if name == "GRUClassifier" else ""
        print(f"{shown:36}  cases in reverse order {reverse:.1e}{tail}")
assert seen["GRUClassifier", False][0] > 1e-3 and seen["GRUClassifier", False][1] == 0
assert seen["GRUClassifier", True][0] < 1e-6 and seen["GRUClassifier", True][1] > 1e-3
assert seen["GRUFCNNClassifier", False][0] > 1e-4
assert seen["GRUFCNNClassifier", True][0] < 1e-6
PY
