#!/usr/bin/env bash
# MNN converts an ONNX GRU or RNN into one forward layer of torch's kind, whatever the node says.
#
# Versions: MNN 3.6.1, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# Expected: the converted model gives the numbers of ONNX Runtime, or the converter refuses the node.
# Seen: "Converted Success!", and these differences from ONNX Runtime (the largest over Y and Y_h):
#     GRU  linear_before_reset=1          8.9e-08
#     GRU  bidirectional, the same        1.2e-07
#     GRU  linear_before_reset=0          9.1e-02
#     GRU  the same, --useOriginRNNImpl   1.2e-07
#     GRU  direction=reverse              7.6e-01  from a forward layer 8.9e-08
#     GRU  sequence_lens                  8.7e-01  from one without     8.9e-08
#     GRU  clip                           6.7e-01  from one without     8.9e-08
#     GRU  activations                    1.3e+00  from one without     8.9e-08
#     RNN  direction=reverse              9.8e-01  from a forward layer 2.7e-07
#     RNN  clip                           6.9e-01  from one without     2.7e-07
#     RNN  activations                    4.1e+00  from one without     2.7e-07
#   Where Y is left out ("" as the first output) and a model asks for Y_h, it is given Y:
#     RNN  Y_h alone                      shape (5, 1, 2, 4), ONNX Runtime's (1, 2, 4)
#     GRU  Y_h alone                      shape (5, 1, 2, 4), ONNX Runtime's (1, 2, 4)
#   In the converter's source the formula for linear_before_reset=0 stands in a comment; its loop multiplies the
#   reset gate with the recurrent product, as for 1, and mends the bias alone. MNN's own layer (--useOriginRNNImpl)
#   is right. Of direction it asks only whether it is "bidirectional".
# Why it matters: 0 is what ONNX has where linear_before_reset is absent (Keras layers with reset_after=False), and
#   go_backwards is "reverse". The shapes are right, and so is torch's bidirectional GRU, with which one would try it.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q MNN==3.6.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$tmp"
# The function that the command mnnconvert calls: the command itself also runs `pip install` of a package for usage
# reports, with whichever pip comes first on the PATH.
cat > seen.py <<'PY'
from importlib.metadata import version

import _tools
import MNN
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

STEPS, BATCH, WIDTH, HIDDEN = 5, 2, 3, 4
GATES = {"RNN": 1, "GRU": 3}
KINDS = {np.dtype("int32"): TensorProto.INT32, np.dtype("float32"): TensorProto.FLOAT}


def model(op, lengths=None, outputs=("Y", "Y_h"), direction="forward", **options):
    rng = np.random.default_rng(1)
    draw = lambda *shape: (rng.standard_normal(shape) * 0.6).astype(np.float32)
    sides, rows = 2 if direction == "bidirectional" else 1, GATES[op] * HIDDEN
    weights = {"W": draw(sides, rows, WIDTH), "R": draw(sides, rows, HIDDEN), "B": draw(sides, 2 * rows)}
    feed = {"X": draw(STEPS, BATCH, WIDTH)}
    if lengths:
        feed["lens"] = np.array(lengths, np.int32)
    node = helper.make_node(
        op, ["X", *weights, *(["lens"] if lengths else [])], outputs, hidden_size=HIDDEN, direction=direction, **options
    )
    shapes = {"Y": (STEPS, sides, BATCH, HIDDEN), "Y_h": (sides, BATCH, HIDDEN)}
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "one",
        [value(name, KINDS[array.dtype], array.shape) for name, array in feed.items()],
        [value(name, TensorProto.FLOAT, shapes[name]) for name in outputs if name],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made, feed


def in_ort(made, feed):
    return ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feed)


def in_mnn(made, feed, *flags):
    onnx.save(made, "model.onnx")
    _tools.mnnconvert(
        ["mnnconvert", "-f", "ONNX", "--modelFile", "model.onnx", "--MNNModel", "model.mnn", "--bizCode", "MNN", *flags]
    )
    names = [out.name for out in made.graph.output]
    net = MNN.nn.load_module_from_file("model.mnn", list(feed), names)
    kinds = {np.dtype("int32"): MNN.expr.int, np.dtype("float32"): MNN.expr.float}
    inputs = [
        MNN.expr.const(array.flatten().tolist(), list(array.shape), MNN.expr.NCHW, kinds[array.dtype])
        for array in feed.values()
    ]
    outputs = net.forward(inputs)
    return [np.array(out.read()) for out in (outputs if isinstance(outputs, list) else [outputs])]


def apart(these, those):
    return max(float(np.abs(a - b).max()) for a, b in zip(these, those, strict=True))


def row(op, what, **options):
    after = {"linear_before_reset": 1} if op == "GRU" else {}
    made, feed = model(op, **after, **options)
    seen = in_mnn(made, feed)
    wrong = apart(seen, in_ort(made, feed))
    plain, plain_feed = model(op, **after)
    assert np.array_equal(feed["X"], plain_feed["X"])
    same = apart(seen, in_ort(plain, plain_feed))
    other = "a forward layer" if "direction" in options else "one without    "
    print(f"SEEN {op}  {what:30} {wrong:.1e}  from {other} {same:.1e}")
    assert same < 1e-5 < 0.1 < wrong, f"{op}: {what} is no longer left out"


print("SEEN", *(f"{name} {version(name)}" for name in ("MNN", "onnx", "onnxruntime", "numpy")))
for what, options, flags, right in (
    ("linear_before_reset=1", {"linear_before_reset": 1}, (), True),
    ("bidirectional, the same", {"linear_before_reset": 1, "direction": "bidirectional"}, (), True),
    ("linear_before_reset=0", {"linear_before_reset": 0}, (), False),
    ("the same, --useOriginRNNImpl", {"linear_before_reset": 0}, ("--useOriginRNNImpl",), True),
):
    made, feed = model("GRU", **options)
    off = apart(in_mnn(made, feed, *flags), in_ort(made, feed))
    print(f"SEEN GRU  {what:30} {off:.1e}")
    assert (off < 1e-5) if right else (off > 0.01), f"GRU: {what} has changed"
for op, kinds in {"GRU": ["Sigmoid", "Relu"], "RNN": ["Relu"]}.items():
    row(op, "direction=reverse", direction="reverse")
    if op == "GRU":  # for an RNN and an LSTM the converter says that it has no lengths
        row(op, "sequence_lens", lengths=[5, 3])
    row(op, "clip", clip=0.3)
    row(op, "activations", activations=kinds)
for op in GATES:
    made, feed = model(op, outputs=("", "Y_h"), **({"linear_before_reset": 1} if op == "GRU" else {}))
    (seen,), (want,) = in_mnn(made, feed), in_ort(made, feed)
    print(f"SEEN {op}  {'Y_h alone':30} shape {seen.shape}, ONNX Runtime's {want.shape}")
    full, _ = model(op, **({"linear_before_reset": 1} if op == "GRU" else {}))
    assert apart([seen], in_ort(full, feed)[:1]) < 1e-5, f"{op}: Y_h alone is no longer Y"
PY
venv/bin/python seen.py > log.txt 2>&1 || { cat log.txt; exit 1; }
sed -n 's/^SEEN //p' log.txt
if grep -i "not support\|don't support\|unsupported\|warn" log.txt; then
  echo "the converter now says something"
  exit 1
fi
