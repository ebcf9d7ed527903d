#!/usr/bin/env bash
# numpy adds up a column over the rows in another order where the column is the only one.
#
# Versions: numpy 2.4.6.
# Expected: `x.sum(0)[0]` depends on column 0 alone: a summary over time has the same bits whatever other features there are.
# Seen: of float32 [1000, 2] each column is added row after row; of its first column [1000, 1], pairwise. So is `mean`:
#     [1000, 2] -29.940407   [1000, 1] -29.940414   row after row -29.940407
# Why it matters: a mean that is carried along a stream adds row after row. It has the bits of the whole sequence for two
#   features and more, and not for one, unless that one is added up in order too (`np.cumsum`).
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import numpy as np

print("numpy", np.__version__)
x = np.random.default_rng(0).standard_normal((1000, 2)).astype(np.float32)
of_two, alone = x.sum(0)[0], x[:, :1].copy().sum(0)[0]
in_order = np.float32(0)
for row in x[:, 0]:
    in_order += row
print("[1000, 2]", of_two, "  [1000, 1]", alone, "  row after row", in_order)
assert of_two == in_order
assert alone != in_order
assert x.mean(0)[0] != x[:, :1].mean(0)[0]
PY
