#!/usr/bin/env bash
# PyPOTS' GRU-D fills gaps with the mean of the rows that it is asked about: what it says of one depends on the others.
#
# Versions: pypots 1.5, torch 2.13.0, numpy 2.4.6, h5py 3.16.0.
# Expected: a gap decays to the mean of the training data, as in the paper that it cites, so a fitted model gives a row
#   the same probabilities whichever rows come with it, and from an array and from a file.
# Seen: the mean is taken anew from whatever predict() is given, and of a file (h5) from each row alone:
#     class 1 of the first row, from an array of this row             0.0215
#     class 1 of the first row, from an array of all rows             0.0225
#     class 1 of the first row, from an array, the others of class 0  0.0215
#     class 1 of the first row, from an array, the others of class 1  0.0246
#     class 1 of the first row, from a file of all rows               0.0215
# Why it matters: results of a whole test set, which knows its own mean, are not those of a service that sees one case
#   at a time; and a model that was fitted on arrays is given other inputs when the same data come from a file.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q pypots==1.5 torch==2.13.0 numpy==2.4.6 h5py==3.16.0
cd "$tmp"
cat > seen.py <<'PY'
from importlib.metadata import version

import h5py
import numpy as np
import torch
from pypots.classification import GRUD

torch.manual_seed(0)
rng = np.random.default_rng(0)
labels = np.arange(200) % 2
rows = (rng.standard_normal((200, 6, 2)) + 2 * labels[:, None, None]).astype(np.float32)
rows[rng.random(rows.shape) < 0.6] = np.nan
rows[:, 0] = np.where(np.isnan(rows[:, 0]), 1.0, rows[:, 0])  # no row without values
sizes = {"n_steps": 6, "n_features": 2, "n_classes": 2, "rnn_hidden_size": 8}
model = GRUD(**sizes, epochs=30, batch_size=20, device="cpu", verbose=False)
model.fit({"X": rows, "y": labels})
one = rows[:1]
with h5py.File("rows.h5", "w") as file:
    file["X"] = rows
asked = {
    "an array of this row": {"X": one},
    "an array of all rows": {"X": rows},
    "an array, the others of class 0": {"X": rows[labels == 0]},
    "an array, the others of class 1": {"X": np.concatenate([one, rows[labels == 1]])},
    "a file of all rows": "rows.h5",
}
print("SEEN", *(f"{name} {version(name)}" for name in ("pypots", "torch", "numpy", "h5py")))
found = {}
for what, data in asked.items():
    found[what] = float(model.predict(data)["classification_proba"][0, 1])
    print(f"SEEN class 1 of the first row, from {what:32} {found[what]:.4f}")
arrays = [value for what, value in found.items() if "array" in what]
assert max(arrays) - min(arrays) > 1e-3, "a row no longer depends on those that come with it"
assert abs(found["a file of all rows"] - found["an array of this row"]) < 1e-6, "the mean of a file is another one now"
assert abs(found["a file of all rows"] - found["an array of all rows"]) > 1e-4, "arrays and files agree now"
PY
venv/bin/python -W ignore seen.py > log.txt 2>&1 || { cat log.txt; exit 1; }
sed -n 's/^SEEN //p' log.txt
