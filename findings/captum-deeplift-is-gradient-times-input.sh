#!/usr/bin/env bash
# Captum's DeepLift of a recurrent layer is the gradient times the input: its parts do not add up, and no warning says so.
#
# Versions: captum 0.9.0, torch 2.13.0, numpy 2.4.6.
# Expected: DeepLift compares with a baseline, so its parts add up to the change of the output (Shrikumar et al. 2017,
#   "summation-to-delta"); or an error, or a warning, that the layer is none it has rules for.
# Seen: it puts its rules on modules such as torch.nn.Tanh. The sigmoid and tanh inside torch.nn.GRU, LSTM and RNN are no
#   modules, so that the plain gradient goes through. Twelve steps, a baseline of zeros:
#     GRU   change -0.0836  parts of DeepLift -0.0863  of integrated gradients -0.0836  of gradient x input -0.0863
#     LSTM  change -0.1304  parts of DeepLift -0.0593  of integrated gradients -0.1304  of gradient x input -0.0593
#     RNN   change -0.2772  parts of DeepLift -0.2538  of integrated gradients -0.2772  of gradient x input -0.2538
#     two linear layers around a torch.nn.Tanh: the parts add up
#   The only warnings are about hooks and requires_grad; they come with the two linear layers too.
# Why it matters: what is printed as a comparison with a baseline ignores the baseline, and half of the answer of the
#   LSTM is missing. With return_convergence_delta=True one sees it, and that is off by default.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q captum==0.9.0 torch==2.13.0 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import warnings

import captum
import torch
from captum.attr import DeepLift, InputXGradient, IntegratedGradients
from torch import nn

print("captum", captum.__version__, "torch", torch.__version__)


class Last(nn.Module):
    """Scores by the last step of a recurrent layer."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer(4, 16, batch_first=True), nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


def parts(method, model, x, *baseline):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = method(model).attribute(x, *baseline, target=0)
    return found.detach(), sorted(str(warning.message)[:40] for warning in caught)


torch.manual_seed(0)
heard = []
for layer in (nn.GRU, nn.LSTM, nn.RNN):
    model, x = Last(layer).eval(), 3 * torch.randn(1, 12, 4)
    zeros = torch.zeros_like(x)
    change = (model(x) - model(zeros))[0, 0].item()
    deeplift, said = parts(DeepLift, model, x, zeros)
    integrated, _ = parts(IntegratedGradients, model, x, zeros)
    gradient, _ = parts(InputXGradient, model, x)
    heard.append(said)
    print(
        f"{layer.__name__:5} change {change:7.4f}  parts of DeepLift {deeplift.sum():7.4f}  "
        f"of integrated gradients {integrated.sum():7.4f}  of gradient x input {gradient.sum():7.4f}"
    )
    assert torch.allclose(deeplift, gradient, atol=1e-6)
    assert abs(integrated.sum().item() - change) < 1e-3 < abs(deeplift.sum().item() - change)

model, x = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2)).eval(), 3 * torch.randn(1, 4)
deeplift, said = parts(DeepLift, model, x, torch.zeros_like(x))
change = (model(x) - model(torch.zeros_like(x)))[0, 0].item()
print("with a torch.nn.Tanh: change", round(change, 4), "parts", round(deeplift.sum().item(), 4))
assert abs(deeplift.sum().item() - change) < 1e-5
assert heard == [said] * 3, heard
PY
