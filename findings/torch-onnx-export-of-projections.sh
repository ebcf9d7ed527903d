#!/usr/bin/env bash
# torch's ONNX exporter writes an LSTM with proj_size as if there were no projection, and says nothing.
#
# Versions: torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.32.0.
# Expected: an error, as from the older exporter (`dynamo=False`): "LSTMs with projections" are unsupported, because ONNX's
#   LSTM has none.
# Seen: `torch.onnx.export(model, dynamo=True)`, the default, succeeds; the file has one LSTM whose projection is missing, and
#   ONNX Runtime fails when it runs: "Input initial_c must have shape {1,2,4}. Actual:{1,2,8}".
# Why it matters: the mistake is found where the model is deployed, and not where it is exported.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0
cd "$tmp"
venv/bin/python - <<'PY' 2>/dev/null
import warnings

import onnx
import onnxruntime
import torch

warnings.simplefilter("ignore")
print("torch", torch.__version__, "onnxruntime", onnxruntime.__version__)
model, x = torch.nn.LSTM(3, 8, proj_size=4).eval(), torch.randn(5, 2, 3)
torch.onnx.export(model, (x,), "projected.onnx", dynamo=True, verbose=False)
operators = [node.op_type for node in onnx.load("projected.onnx").graph.node]
print("exported, with the operators", sorted(set(operators)))
assert operators.count("LSTM") == 1 and "MatMul" not in operators and "Gemm" not in operators
session = onnxruntime.InferenceSession("projected.onnx")
try:
    session.run(None, {session.get_inputs()[0].name: x.numpy()})
except Exception as error:
    print(str(error)[:200])
    assert "initial_c must have shape {1,2,4}. Actual:{1,2,8}" in str(error)
else:
    raise SystemExit("it runs now")
try:
    torch.onnx.export(model, (x,), "older.onnx", dynamo=False)
except Exception as error:
    print("dynamo=False:", " ".join(str(error).split())[:90])
    assert "LSTMs with projections" in str(error)
else:
    raise SystemExit("the older exporter takes it now")
PY
