#!/usr/bin/env bash
# ONNX Runtime's GRU and LSTM answer a NaN with ordinary numbers as soon as they have a bias, even one of zeros.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# Expected: NaN goes in, NaN comes out, as in the same operators without B, in RNN, and in torch.
# Seen: what is added to a bias is also clipped, at the largest float32, and the clip takes NaN for a number:
#     RNN   without B: NaN; with B of zeros: NaN
#     GRU   without B: NaN; with B of zeros: numbers
#     LSTM  without B: NaN; with B of zeros: numbers
#   These are the results of the row with the NaN, from that step on; they lie in −1 … 1 like any others.
# Why it matters: exported networks have biases. A sensor that fails gives a plausible prediction, and a test for NaN
#   behind the network never fires: it has to look at the inputs.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

STEPS, WIDTH, HIDDEN = 4, 3, 5
rng = np.random.default_rng(0)
x = rng.standard_normal((STEPS, 1, WIDTH)).astype(np.float32)
x[1, 0, 0] = np.nan


def last_state(op, gates, with_bias):
    weights = {
        "W": rng.standard_normal((1, gates * HIDDEN, WIDTH)).astype(np.float32),
        "R": rng.standard_normal((1, gates * HIDDEN, HIDDEN)).astype(np.float32),
        "B": np.zeros((1, 2 * gates * HIDDEN), np.float32),
    }
    if not with_bias:
        del weights["B"]
    node = helper.make_node(op, ["X", *weights], ["", "Y_h"], hidden_size=HIDDEN)
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        [node],
        "one",
        [value("X", (STEPS, 1, WIDTH))],
        [value("Y_h", (1, 1, HIDDEN))],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    (state,) = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"X": x})
    return state


def kind(state):
    return "NaN" if np.isnan(state).all() else "numbers" if np.isfinite(state).all() else "some of both"


print("onnx", onnx.__version__, "onnxruntime", ort.__version__, "numpy", np.__version__)
found = {
    op: tuple(kind(last_state(op, gates, with_bias)) for with_bias in (False, True))
    for op, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4))
}
for op, (without, with_zeros) in found.items():
    print(f"{op:<5} without B: {without}; with B of zeros: {with_zeros}")
expected = {"RNN": ("NaN", "NaN"), "GRU": ("NaN", "numbers"), "LSTM": ("NaN", "numbers")}
raise SystemExit(0 if found == expected else "the behaviour has changed")
PY
