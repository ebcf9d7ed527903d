#!/usr/bin/env bash
# pyarrow's iter_batches holds a whole row group in memory, unless a buffer size is set and pre_buffer is off.
#
# Versions: pyarrow 26.0.1.
# Expected: `ParquetFile.iter_batches(1000)` reads a large file in little memory, as its name says; or at least
#   `pre_buffer=False` does, whose documentation speaks of reading ahead.
# Seen, of a row group of 96 MB, after two batches of 1,000 rows:
#     defaults 96 MB   pre_buffer=False 96 MB   buffer_size=1 MiB 96 MB   both 4 MB
# Why it matters: many writers make one row group of the whole table, and then streaming takes as much memory as reading.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q pyarrow==26.0.1
cd "$tmp"
venv/bin/python - <<'PY'
import random

import pyarrow as pa
from pyarrow import parquet

rows = 4_000_000
column = pa.array(memoryview(random.Random(0).randbytes(8 * rows)).cast("q"))
table = pa.table({name: column for name in "abc"})
parquet.write_table(table, "one_group.parquet", row_group_size=rows, compression="none", use_dictionary=False)
PY
cat >read.py <<'PY'
import sys

import pyarrow as pa
from pyarrow import parquet

most, options = float(sys.argv[1]), dict(eval(sys.argv[2]))
with parquet.ParquetFile("one_group.parquet", **options) as file:
    batches = file.iter_batches(1000)
    next(batches), next(batches)
    held = pa.total_allocated_bytes() / 1e6
print(f"pyarrow {pa.__version__} {options or 'defaults'}: {held:.0f} MB")
assert most - 20 < held < most
PY
venv/bin/python read.py 110 '{}'
venv/bin/python read.py 110 '{"pre_buffer": False}'
venv/bin/python read.py 110 '{"buffer_size": 1 << 20}'
venv/bin/python read.py 10 '{"pre_buffer": False, "buffer_size": 1 << 20}'
