#!/usr/bin/env bash
# Profiled by torch, a training step of a packed LSTM takes memory that grows with the square of its length.
#
# Versions: torch 2.13.0 (x86), numpy 2.4.6.
# Expected: a profiler keeps names and times. Doubling the steps doubles the memory, profiled or not.
# Seen: 64 unequal rows, 128 units: the peak of the step grows by some 10 MB for 100 steps and 60 for 200.
#   Within torch.profiler.profile() it grows by 680 MB and by 2.6 GB: four times for twice the steps. Both
#   directions over 400 steps did not fit into 17 GB. The forward pass alone does not grow: it is the
#   backward pass, in which each step makes a gradient as large as the whole sequence.
#   Defaults everywhere: no shapes, stacks or memory are recorded. The older autograd.profiler does it too.
#     steps  100  plain   11 MB  profiled  678 MB
#     steps  200  plain   69 MB  profiled 2604 MB
# Why it matters: who profiles to see why training on unequal lengths is slow, where torch runs step by
#   step, is killed for want of memory instead, and takes the layer for the cause.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$tmp"
cat > step.py <<'PY'
import resource
import sys
from contextlib import nullcontext

import torch
from torch.nn.utils.rnn import pack_padded_sequence
from torch.profiler import ProfilerActivity, profile

steps, profiled = int(sys.argv[1]), sys.argv[2] == "profiled"


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


layer = torch.nn.LSTM(100, 128)
x = torch.randn(steps, 64, 100)
lengths = torch.linspace(steps, 10, 64).long()
with profile(activities=[ProfilerActivity.CPU]) if profiled else nullcontext():
    y, _ = layer(pack_padded_sequence(x, lengths))
    before = megabytes()
    y.data.sum().backward()
    print(megabytes() - before)
PY
grown() { venv/bin/python step.py "$1" "$2" 2>/dev/null; }
declare -A found
for steps in 100 200; do
  for how in plain profiled; do found[$steps$how]=$(grown "$steps" "$how"); done
  printf 'steps %4d  plain %4d MB  profiled %4d MB\n' "$steps" "${found[${steps}plain]}" "${found[${steps}profiled]}"
done
[ "${found[100profiled]}" -gt 400 ] && [ "${found[200plain]}" -lt 300 ]
[ "${found[200profiled]}" -gt $((3 * ${found[100profiled]})) ]
