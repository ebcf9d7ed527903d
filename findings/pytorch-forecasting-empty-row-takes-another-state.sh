#!/usr/bin/env bash
# pytorch-forecasting: a row of length 0 is given the initial state of another row, and an LSTM's cell that of h.
#
# Versions: pytorch-forecasting 1.8.0, torch 2.13.0, pandas 2.3.3, numpy 2.4.6.
# Expected: its GRU and LSTM "can handle zero-length sequences": no step is taken, so the last state is the row's own
#   initial state, and what a row gives does not depend on the other rows of the batch.
# Seen: with lengths 4, 2, 0 and initial states h = 0.1, 0.2, 0.3, c = 10.1, 10.2, 10.3 of the three rows, the row of
#   length 0 gets h of the first row, and so does its c; where all rows are of length 0, zeros:
#     GRU    4 2 0  last h 0.1  (its own is 0.3)
#     LSTM   4 2 0  last h 0.1, last c 0.1  (its own are 0.3 and 10.3)
#     GRU    0 0 0  last h 0.0
#     LSTM   0 0 0  last h 0.0, last c 0.0
#   One forecast of a TemporalFusionTransformer (untrained, eval mode) for a shop without history, which is the second
#   row of a batch of two; only the first row, of another shop, differs:
#     shop 3 behind a row of shop 0: median of the next value -0.5060
#     shop 3 behind a row of shop 1: median of the next value -0.5760
#     shop 3 behind a row of shop 2: median of the next value -0.5862
#   It is masked_scatter, which takes the source's first elements and not those under the mask; for c the source is h.
# Why it matters: a TFT makes the initial state out of what is known of a series (static_categoricals), which is all
#   that a forecast without history (min_encoder_length=0) has to go by: it is that of the batch's first series.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q pytorch-forecasting==1.8.0 torch==2.13.0 pandas==2.3.3 numpy==2.4.6
cd "$tmp"
venv/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import pandas as pd
import torch
from pytorch_forecasting import TemporalFusionTransformer, TimeSeriesDataSet
from pytorch_forecasting.models.nn.rnn import GRU, LSTM

print(*(f"{name} {version(name)}" for name in ("pytorch-forecasting", "torch", "pandas", "numpy")))
torch.manual_seed(0)
x = torch.randn(3, 4, 2)
h = torch.tensor([0.1, 0.2, 0.3])[None, :, None].expand(1, 3, 2).contiguous()
for lengths, seen in (([4, 2, 0], 0.1), ([0, 0, 0], 0.0)):
    for kind in (GRU, LSTM):
        _, last = kind(2, 2, batch_first=True)(x, (h, h + 10) if kind is LSTM else h, lengths=torch.tensor(lengths))
        parts = dict(zip("hc", last if kind is LSTM else [last]))
        print(
            f"{kind.__name__:6}",
            *lengths,
            " " + ", ".join(f"last {name} {part[0, 2, 0]:.1f}" for name, part in parts.items()),
        )
        for part in parts.values():
            assert torch.allclose(part[0, 2], torch.tensor(seen)), "the state of an empty row is another one now"

rng = np.random.default_rng(0)
data = pd.DataFrame(
    [{"shop": f"s{s}", "time": t, "value": float(rng.standard_normal())} for s in range(4) for t in range(8)]
)
series = TimeSeriesDataSet(
    data,
    time_idx="time",
    target="value",
    group_ids=["shop"],
    min_encoder_length=0,
    max_encoder_length=4,
    min_prediction_length=2,
    max_prediction_length=2,
    static_categoricals=["shop"],
    time_varying_known_reals=["time"],
    time_varying_unknown_reals=["value"],
)
torch.manual_seed(0)
model = TemporalFusionTransformer.from_dataset(series, hidden_size=8, attention_head_size=1, dropout=0.0).eval()
rows, _ = next(iter(series.to_dataloader(train=False, batch_size=len(series))))
shops, lengths = rows["groups"].ravel(), rows["encoder_lengths"]
place = lambda shop, length: int(torch.where((shops == shop) & (lengths == length))[0][0])
forecasts = []
for first in range(3):
    two = [place(first, 4), place(3, 0)]
    batch = {name: value[two] if torch.is_tensor(value) else value for name, value in rows.items()}
    assert batch["encoder_lengths"].tolist() == [4, 0]
    with torch.no_grad():
        forecasts.append(model(batch)["prediction"][1, 0, 3].item())
    print(f"shop 3 behind a row of shop {first}: median of the next value {forecasts[-1]:.4f}")
assert max(forecasts) - min(forecasts) > 1e-3, "a forecast no longer depends on the other row"
PY
