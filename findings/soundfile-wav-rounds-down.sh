#!/usr/bin/env bash
# soundfile writes floats to WAV rounded down, and to FLAC rounded to the nearest: the two lossless files differ.
#
# Versions: soundfile 0.14.0 (libsndfile 1.2.2), numpy 2.4.6.
# Expected: `soundfile.write(path, floats, rate, subtype="PCM_16")` stores the nearest of 65,536 values, whatever the
#   container: WAV and FLAC hold the same samples, the mean error is 0, and silence with rounding errors stays silence.
# Seen: in WAV, AIFF and AU each value is rounded down (of 32 bits, the upper ones are kept). Of 100,001 values:
#     WAV  PCM_16  mean error -0.50 steps, largest 1.00, -1e-9 becomes -1: rounded down
#     AIFF PCM_16  mean error -0.50 steps, largest 1.00, -1e-9 becomes -1: rounded down
#     AU   PCM_16  mean error -0.50 steps, largest 1.00, -1e-9 becomes -1: rounded down
#     WAV  PCM_U8  mean error -0.50 steps, largest 1.00, -1e-9 becomes -1: rounded down
#     WAV  PCM_24  mean error -0.50 steps, largest 1.00, -1e-9 becomes -1: rounded down
#     FLAC PCM_16  mean error -0.00 steps, largest 0.50, -1e-9 becomes 0: the nearest
#     FLAC PCM_24  mean error -0.00 steps, largest 0.50, -1e-9 becomes 0: the nearest
#   There is no warning and no setting. `np.round(x * 32768).clip(-32768, 32767).astype(np.int16)` is kept as it is.
# Why it matters: a clip that was cut, resampled or mixed and saved as WAV has an offset and twice the largest error; of
#   8 bits the offset is 0.4 % of full scale, and silence with a -1e-9 in it is a sound of -42 dB. What stands before a
#   network is log energy, where that shows; and a set of clips in FLAC is not the same set in WAV.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q soundfile==0.14.0 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import io

import numpy as np
import soundfile

print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__, "numpy", np.__version__)
x = np.append(0.1 * np.random.default_rng(0).standard_normal(100_000), -1e-9).clip(-0.9, 0.9)
seen = {}
for form, subtype, bits in (
    ("WAV", "PCM_16", 16),
    ("AIFF", "PCM_16", 16),
    ("AU", "PCM_16", 16),
    ("WAV", "PCM_U8", 8),
    ("WAV", "PCM_24", 24),
    ("FLAC", "PCM_16", 16),
    ("FLAC", "PCM_24", 24),
):
    file = io.BytesIO()
    soundfile.write(file, x, 16_000, format=form, subtype=subtype)
    file.seek(0)
    steps = x * 2 ** (bits - 1)
    stored = soundfile.read(file)[0] * 2 ** (bits - 1)  # 1.0 is 2 ** (bits - 1) steps, so these are whole
    assert (stored == np.round(stored)).all()
    error = stored - steps
    upper = np.floor(np.rint(x * 2**31) / 2 ** (32 - bits))
    rule = "rounded down" if (stored == upper).all() else "the nearest" if (stored == np.rint(steps)).all() else "other"
    seen[form, subtype] = rule, int(stored[-1])
    errors = f"mean error {error.mean():.2f} steps, largest {abs(error).max():.2f}"
    print(f"{form:4} {subtype}  {errors}, -1e-9 becomes {stored[-1]:.0f}: {rule}")
assert all(seen.pop(("FLAC", subtype)) == ("the nearest", 0) for subtype in ("PCM_16", "PCM_24"))
assert set(seen.values()) == {("rounded down", -1)}, seen

whole = np.round(x * 32768).clip(-32768, 32767).astype(np.int16)
file = io.BytesIO()
soundfile.write(file, whole, 16_000, format="WAV", subtype="PCM_16")
file.seek(0)
assert (soundfile.read(file, dtype="int16")[0] == whole).all()
PY
