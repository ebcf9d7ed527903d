#!/usr/bin/env bash
# OpenVINO converts a torch LSTM over packed sequences into one that runs over the padding.
#
# Versions: openvino 2026.4.1, torch 2.13.0, numpy 2.4.6.
# Expected: pack_padded_sequence, nn.LSTM, pad_packed_sequence convert to an LSTM that stops at each row's
#   length; or the model is refused, as the same model with nn.GRU or nn.RNN is.
# Seen: convert_model raises nothing and keeps an input for the lengths, but they do not matter: the
#   answers are those of the layer on the padded rows. Only the full row is right; from torch:
#     lengths 6 4 2, one direction: outputs in the row 6.0e-08, past its end 3.5e-01, last state 3.3e-01
#     lengths 6 4 2, bidirectional: outputs in the row 1.2e-01, past its end 7.3e-01, last state 2.9e-01
#     GRU: OpConversionFailure
#     RNN: OpConversionFailure
# Why it matters: a text classifier takes the last state, or a bidirectional output; in OpenVINO it then
#   reads the padding of every row but the longest. A check with rows of one length finds nothing.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q openvino==2026.4.1 torch==2.13.0 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import numpy as np
import openvino as ov
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Packed(nn.Module):
    def __init__(self, cls, bidirectional):
        super().__init__()
        self.layer = cls(4, 5, batch_first=True, bidirectional=bidirectional)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True)
        out, state = self.layer(packed)
        out, _ = pad_packed_sequence(out, batch_first=True)
        return out, state[0] if isinstance(state, tuple) else state


print("openvino", ov.__version__, "torch", torch.__version__, "numpy", np.__version__)
torch.manual_seed(0)
torch.set_grad_enabled(False)
x = torch.randn(3, 6, 4)
lengths = torch.tensor([6, 4, 2])
inside = np.arange(6) < lengths.numpy()[:, None]
for bidirectional in (False, True):
    module = Packed(nn.LSTM, bidirectional).eval()
    converted = ov.convert_model(module, example_input=(x, lengths))
    compiled = ov.Core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = compiled([x.numpy(), lengths.numpy()])
    out, state = (answer[part].copy() for part in compiled.outputs)
    other = compiled([x.numpy(), np.array([6, 6, 6])])
    assert np.array_equal(out, other[compiled.output(0)]) and np.array_equal(state, other[compiled.output(1)])
    true_out, true_state = (part.numpy() for part in module(x, lengths))
    padded_out, (padded_state, _) = module.layer(x)
    off = np.abs(out - true_out)
    state_off = np.abs(state - true_state).max()
    print(
        f"lengths 6 4 2, {'bidirectional' if bidirectional else 'one direction'}: outputs in the row "
        f"{off[inside].max():.1e}, past its end {off[~inside].max():.1e}, last state {state_off:.1e}"
    )
    assert np.allclose(out, padded_out.numpy(), atol=1e-6) and np.allclose(state, padded_state.numpy(), atol=1e-6)
    assert state_off > 0.05 and off[~inside].max() > 0.05, "OpenVINO now heeds the lengths"
    assert (off[inside].max() > 0.05) == bidirectional
for cls in (nn.GRU, nn.RNN):
    try:
        ov.convert_model(Packed(cls, False).eval(), example_input=(x, lengths))
    except Exception as error:
        print(f"{cls.__name__}: {type(error).__name__}")
        assert "PackPadded" in str(error)
    else:
        raise SystemExit(f"{cls.__name__} over packed sequences is converted now")
PY
