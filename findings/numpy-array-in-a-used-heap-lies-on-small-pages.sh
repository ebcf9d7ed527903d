#!/usr/bin/env bash
# A large array of numpy lies on huge pages, as numpy asks for, only if its memory is new to the process.
#
# Versions: numpy 2.4.6 on Linux with glibc, transparent huge pages on or by request (/sys/kernel/mm/transparent_hugepage).
# Expected: numpy asks for huge pages (`madvise(MADV_HUGEPAGE)`) for every array of 4 MiB and more, so they all have them.
# Seen: the first array of 16 MiB is a mapping of its own, on huge pages. When it is freed, glibc raises the size from which
#   it maps, so the next one comes from the heap; where that has been used by small arrays before, its pages are there
#   already, small ones, and asking changes nothing:
#     new memory     14 of 16 MiB on huge pages
#     used heap       0 of 16 MiB on huge pages
#   Reading it takes longer: there are more pages than a core finds at once.
# Why it matters: weights that are read at every step. A step of 17 MB took 29 ms of a second in memory of `aligned_alloc`,
#   which has the same heap, and 23 ms in mappings of its own. A benchmark depends on what the process did before.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY'
import re
import sys
from pathlib import Path

import numpy as np

print("numpy", np.__version__)
setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
if not setting.exists() or "[never]" in setting.read_text():
    sys.exit("this needs a Linux whose huge pages can be asked for")

MIB, SIZE = 2**20, 16


def huge(array: np.ndarray) -> int:
    """MiB on huge pages around the middle of an array, in the stretch that numpy has asked them for."""
    for block in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text()):
        first, last = (int(end, 16) for end in block.split(" ", 1)[0].split("-"))
        if first <= array.ctypes.data + array.nbytes // 2 < last:
            return int(re.search(r"AnonHugePages:\s+(\d+)", block)[1]) // 1024
    raise LookupError(hex(array.ctypes.data))


new = np.ones(SIZE * MIB // 4, np.float32)
in_new = huge(new)
del new
small = [np.ones(MIB // 4, np.float32) for _ in range(3 * SIZE)]  # below 4 MiB, so nothing is asked for
last = small.pop()  # so that the heap keeps its length
del small
used = np.ones(SIZE * MIB // 4, np.float32)
in_used = huge(used)
print(f"new memory  {in_new:5d} of {SIZE} MiB on huge pages")
print(f"used heap   {in_used:5d} of {SIZE} MiB on huge pages")
assert in_new >= SIZE - 4
assert in_used <= SIZE // 4
PY
