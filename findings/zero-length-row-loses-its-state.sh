#!/usr/bin/env bash
# A row of length 0 in a padded batch: ONNX Runtime forgets its state, flax runs it over the padding.
#
# Versions: flax 0.12.8, jax 0.10.2, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6.
# Expected: with initial state 0.5 and no steps to take, the last state is 0.5 (h_t for t = 0).
# Seen: ONNX Runtime (GRU, LSTM) returns 0. flax (linen and nnx RNN, return_carry=True) returns the state
#   after ALL the padded steps, which its docs say are ignored: other numbers in the padding, another state.
#     ORT GRU      state of the empty row 0.00 0.00, other padding 0.00 0.00
#     ORT LSTM     state of the empty row 0.00 0.00, other padding 0.00 0.00
#     flax linen   state of the empty row -0.09 0.38, other padding -0.71 0.25
#     flax nnx     state of the empty row -0.05 0.28, other padding 0.27 0.30
# Why it matters: serving many streams in one batch, some have nothing new in a chunk and get length 0,
#   which both accept. One then starts them anew, the other feeds them garbage; rows of length 1 and more
#   are right in both, and there is no warning.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q flax==0.12.8 jax==0.10.2 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import flax
import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime as ort
from flax import linen, nnx
from onnx import TensorProto, helper, numpy_helper

STEPS, BATCH, WIDTH, HIDDEN = 4, 2, 3, 2
LENGTHS = np.array([STEPS, 0], np.int32)
rng = np.random.default_rng(0)
batch = rng.standard_normal((BATCH, STEPS, WIDTH)).astype(np.float32)
other = batch.copy()
other[1] = 2.0
start = np.full((BATCH, HIDDEN), 0.5, np.float32)


def in_ort(op, gates, x):
    draw = lambda *shape: np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    weights = {"W": draw(1, gates * HIDDEN, WIDTH), "R": draw(1, gates * HIDDEN, HIDDEN)}
    feed = {"X": x.transpose(1, 0, 2), "lens": LENGTHS, "h": start[None]}
    names = ["X", "W", "R", "", "lens", "h"]
    if op == "LSTM":
        feed["c"] = start[None]
        names.append("c")
    kinds = {np.dtype("int32"): TensorProto.INT32, np.dtype("float32"): TensorProto.FLOAT}
    graph = helper.make_graph(
        [helper.make_node(op, names, ["", "Y_h"], hidden_size=HIDDEN)],
        "one",
        [helper.make_tensor_value_info(name, kinds[value.dtype], value.shape) for name, value in feed.items()],
        [helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, (1, BATCH, HIDDEN))],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feed)[0][0, 1]


def in_linen(x):
    rnn = linen.RNN(linen.GRUCell(HIDDEN), return_carry=True)
    weights = rnn.init(jax.random.key(0), jnp.asarray(x))
    carry, steps = rnn.apply(weights, x, seq_lengths=jnp.asarray(LENGTHS), initial_carry=jnp.asarray(start))
    return np.asarray(carry[1]), np.asarray(steps[1, -1])


def in_nnx(x):
    rnn = nnx.RNN(nnx.GRUCell(WIDTH, HIDDEN, rngs=nnx.Rngs(0)), return_carry=True)
    carry, steps = rnn(jnp.asarray(x), seq_lengths=jnp.asarray(LENGTHS), initial_carry=jnp.asarray(start))
    return np.asarray(carry[1]), np.asarray(steps[1, -1])


print("flax", flax.__version__, "jax", jax.__version__, "onnxruntime", ort.__version__, "onnx", onnx.__version__)
show = lambda state: " ".join(f"{v:.2f}" for v in state)
for op, gates in {"GRU": 3, "LSTM": 4}.items():
    one, two = in_ort(op, gates, batch), in_ort(op, gates, other)
    print(f"ORT {op:8} state of the empty row {show(one)}, other padding {show(two)}")
    assert not one.any() and not two.any(), "ONNX Runtime now keeps the state of an empty row"
for name, run in {"linen": in_linen, "nnx": in_nnx}.items():
    (one, last), (two, _) = run(batch), run(other)
    print(f"flax {name:7} state of the empty row {show(one)}, other padding {show(two)}")
    assert np.array_equal(one, last) and np.abs(one - two).max() > 0.1, "flax now keeps the state of an empty row"
PY
