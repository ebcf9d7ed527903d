#!/usr/bin/env bash
# torch's OneCycleLR divides by zero where the rising part of the schedule is exactly one step.
#
# Versions: torch 2.13.0.
# Expected: any `total_steps` of 1 or more gives a schedule, as its documentation asks for a positive integer.
# Seen: with `pct_start * total_steps == 1`, such as 5 steps and 0.2, the constructor raises ZeroDivisionError; 4 and 6 steps
#   are fine, and so are 1, 2 and 3:
#     steps 4 fine   steps 5 ZeroDivisionError: float division by zero   steps 6 fine
# Why it matters: trainings of a few batches (tests, small data, a last short run) stop with an error that names no setting.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0
cd "$tmp"
venv/bin/python -W ignore - <<'PY'
import torch

print("torch", torch.__version__)
failed = []
for steps in range(1, 12):
    adamw = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], 0.1)
    try:
        torch.optim.lr_scheduler.OneCycleLR(adamw, 0.1, total_steps=steps, pct_start=0.2, cycle_momentum=False)
        print("steps", steps, "fine")
    except ZeroDivisionError as error:
        print("steps", steps, "ZeroDivisionError:", error)
        failed.append(steps)
assert failed == [5]
PY
