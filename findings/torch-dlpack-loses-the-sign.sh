#!/usr/bin/env bash
# Through DLPack the imaginary part of a conjugate of torch arrives with the wrong sign.
#
# Versions: torch 2.13.0, numpy 2.4.6.
# Expected: `z.conj().imag` is a view whose numbers torch negates as it reads them (its "negative bit"). DLPack has no
#   word for that, so exporting it is an error, as it is for the conjugate itself and in `.numpy()`; or it is negated.
# Seen: `.numpy()` refuses it, `z.conj()` is refused by DLPack, but the imaginary part is exported as it lies in memory:
#     torch [-2.0, 4.0]   numpy.from_dlpack [2.0, -4.0]   torch.from_dlpack [2.0, -4.0]
#   The C functions of DLPack 1.3 (`__dlpack_c_exchange_api__`), which extensions use for speed, do the same: nothing in
#   the structure says so. `.resolve_neg()` before the export gives the right numbers.
# Why it matters: spectra are what people hand to other libraries, and a phase of the wrong sign looks right.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import numpy as np
import torch

z = torch.tensor([1 + 2j, 3 - 4j])
part = z.conj().imag
print("torch", torch.__version__, "numpy", np.__version__)
print("torch", part.tolist(), "  numpy.from_dlpack", np.from_dlpack(part).tolist(), end="   ")
print("torch.from_dlpack", torch.from_dlpack(part).tolist())
assert part.is_neg() and part.tolist() == [-2.0, 4.0]
assert np.from_dlpack(part).tolist() == torch.from_dlpack(part).tolist() == [2.0, -4.0]
assert np.from_dlpack(part.resolve_neg()).tolist() == [-2.0, 4.0]
for name, refused in (("numpy()", lambda: part.numpy()), ("DLPack of z.conj()", lambda: np.from_dlpack(z.conj()))):
    try:
        refused()
    except (RuntimeError, BufferError) as error:
        print(f"{name} is refused: {error}")
    else:
        raise SystemExit(f"{name} is not refused any more")
PY
