#!/usr/bin/env bash
# Under torch.inference_mode a dispatch mode sees nn.LSTM whole, and not the kernel that runs it.
#
# Versions: torch 2.13.0 (x86), numpy 2.4.6.
# Expected: what an observer of operations sees of a forward pass without gradients does not depend on
#   whether it says no_grad or inference_mode: the operations below autograd.
# Seen: with no_grad it sees oneDNN's fused layer, or the products and gates of each step. In
#   inference_mode it sees one operation for all of them, and nothing of what that does; also of a Linear.
#     LSTM    no_grad: mkldnn_rnn_layer yes, lstm no    inference_mode: mkldnn_rnn_layer no, lstm yes
#     GRU     no_grad: addmm yes, gru no                inference_mode: addmm no, gru yes
#     Linear  no_grad: addmm yes, linear no             inference_mode: addmm no, linear yes
#   `func.decompose(...)` within the mode brings the parts back.
# Why it matters: who counts, logs or replaces operations this way finds no matrix product in inference
#   mode, and a check for the fused kernel says that there is none.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode


class Names(TorchDispatchMode):
    def __init__(self, decompose):
        super().__init__()
        self.decompose, self.names = decompose, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        if self.decompose:
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        return func(*args, **(kwargs or {}))


print("torch", torch.__version__)
x, word = torch.randn(5, 2, 8), {True: "yes", False: "no"}
for kind, part in ((nn.LSTM, "mkldnn_rnn_layer"), (nn.GRU, "addmm"), (nn.Linear, "addmm")):
    whole, layer = kind.__name__.lower(), kind(8, 8).eval()
    seen = {}
    for without in (torch.no_grad, torch.inference_mode):
        with without(), Names(decompose=False) as mode:
            layer(x)
        seen[without.__name__] = (part in mode.names, whole in mode.names)
    with torch.inference_mode(), Names(decompose=True) as mode:
        layer(x)
    line = [f"{name}: {part} {word[p]}, {whole} {word[w]}" for name, (p, w) in seen.items()]
    print(f"{kind.__name__:6} ", "  ".join(line), f"  decomposed: {part} {word[part in mode.names]}")
    assert seen == {"no_grad": (True, False), "inference_mode": (False, True)}
    assert part in mode.names
PY
