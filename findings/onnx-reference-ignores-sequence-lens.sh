#!/usr/bin/env bash
# onnx's own ReferenceEvaluator ignores sequence_lens, clip and input_forget of RNN, GRU and LSTM.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# Expected: the evaluator that stands for the text of the standard obeys it: past a row's length Y is 0
#   and Y_h is the state at the row's last step; clip bounds what goes into the activations.
# Seen: no error; the three settings change nothing, and a row of length 2 of 5 is run on over its padding:
#     RNN   sequence_lens: from unset 0, from ORT 1.0e+00; clip: from unset 0, from ORT 7.1e-01
#     GRU   sequence_lens: from unset 0, from ORT 9.9e-01; clip: from unset 0, from ORT 7.6e-01
#     LSTM  sequence_lens: from unset 0, from ORT 7.0e-01; clip: from unset 0, from ORT 7.7e-01;
#           input_forget: from unset 0, from ORT 1.3e+00
#   (largest differences over Y and the last states)
# Why it matters: it is the yardstick people hold a converter or a runtime against. On padded batches it
#   calls a right runtime wrong, and a runtime that forgets the lengths right.
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
from onnx.reference import ReferenceEvaluator

STEPS, BATCH, WIDTH, HIDDEN = 5, 2, 3, 2
rng = np.random.default_rng(0)


def model(op, weights, lens=False, **settings):
    outputs = {"Y": (STEPS, 1, BATCH, HIDDEN), "Y_h": (1, BATCH, HIDDEN)}
    if op == "LSTM":
        outputs["Y_c"] = outputs["Y_h"]
    node = helper.make_node(
        op, ["X", "W", "R", "B"] + ["lens"] * lens, list(outputs), hidden_size=HIDDEN, **settings
    )
    value = lambda name, shape, kind=TensorProto.FLOAT: helper.make_tensor_value_info(name, kind, shape)
    graph = helper.make_graph(
        [node],
        "one",
        [value("X", (STEPS, BATCH, WIDTH))] + [value("lens", (BATCH,), TensorProto.INT32)] * lens,
        [value(*item) for item in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made


def apart(these, those):
    return max(float(np.abs(a - b).max()) for a, b in zip(these, those, strict=True))


def in_ort(made, feed):
    return ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feed)


print("onnx", onnx.__version__, "onnxruntime", ort.__version__, "numpy", np.__version__)
for op, gates in {"RNN": 1, "GRU": 3, "LSTM": 4}.items():
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    rows = gates * HIDDEN
    weights = {"W": draw(1, rows, WIDTH), "R": draw(1, rows, HIDDEN), "B": draw(1, 2 * rows)}
    feed = {"X": draw(STEPS, BATCH, WIDTH)}
    plain = ReferenceEvaluator(model(op, weights)).run(None, feed)
    assert apart(plain, in_ort(model(op, weights), feed)) < 1e-5
    said = []
    cases = {"sequence_lens": {"lens": True}, "clip": {"clip": 0.3}}
    if op == "LSTM":
        cases["input_forget"] = {"input_forget": 1}
    for name, settings in cases.items():
        made = model(op, weights, **settings)
        given = feed | ({"lens": np.array([STEPS, 2], np.int32)} if name == "sequence_lens" else {})
        seen, right = ReferenceEvaluator(made).run(None, given), in_ort(made, given)
        if name == "sequence_lens":
            assert not right[0][2:, 0, 1].any() and np.array_equal(right[1][0, 1], right[0][1, 0, 1])
        moved, wrong = apart(seen, plain), apart(seen, right)
        said.append(f"{name}: from unset {moved:g}, from ORT {wrong:.1e}")
        assert moved == 0 and wrong > 0.1, f"the reference evaluator now heeds {name} of {op}"
    print(f"{op:5} " + "; ".join(said[:2]), *said[2:], sep=";\n      ")
PY
