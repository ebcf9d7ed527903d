#!/usr/bin/env bash
# torch.autocast on the CPU: RNN gives bfloat16, GRU float32, and LSTM one or the other by the lengths.
#
# Versions: torch 2.13.0, numpy 2.4.6.
# Expected: under torch.autocast("cpu", torch.bfloat16) the three layers, fed float32, answer in one and
#   the same dtype, and whether a batch is padded does not matter to it.
# Seen: a batch packed with lengths 20, 20, 20, 20 comes out of nn.LSTM in bfloat16; with 20, 20, 20, 19
#   it comes out in float32, the states too. nn.GRU answers in float32 always, nn.RNN in bfloat16 always.
#   float32 promises nothing: its numbers are as far from the true float32 ones as bfloat16's.
#     RNN   dense bfloat16, packed equal bfloat16, packed unequal bfloat16; off by 6.8e-03
#     GRU   dense float32, packed equal float32, packed unequal float32; off by 4.5e-03
#     LSTM  dense bfloat16, packed equal bfloat16, packed unequal float32; off by 2.3e-03
# Why it matters: the dtype of the carried state, of memory set aside for outputs and of what the next
#   layer gets changes from batch to batch with the data, and what a GRU gives out takes no less memory.
# The cause: equal lengths take oneDNN's fused LSTM, which autocast casts; the rest takes single steps,
#   whose sums with the float32 initial state are float32. (Where the processor has no bfloat16 in
#   oneDNN, this says so and stops, for the dense LSTM is then another story.)
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import sys

import numpy
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

print("torch", torch.__version__, "numpy", numpy.__version__)
if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
    print("oneDNN has no bfloat16 on this processor: nothing tried")
    sys.exit(0)
torch.manual_seed(0)
torch.set_grad_enabled(False)
x = torch.randn(4, 20, 16)
inputs = {
    "dense": x,
    "packed equal": pack_padded_sequence(x, [20, 20, 20, 20], batch_first=True),
    "packed unequal": pack_padded_sequence(x, [20, 20, 20, 19], batch_first=True),
}
seen = {}
for cls in (nn.RNN, nn.GRU, nn.LSTM):
    layer = cls(16, 32, batch_first=True)
    kinds, far = [], 0.0
    for name, value in inputs.items():
        true, _ = layer(value)
        with torch.autocast("cpu", torch.bfloat16):
            out, state = layer(value)
        out, true = (part.data if isinstance(part, PackedSequence) else part for part in (out, true))
        state = state[0] if isinstance(state, tuple) else state
        assert state.dtype == out.dtype
        far = max(far, float((out.float() - true).abs().max()))
        kinds.append(str(out.dtype).removeprefix("torch."))
    print(f"{cls.__name__:5} " + ", ".join(map(" ".join, zip(inputs, kinds))) + f"; off by {far:.1e}")
    assert far > 5e-4, "autocast no longer rounds"
    seen[cls.__name__] = kinds
assert seen["RNN"] == ["bfloat16"] * 3 and seen["GRU"] == ["float32"] * 3
assert seen["LSTM"] == ["bfloat16", "bfloat16", "float32"]
PY
