#!/usr/bin/env bash
# fasttext-wheel gives every class the probability of the best one, under numpy 2, without a word.
#
# Versions: fasttext-wheel 0.9.2 (CPython 3.11, Linux x86-64), numpy 1.26.4 and 2.4.6; fasttext-numpy2 0.10.4 is right.
# Expected: `predict` of a list of texts with k=2 gives for each text two probabilities whose sum is 1; or an error, if
#   the package does not work with the numpy that is installed.
# Seen: with numpy 1.26.4 it does; with numpy 2.4.6 both are that of the better class, and their sum is up to 2:
#     numpy 2.4.6 [0.5020914 0.5020914] [0.8085686 0.8085686] sums [1.0041828155517578, 1.6171371936798096]
#   Labels are right, and so is k=1. The cause is likely the pybind11 that the package was built with: before 2.12 it
#   looks for the size of an item where numpy 1 had it, so that each item that it copies is the first.
# Why it matters: nothing fails, and accuracy is as it was; log-loss, calibration and any threshold are wrong. Every
#   extension built with such a pybind11 that makes arrays of its own may do the same.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat > "$tmp/sums.py" <<'PY'
import sys

import fasttext
import numpy as np

with open("train.txt", "w") as file:
    file.writelines(f"__label__{'ab'[i % 2]} w{i % 2} w{i % 7} w{i % 5}\n" for i in range(400))
model = fasttext.train_supervised("train.txt", epoch=2, bucket=0, thread=12, verbose=0)
labels, probabilities = model.predict(["w0 w1", "w1 w3"], k=2)
sums = [float(row.sum()) for row in probabilities]
print("numpy", np.__version__, *probabilities, "sums", sums)
right = all(abs(total - 1) < 1e-3 for total in sums)
assert right == (sys.argv[1] == "right")
PY
cd "$tmp"
while read -r package numpy expected; do
  python3 -m venv --clear venv
  venv/bin/pip install -q "$package" "numpy==$numpy" < /dev/null
  echo "$package"
  venv/bin/python sums.py "$expected" < /dev/null
done << 'CASES'
fasttext-wheel==0.9.2 1.26.4 right
fasttext-wheel==0.9.2 2.4.6 wrong
fasttext-numpy2==0.10.4 2.4.6 right
CASES
