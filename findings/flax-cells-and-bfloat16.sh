#!/usr/bin/env bash
# flax recurrent cells with dtype=bfloat16: LSTM and GRU answer in float32, SimpleCell cannot be run.
#
# Versions: flax 0.12.8, jax 0.10.2.
# Expected: dtype is "the dtype of the computation": nn.Dense(dtype=bfloat16) answers in bfloat16, so
#   nn.RNN(nn.LSTMCell(4, dtype=bfloat16)) does, too; and the cells may be swapped for one another.
# Seen, with float32 or bfloat16 inputs alike:
#     Dense              bfloat16
#     LSTMCell           float32, off by 1.4e-03
#     OptimizedLSTMCell  float32, off by 1.4e-03
#     GRUCell            float32, off by 3.6e-03
#     MGUCell            float32, off by 4.5e-03
#     SimpleCell         TypeError: scan body function carry input and carry output must have equal types
# Why it matters: activations kept for the backward pass take twice the memory that was asked for, while
#   the numbers are as rough as bfloat16's; and whoever tries the simplest cell with the same line gets an
#   error about types. The state starts in param_dtype, float32: passing
#   initial_carry in bfloat16 makes SimpleCell run and LSTM and GRU answer in bfloat16.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q flax==0.12.8 jax==0.10.2
cd "$tmp"
JAX_PLATFORMS=cpu venv/bin/python - <<'PY'
import flax
import jax
import jax.numpy as jnp
from flax import linen

print("flax", flax.__version__, "jax", jax.__version__)
half = jnp.bfloat16
x = jax.random.normal(jax.random.key(0), (2, 5, 3))
dense, _ = linen.Dense(4, dtype=half).init_with_output(jax.random.key(1), x)
print(f"{'Dense':18} {dense.dtype}")
assert dense.dtype == half
for cell in (linen.LSTMCell, linen.OptimizedLSTMCell, linen.GRUCell, linen.MGUCell, linen.SimpleCell):
    weights = linen.RNN(cell(4)).init(jax.random.key(1), x)
    true = linen.RNN(cell(4)).apply(weights, x)
    rnn = linen.RNN(cell(4, dtype=half))
    start = jax.tree.map(lambda part: part.astype(half), cell(4).initialize_carry(jax.random.key(2), (2, 3)))
    assert rnn.apply(weights, x, initial_carry=start).dtype == half
    for value in (x, x.astype(half)):
        try:
            out = rnn.apply(weights, value)
        except TypeError as error:
            said = f"TypeError: {str(error).split(',')[0]}"
        else:
            assert out.dtype == jnp.float32, f"{cell.__name__} now answers in {out.dtype}"
            far = float(jnp.abs(out - true).max())
            said = f"float32, off by {far:.1e}"
            assert far > 5e-4
        assert said.startswith("TypeError") == (cell is linen.SimpleCell)
        if value is x:
            print(f"{cell.__name__:18} {said}")
PY
