#!/usr/bin/env bash
# Keras: what a recurrent layer gives out at masked first steps depends on the backend, and on unroll.
#
# Versions: keras 3.15.1, jax 0.10.2, torch 2.13.0, numpy 2.4.6.
# Expected: one layer, one set of weights, one mask and one initial_state give one answer; unroll is said
#   to change speed and memory only.
# Seen: before a row's first unmasked step the output is the initial state on the numpy and jax backends,
#   but 0 on torch, and 0 on every backend with unroll=True. A row masked throughout gives, without
#   return_sequences, its state (0.5) or 0. The returned state is 0.5 everywhere:
#     numpy  loop    left-padded row 0.50 0.50 -0.77 -0.93, fully masked row: last output 0.50, state 0.50
#     numpy  unroll  left-padded row 0.00 0.00 -0.77 -0.93, fully masked row: last output 0.00, state 0.50
#     jax    loop    left-padded row 0.50 0.50 -0.77 -0.93, fully masked row: last output 0.50, state 0.50
#     jax    unroll  left-padded row 0.00 0.00 -0.77 -0.93, fully masked row: last output 0.00, state 0.50
#     torch  loop    left-padded row 0.00 0.00 -0.77 -0.93, fully masked row: last output 0.00, state 0.50
#     torch  unroll  left-padded row 0.00 0.00 -0.77 -0.93, fully masked row: last output 0.00, state 0.50
# Why it matters: whoever streams in chunks with a carried state meets rows with nothing new in a chunk.
#   With one backend the output still holds what the row knew; with the other it is wiped, while the
#   state is not, so the two no longer agree. A decoder over left-padded rows is fed other numbers, too.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2 torch==2.13.0 numpy==2.4.6
cd "$tmp"
cat > seen.py <<'PY'
import keras
import numpy as np

x = np.ones((2, 4, 3), np.float32)
mask = np.array([[False, False, True, True], [False, False, False, False]])
state = np.full((2, 2), 0.5, np.float32)
rng = np.random.default_rng(0)
weights = None
for unroll in (False, True):
    rows = []
    for sequences in (True, False):
        layer = keras.layers.GRU(2, return_sequences=sequences, return_state=True, unroll=unroll)
        layer(x)
        weights = weights or [rng.standard_normal(w.shape).astype(np.float32) for w in layer.get_weights()]
        layer.set_weights(weights)
        rows.append([keras.ops.convert_to_numpy(part) for part in layer(x, mask=mask, initial_state=state)])
    (steps, _), (last, final) = rows
    print(
        f"{keras.backend.backend():6} {'unroll' if unroll else 'loop':7} left-padded row "
        + " ".join(f"{v:.2f}" for v in steps[0, :, 0])
        + f", fully masked row: last output {last[1, 0]:.2f}, state {final[1, 0]:.2f}"
    )
PY
venv/bin/python - <<'PY'
from importlib.metadata import version

print(*(f"{name} {version(name)}" for name in ("keras", "jax", "torch", "numpy")))
PY
for backend in numpy jax torch; do
  KERAS_BACKEND=$backend venv/bin/python seen.py | tee -a seen.txt
done
held="left-padded row 0.50 0.50 -0.77 -0.93, fully masked row: last output 0.50, state 0.50"
wiped="left-padded row 0.00 0.00 -0.77 -0.93, fully masked row: last output 0.00, state 0.50"
cat > want.txt <<TXT
numpy  loop    $held
numpy  unroll  $wiped
jax    loop    $held
jax    unroll  $wiped
torch  loop    $wiped
torch  unroll  $wiped
TXT
diff want.txt seen.txt
