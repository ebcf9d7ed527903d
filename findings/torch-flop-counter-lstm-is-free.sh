#!/usr/bin/env bash
# torch's FlopCounterMode counts 0 for nn.LSTM on the CPU, until one row is one step shorter.
#
# Versions: torch 2.13.0 (x86), numpy 2.4.6.
# Expected: 4 gates of 64 units from 32 inputs and 64 states, 8 rows of 50 steps, are 19.7 million, about
#   4/3 of a GRU's; a row of 49 steps makes it a little less.
# Seen: the LSTM is free, with gradients or without, dense or packed with equal lengths. Packed with one
#   row of 49 steps it costs 19.6 million. The GRU is counted in all cases. No warning.
#     GRU   dense 14745600, packed equal 14745600, packed unequal 14708736
#     LSTM  dense 0, packed equal 0, packed unequal 19611648
#     LSTM  aten::mkldnn_rnn_layer: dense yes, packed equal yes, packed unequal no
# Why it matters: sizes in papers, budgets and "LSTM or GRU" tables are made with this counter. And it
#   shows which batches take the fused kernel: one short row in a batch, and the LSTM runs step by step.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import numpy
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode


class Names(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


print("torch", torch.__version__, "numpy", numpy.__version__)
x = torch.randn(8, 50, 32)
inputs = {
    "dense": x,
    "packed equal": pack_padded_sequence(x, [50] * 8, batch_first=True),
    "packed unequal": pack_padded_sequence(x, [50] * 7 + [49], batch_first=True),
}
counts, fused = {}, []
for cls in (nn.GRU, nn.LSTM):
    layer = cls(32, 64, batch_first=True)
    counts[cls.__name__] = []
    for value in inputs.values():
        for gradients in (True, False):
            with torch.set_grad_enabled(gradients), FlopCounterMode(display=False) as counter:
                layer(value)
            counts[cls.__name__].append(counter.get_total_flops())
        if cls is nn.LSTM:
            with Names() as seen:
                layer(value)
            fused.append("mkldnn_rnn_layer" in seen.names)
    pairs = zip(inputs, counts[cls.__name__][::2])
    print(f"{cls.__name__:5} " + ", ".join(f"{name} {count}" for name, count in pairs))
print("LSTM  aten::mkldnn_rnn_layer: " + ", ".join(f"{n} {'yes' if f else 'no'}" for n, f in zip(inputs, fused)))
step = 2 * 64 * (32 + 64)
full, short = step * 8 * 50, step * (8 * 50 - 1)
assert counts["GRU"] == [3 * full] * 4 + [3 * short] * 2
assert counts["LSTM"] == [0] * 4 + [4 * short] * 2
assert fused == [True, True, False]
PY
