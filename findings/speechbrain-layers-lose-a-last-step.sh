#!/usr/bin/env bash
# SpeechBrain's GRU, LSTM and RNN leave out the last step of some rows: relative lengths are cut to whole steps, not rounded.
#
# Versions: speechbrain 1.1.2, torch 2.13.0, numpy 2.4.6.
# Expected: a batch says the length of a row as a share of the longest, as SpeechBrain's PaddedBatch computes it; a row
#   of n of T steps is read for n steps.
# Seen: n / T in float32, times T, is just below n for some n, and what is handed to pack_padded_sequence loses its
#   fraction: n - 1 steps are read.
#     of rows of  100 steps at most,  2 lengths of  100 lose a step: 53, 59
#     of rows of 1000 steps at most,  5 lengths of 1000 lose a step
#     of rows of 1600 steps at most, 66 lengths of 1600 lose a step
#   The output of the last step is 0, the final state is that of the step before, and there is no warning. The lengths
#   come from PaddedBatch itself. Which rows it meets depends on the longest row of their batch.
# Why it matters: one frame is little, but where the last step is the summary of a row, or a row has few steps, its
#   answer changes with what else is in the batch, and an output of 0 is averaged. round() before the cut helps.
#
# torchaudio, which SpeechBrain imports, has no wheel for a torch without CUDA. Nothing of it is used here, so an empty
# module stands in its place.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 scipy tqdm packaging joblib sentencepiece pyyaml ruamel.yaml \
  'huggingface-hub>=2.4' soundfile requests
"$tmp/venv/bin/pip" install -q --no-deps speechbrain==1.1.2 hyperpyyaml==1.2.3
mkdir "$tmp/torchaudio"
cat >"$tmp/torchaudio/__init__.py" <<'PY'
__version__ = "2.11.0"


def list_audio_backends():
    return ["soundfile"]
PY
for name in transforms functional compliance io; do touch "$tmp/torchaudio/$name.py"; done
cd "$tmp"
PYTHONPATH=$tmp venv/bin/python -W ignore - <<'PY' 2>quiet || { cat quiet; exit 1; }
from importlib.metadata import version

import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.nnet.RNN import GRU, LSTM, RNN

print("speechbrain", version("speechbrain"), "torch", torch.__version__)
for most, expected in ((100, 2), (1000, 5), (1600, 66)):
    lengths = torch.arange(1, most + 1)
    batch = PaddedBatch([{"x": torch.ones(int(length), 1)} for length in lengths])
    for kind in (GRU, LSTM, RNN):
        torch.manual_seed(0)
        layer = kind(hidden_size=2, input_size=1).eval()
        with torch.no_grad():
            outputs, _ = layer(batch.x.data, lengths=batch.x.lengths)
        padded = torch.zeros(most, most, 2)
        padded[:, : outputs.shape[1]] = outputs
        read = (padded.abs().sum(2) > 0).sum(1)
        lost = lengths[read != lengths]
        assert (read[lost - 1] == lost - 1).all()
        assert len(lost) == expected, (kind, most, len(lost))
    shown = ": " + ", ".join(map(str, lost.tolist())) if most == 100 else ""
    print(f"of rows of {most:4} steps at most, {len(lost):2} lengths of {most:4} lose a step{shown}")
PY
