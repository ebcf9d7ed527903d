#!/usr/bin/env bash
# Keras 3: a functional model that adds with `+`, and not with layers.Add, loses the mask, and its GRU reads the padding.
#
# Versions: keras 3.15.1, torch 2.13.0, numpy 2.4.6.
# Expected: padded steps are "skipped in all downstream layers (as long as they support masking)", and where a mask
#   cannot be handed on, "an exception will be raised" (keras.layers.Masking); a + b is layers.Add()([a, b]).
# Seen: operators and keras.ops hand on no mask and say nothing. Embedding(mask_zero=True), one of these, a GRU; a row
#   of two words, and the same row with three zeros behind; the largest difference from numpy over the two words:
#     layers.Add()([e, e])       alone 8.8e-08   padded 8.8e-08
#     e + e                      alone 8.8e-08   padded 1.8e+00
#     layers.Rescaling(2.0)(e)   alone 8.8e-08   padded 8.8e-08
#     2.0 * e                    alone 8.8e-08   padded 1.8e+00
#     ops.multiply(e, 2.0)       alone 8.8e-08   padded 1.8e+00
# Why it matters: residual connections and scaled embeddings are written this way. The model trains and its shapes are
#   right, but what it says of a text depends on the longest text of the batch.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q keras==3.15.1 torch==2.13.0 numpy==2.4.6
cd "$tmp"
KERAS_BACKEND=torch venv/bin/python - <<'PY'
import warnings

import keras
import numpy as np
import torch
from keras import layers, ops

print("keras", keras.__version__, "torch", torch.__version__, "numpy", np.__version__)
rng = np.random.default_rng(0)
table, weights, recurrent, bias = (rng.standard_normal(s).astype(np.float32) for s in ((9, 4), (4, 9), (3, 9), (2, 9)))


def by_hand(words):
    h = np.zeros(3)
    for x in 2 * table[words]:
        of_x, of_h = x @ weights + bias[0], h @ recurrent + bias[1]
        z, r = np.split(1 / (1 + np.exp(-(of_x + of_h)[:6])), 2)
        h = z * h + (1 - z) * np.tanh(of_x[6:] + r * of_h[6:])
    return h


words, seen = [3, 5], {}
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    for name, twice in (
        ("layers.Add()([e, e])", lambda e: layers.Add()([e, e])),
        ("e + e", lambda e: e + e),
        ("layers.Rescaling(2.0)(e)", layers.Rescaling(2.0)),
        ("2.0 * e", lambda e: 2.0 * e),
        ("ops.multiply(e, 2.0)", lambda e: ops.multiply(e, 2.0)),
    ):
        ids = layers.Input((None,), dtype="int32")
        gru = layers.GRU(3)
        model = keras.Model(ids, gru(twice(layers.Embedding(9, 4, mask_zero=True)(ids))))
        model.set_weights([table, weights, recurrent, bias])
        seen[name] = alone, padded = [
            np.abs(ops.convert_to_numpy(model(np.array([row]))) - by_hand(words)).max()
            for row in (words, [*words, 0, 0, 0])
        ]
        print(f"{name:25}  alone {alone:.1e}   padded {padded:.1e}")
assert not [w for w in warned if "mask" in str(w.message)]
assert all(alone < 1e-6 for alone, _ in seen.values())
for name, (_, padded) in seen.items():
    assert padded < 1e-6 if name.startswith("layers.") else padded > 1e-2, name
PY
