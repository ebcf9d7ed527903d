#!/usr/bin/env bash
# At an episode's first step, torchrl's recurrent modules start from zeros when acting, and from the stored state when training.
#
# Versions: torchrl 0.14.1, tensordict 0.14.3, torch 2.13.0.
# Expected: a rollout that is read again with the weights it was made with gives the outputs that it had.
# Seen: with `is_init` set and a state that is not zero in the tensordict, GRUModule in its usual mode, a step at a time, replaces
#   the state by zeros; in recurrent mode, all steps at once, it reads the state. The outputs of whole episodes differ.
# Why it matters: states at `is_init` are not zero where they are learned, or left from the episode before (a buffer of slices, a
#   reset that does not write them); the ratio of probabilities in PPO is then not 1 before the first update.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0 torchrl==0.14.1 tensordict==0.14.3
cd "$tmp"
venv/bin/python - <<'PY'
import tensordict
import torch
import torchrl
from tensordict import TensorDict
from torchrl.modules import GRUModule, set_recurrent_mode

print("torchrl", torchrl.__version__, "tensordict", tensordict.__version__, "torch", torch.__version__)
torch.manual_seed(0)
module = GRUModule(input_size=2, hidden_size=3, in_keys=["x", "h"], out_keys=["y", ("next", "h")])
x, stored = torch.randn(1, 3, 2), torch.randn(1, 1, 3)
first = torch.tensor([[[True], [False], [False]]])
with torch.no_grad():
    acted, h = [], stored
    for t in range(3):
        step = module(TensorDict({"x": x[:, t], "h": h, "is_init": first[:, t]}, [1]))
        acted.append(step["y"])
        h = step["next", "h"]
    states = torch.zeros(1, 3, 1, 3)
    states[:, 0] = stored
    with set_recurrent_mode(True):
        read = module(TensorDict({"x": x, "h": states, "is_init": first}, [1, 3]))["y"]
    from_zeros, from_stored = module.gru(x)[0], module.gru(x, stored.transpose(0, 1))[0]
acted = torch.stack(acted, 1)
print("largest difference", float((acted - read).abs().max()))
torch.testing.assert_close(acted, from_zeros)
torch.testing.assert_close(read, from_stored)
assert float((acted - read).abs().max()) > 0.05
PY
