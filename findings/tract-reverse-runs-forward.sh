#!/usr/bin/env bash
# tract runs an ONNX RNN/GRU/LSTM of direction="reverse" forwards.
#
# Versions: tract 0.23.9, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# Expected: direction="reverse" starts at the last step, as the ONNX text says and ONNX Runtime does;
#   or, if tract has no such direction, an error when the model is loaded.
# Seen: no error, no warning. The numbers are those of the same weights with direction="forward".
#   The reversed half of direction="bidirectional" is right, so a test of that does not find it:
#     RNN   reverse: from ORT reverse 1.5e+00, from ORT forward 2.4e-07; bidirectional: from ORT 2.4e-07
#     GRU   reverse: from ORT reverse 7.5e-01, from ORT forward 6.0e-08; bidirectional: from ORT 1.2e-07
#     LSTM  reverse: from ORT reverse 4.8e-01, from ORT forward 0.0e+00; bidirectional: from ORT 0.0e+00
#   (largest differences over Y and the last states)
# Why it matters: a single backward layer (Keras go_backwards=True, half of a bidirectional model) is a
#   node of direction "reverse" in ONNX; in tract such a model reads the sequence the wrong way round,
#   and every shape is still right.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q tract==0.23.9 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import numpy as np
import onnx
import onnxruntime as ort
import tract
from onnx import TensorProto, helper, numpy_helper

STEPS, BATCH, WIDTH, HIDDEN = 5, 1, 3, 2
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def model(op, direction, weights):
    sides = 2 if direction == "bidirectional" else 1
    outputs = {"Y": (STEPS, sides, BATCH, HIDDEN), "Y_h": (sides, BATCH, HIDDEN)}
    if op == "LSTM":
        outputs["Y_c"] = outputs["Y_h"]
    node = helper.make_node(op, ["X", "W", "R", "B"], list(outputs), hidden_size=HIDDEN, direction=direction)
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        [node],
        "one",
        [value("X", (STEPS, BATCH, WIDTH))],
        [value(*item) for item in outputs.items()],
        [numpy_helper.from_array(array[:sides], name) for name, array in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def in_ort(made, x):
    return ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"X": x})


def in_tract(made, x):
    onnx.save(made, "model.onnx")
    return [out.to_numpy() for out in tract.onnx().load("model.onnx").into_model().into_runnable().run([x])]


def apart(these, those):
    return max(float(np.abs(a - b).max()) for a, b in zip(these, those, strict=True))


print("tract", tract.version(), "onnx", onnx.__version__, "onnxruntime", ort.__version__, "numpy", np.__version__)
rng = np.random.default_rng(0)
for op, gates in GATES.items():
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    rows = gates * HIDDEN
    weights = {"W": draw(2, rows, WIDTH), "R": draw(2, rows, HIDDEN), "B": draw(2, 2 * rows)}
    x = draw(STEPS, BATCH, WIDTH)
    seen = in_tract(model(op, "reverse", weights), x)
    from_reverse = apart(seen, in_ort(model(op, "reverse", weights), x))
    from_forward = apart(seen, in_ort(model(op, "forward", weights), x))
    both = model(op, "bidirectional", weights)
    two_sided = apart(in_tract(both, x), in_ort(both, x))
    print(
        f"{op:5} reverse: from ORT reverse {from_reverse:.1e}, from ORT forward {from_forward:.1e}; "
        f"bidirectional: from ORT {two_sided:.1e}"
    )
    assert from_forward < 1e-5 < 0.1 < from_reverse, "direction='reverse' is no longer read as forward"
    assert two_sided < 1e-5, "bidirectional is no longer right"
PY
