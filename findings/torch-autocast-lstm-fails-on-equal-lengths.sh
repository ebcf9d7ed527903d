#!/usr/bin/env bash
# Without AVX-512, nn.LSTM under CPU autocast runs on rows of unequal lengths, and is an error on rows of equal length.
#
# Versions: torch 2.13.0, numpy 2.4.6, on x86-64; ONEDNN_MAX_CPU_ISA=AVX2 makes newer processors like those of AVX2 alone.
# Expected: a layer under torch.autocast("cpu", torch.bfloat16) runs on a processor or it does not, whatever the lengths;
#   and nn.LSTM runs where nn.GRU and nn.RNN do.
# Seen: nn.RNN and nn.GRU run. nn.LSTM runs on a packed batch of lengths 6, 5, 4, and raises a RuntimeError on one of
#   lengths 6, 6, 6 and on a dense one, in training and in inference:
#     RNN   dense runs, packed equal runs, packed unequal runs
#     GRU   dense runs, packed equal runs, packed unequal runs
#     LSTM  dense fails, packed equal fails, packed unequal runs
#   "could not create a primitive descriptor for the LSTM forward propagation primitive"
# Why it matters: a training that has run for hours ends at the first batch whose rows happen to have one length; and
#   what runs on the machine of the developer fails on an older one.
# The cause: rows of equal length take oneDNN's fused LSTM, which has no bfloat16 there; others take single steps.
set -euo pipefail
[ "$(uname -m)" = x86_64 ] || { echo "not x86-64: nothing tried"; exit 0; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$tmp"
ONEDNN_MAX_CPU_ISA=AVX2 venv/bin/python - <<'PY'
import numpy
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

print("torch", torch.__version__, "numpy", numpy.__version__)
x = torch.zeros(6, 3, 4)
inputs = {
    "dense": x,
    "packed equal": pack_padded_sequence(x, torch.tensor([6, 6, 6])),
    "packed unequal": pack_padded_sequence(x, torch.tensor([6, 5, 4])),
}


def outcome(layer, given):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        try:
            layer(given)
        except RuntimeError as error:
            assert "could not create a primitive descriptor for the LSTM" in str(error)
            return "fails"
    return "runs"


for kind in (nn.RNN, nn.GRU, nn.LSTM):
    for trains in (True, False):
        layer = kind(4, 5).requires_grad_(trains)
        seen = {name: outcome(layer, given) for name, given in inputs.items()}
        fails = "fails" if kind is nn.LSTM else "runs"
        assert seen == {"dense": fails, "packed equal": fails, "packed unequal": "runs"}, (kind, trains, seen)
    print(f"{kind.__name__:4} ", ", ".join(f"{name} {how}" for name, how in seen.items()))
PY
