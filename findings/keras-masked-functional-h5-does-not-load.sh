#!/usr/bin/env bash
# Keras 3: a functional model with a mask is saved as .h5 without a word, and cannot be loaded again.
#
# Versions: keras 3.15.1, torch 2.13.0, numpy 2.4.6.
# Expected: what model.save("m.h5") writes, load_model("m.h5") reads, as with .keras; the warning at saving
#   says that the format is legacy, not that the file is lost.
# Seen: the mask's own operations become layers of the saved configuration, which the .h5 reader does not
#   know, so the file fails. A Sequential of the same layers, or the same model as .keras, loads:
#     functional  mask_zero=True   .h5     ValueError: Unknown layer: 'NotEqual'
#     functional  mask_zero=True   .keras  loads
#     functional  mask_zero=False  .h5     loads
#     sequential  mask_zero=True   .h5     loads
# Why it matters: text classifiers with padding are saved this way, and the failure comes when the training
#   is over. The weights are in the file, in order; only Keras' own reader does not get to them.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q keras==3.15.1 torch==2.13.0 numpy==2.4.6
cd "$tmp"
cat > seen.py <<'PY'
import logging

import keras
from keras import layers

logging.disable(logging.WARNING)


def model(kind, masked):
    parts = [layers.Embedding(5, 2, mask_zero=masked), layers.GRU(3), layers.Dense(2)]
    x = keras.Input((None,))
    if kind == "sequential":
        return keras.Sequential([x, *parts])
    y = x
    for part in parts:
        y = part(y)
    return keras.Model(x, y)


for kind, masked, ending in (
    ("functional", True, ".h5"),
    ("functional", True, ".keras"),
    ("functional", False, ".h5"),
    ("sequential", True, ".h5"),
):
    model(kind, masked).save("m" + ending)
    try:
        keras.saving.load_model("m" + ending, compile=False)
        outcome = "loads"
    except ValueError as error:
        outcome = f"ValueError: {str(error).partition('.')[0]}"
    print(f"{kind}  mask_zero={masked!s:5}  {ending:6}  {outcome}")
PY
KERAS_BACKEND=torch venv/bin/python seen.py | tee seen.txt
cat > want.txt <<'TXT'
functional  mask_zero=True   .h5     ValueError: Unknown layer: 'NotEqual'
functional  mask_zero=True   .keras  loads
functional  mask_zero=False  .h5     loads
sequential  mask_zero=True   .h5     loads
TXT
diff seen.txt want.txt
