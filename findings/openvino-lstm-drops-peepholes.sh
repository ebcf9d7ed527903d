#!/usr/bin/env bash
# OpenVINO reads an ONNX LSTM with peepholes, or with input_forget=1, as a plain LSTM.
#
# Versions: openvino 2026.4.1, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6.
# Expected: the input P (peephole weights) and the attribute input_forget (the forget gate is one minus
#   the input gate) take part in the sum, as in ONNX Runtime; or the model is refused, as OpenVINO
#   refuses activations that it does not know.
# Seen: no error, no warning, and bit for bit the numbers of the LSTM without them:
#     peepholes     ORT from plain ORT 2.5e-01, from a plain sum in numpy 7.3e-08; OpenVINO from plain OpenVINO 0.0e+00
#     input_forget  ORT from plain ORT 6.9e-01, from a plain sum in numpy 1.6e-07; OpenVINO from plain OpenVINO 0.0e+00
# Why it matters: peepholes are trained weights (older speech and text-line models have them) and a
#   coupled gate is another cell. The model loads, its shapes are right, and its answers are another
#   model's.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

STEPS, BATCH, WIDTH, HIDDEN = 6, 2, 3, 4
rng = np.random.default_rng(0)
draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)
X = draw(STEPS, BATCH, WIDTH)
W, R, B, P = draw(1, 4 * HIDDEN, WIDTH), draw(1, 4 * HIDDEN, HIDDEN), draw(1, 8 * HIDDEN), draw(1, 3 * HIDDEN)


def model(peepholes, input_forget):
    given = {"W": W, "R": R, "B": B} | ({"P": P} if peepholes else {})
    inputs = ["X", "W", "R", "B"] + (["", "", "", "P"] if peepholes else [])
    node = helper.make_node("LSTM", inputs, ["Y"], hidden_size=HIDDEN, input_forget=input_forget)
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        [node],
        "one",
        [value("X", X.shape)],
        [value("Y", (STEPS, 1, BATCH, HIDDEN))],
        [numpy_helper.from_array(array, name) for name, array in given.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def in_ort(made):
    return ort.InferenceSession(made, providers=["CPUExecutionProvider"]).run(None, {"X": X})[0]


def in_openvino(made):
    core = ov.Core()
    compiled = core.compile_model(core.read_model(made), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled({"X": X})[compiled.output(0)].copy()


def by_hand(peepholes, input_forget):
    sigmoid = lambda v: 1 / (1 + np.exp(-v))
    p_in, p_out, p_forget = np.split(P[0].astype(np.float64) * peepholes, 3)
    h = c = np.zeros((BATCH, HIDDEN))
    steps = []
    for x in X.astype(np.float64):
        total = x @ W[0].T + h @ R[0].T + B[0, : 4 * HIDDEN] + B[0, 4 * HIDDEN :]
        i, o, f, g = np.split(total, 4, axis=1)
        i = sigmoid(i + p_in * c)
        f = 1 - i if input_forget else sigmoid(f + p_forget * c)
        c = f * c + i * np.tanh(g)
        h = sigmoid(o + p_out * c) * np.tanh(c)
        steps.append(h)
    return np.stack(steps)[:, None]


apart = lambda a, b: float(np.abs(a - b).max())
print("openvino", ov.__version__, "onnxruntime", ort.__version__, "onnx", onnx.__version__, "numpy", np.__version__)
plain = model(False, 0)
assert apart(in_ort(plain), by_hand(False, 0)) < 1e-5 and apart(in_openvino(plain), by_hand(False, 0)) < 1e-5
for name, setting in {"peepholes": (True, 0), "input_forget": (False, 1)}.items():
    made = model(*setting)
    ort_moved = apart(in_ort(made), in_ort(plain))
    ort_wrong = apart(in_ort(made), by_hand(*setting))
    ov_moved = apart(in_openvino(made), in_openvino(plain))
    print(
        f"{name:13} ORT from plain ORT {ort_moved:.1e}, from a plain sum in numpy {ort_wrong:.1e}; "
        f"OpenVINO from plain OpenVINO {ov_moved:.1e}"
    )
    assert ort_moved > 0.1 and ort_wrong < 1e-5
    assert ov_moved == 0.0, f"OpenVINO now heeds {name}"
PY
