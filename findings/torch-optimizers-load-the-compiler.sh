#!/usr/bin/env bash
# torch: the first optimizer of a process loads the compiler, hundreds of modules, longer than a short training takes.
#
# Versions: torch 2.13.0.
# Expected: an optimizer that works through lists of tensors loads nothing; who wants torch.compile pays for it.
# Seen: layers, losses, gradients and clipping do without, and so does the function that AdamW calls. The constructor of
#   any optimizer, SGD too, imports torch._dynamo (seconds vary):
#     import torch, a GRU's gradients, clipping: torch._dynamo is not loaded
#     torch.optim.adamw.adamw, one step:         torch._dynamo is not loaded
#     torch.optim.SGD(…):                        torch._dynamo is loaded, 823 modules, 1.3 s of the processor
# Why it matters: command lines, tests and services that train little start that much later, in each of their processes,
#   and fork with that much more memory. The functions in torch.optim (adamw.adamw, sgd.sgd) are a way around it.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import sys
import time

import torch
from torch.optim.adamw import adamw


def loaded():
    return "torch._dynamo" in sys.modules


print("torch", torch.__version__)
layer = torch.nn.GRU(3, 4)
layer(torch.ones(2, 1, 3))[0].sum().backward()
torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
print("a GRU's gradients, clipped: loaded", loaded())
assert not loaded()

weights = list(layer.parameters())
averages, squares = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
steps = [torch.zeros(()) for _ in weights]
how = {"amsgrad": False, "beta1": 0.9, "beta2": 0.999, "lr": 0.1, "weight_decay": 0.0, "eps": 1e-8, "maximize": False}
with torch.no_grad():
    adamw(weights, [weight.grad for weight in weights], averages, squares, [], steps, fused=True, **how)
print("a step of adamw(...): loaded", loaded())
assert not loaded()

before, began = len(sys.modules), time.process_time()
torch.optim.SGD(weights, 0.1)
print(f"SGD(...): loaded {loaded()}, {len(sys.modules) - before} modules, {time.process_time() - began:.1f} s")
assert loaded()
assert len(sys.modules) - before > 300
PY
