#!/usr/bin/env bash
# torchmetrics' R2Score depends on the unit of the data: where numbers are small, predictions worse than the mean get 1.0.
#
# Versions: torchmetrics 1.9.0, torch 2.13.0, numpy 2.4.6.
# Expected: R² = 1 − Σ(y − p)² / Σ(y − ȳ)² has no unit: volts or millivolts give one number.
# Seen: if Σ(y − p)² is within 1e-4 of 0, the score is 1.0; if only Σ(y − ȳ)² is, it is 0.0. A sine of 50 values,
#   predicted by another phase of it that is twice as large:
#     of 1 V, in volts         R2Score -3.5165   by hand -3.5165
#     of 1 mV, in volts        R2Score  0.0000   by hand -3.5165
#     of 0.5 mV, in volts      R2Score  1.0000   by hand -3.5165
#     of 0.5 mV, in millivolts R2Score -3.5165   by hand -3.5165
#   There is no warning, and no setting; float64 is the same. The module and the function agree.
# Why it matters: changes of prices, accelerations in g, seismograms in metres and spectra are numbers of this size; a
#   network that has learnt nothing is reported as perfect, and a search for hyper-parameters keeps the first that it
#   tries. Dividing both by the targets' deviation before the score helps.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
cd "$tmp"
venv/bin/python -W ignore - <<'PY'
import numpy as np
import torch
import torchmetrics

print("torchmetrics", torchmetrics.__version__, "torch", torch.__version__, "numpy", np.__version__)
steps = np.arange(50)
target, prediction = np.sin(0.3 * steps), 2 * np.sin(0.3 * steps + 1.5)
seen = []
for unit, scale in (
    ("of 1 V, in volts", 1.0),
    ("of 1 mV, in volts", 1e-3),
    ("of 0.5 mV, in volts", 5e-4),
    ("of 0.5 mV, in millivolts", 0.5),
):
    y, p = target * scale, prediction * scale
    by_hand = 1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    scores = []
    for dtype in (torch.float32, torch.float64):
        y_t, p_t = torch.tensor(y, dtype=dtype), torch.tensor(p, dtype=dtype)
        metric = torchmetrics.R2Score()
        metric.update(p_t, y_t)
        scores += [metric.compute().item(), torchmetrics.functional.r2_score(p_t, y_t).item()]
    print(f"{unit:24} R2Score {scores[0]:7.4f}   by hand {by_hand:7.4f}")
    assert np.allclose(scores, scores[0], atol=1e-5)
    seen.append((scores[0], by_hand))
scores, by_hand = (np.array(part) for part in zip(*seen, strict=True))
assert np.allclose(by_hand, by_hand[0]) and by_hand[0] < -1
assert np.allclose(scores, [by_hand[0], 0, 1, by_hand[0]], atol=1e-4)
PY
