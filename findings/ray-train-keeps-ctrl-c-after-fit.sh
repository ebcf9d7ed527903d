#!/usr/bin/env bash
# Ray Train: after fit() has returned, Ctrl-C no longer interrupts the program; the third one ends it as a success.
#
# Versions: ray 2.60.0.
# Expected: fit() has a handler of SIGINT while it trains, so that Ctrl-C ends the run in order, and puts back the one
#   that was there before when it returns. What the program does next is interrupted as ever, by KeyboardInterrupt.
# Seen:
#     before fit: default_int_handler
#     after fit: sigint_handler
#     Ctrl-C, time 1: nothing is raised
#     Ctrl-C, time 2: nothing is raised
#     Ctrl-C, time 3: SystemExit(0)
# Why it matters: a script that trains, and then evaluates or saves, cannot be stopped by Ctrl-C in its later part; a
#   third one leaves with exit status 0, so make, a shell's && and CI go on as if all had been done. Who calls fit()
#   keeps signal.getsignal(signal.SIGINT) from before and sets it again afterwards.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q 'ray[train]==2.60.0'
cd "$tmp"
RAY_TRAIN_V2_ENABLED=1 venv/bin/python - <<'PY'
import os
import signal

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer


def work():
    pass


print("ray", ray.__version__)
ray.init(num_cpus=2, include_dashboard=False, logging_level="error", log_to_driver=False)
print("before fit:", signal.getsignal(signal.SIGINT).__name__)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
DataParallelTrainer(
    work, scaling_config=ScalingConfig(num_workers=1), run_config=RunConfig(name="run", storage_path=os.getcwd())
).fit()
print("after fit:", signal.getsignal(signal.SIGINT).__name__)
found = []
for time in (1, 2, 3):
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException as error:
        found.append(repr(error))
    else:
        found.append("nothing is raised")
    print(f"Ctrl-C, time {time}: {found[-1]}")
assert found == ["nothing is raised", "nothing is raised", "SystemExit(0)"], found
PY
