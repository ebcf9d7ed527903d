#!/usr/bin/env bash
# Two OpenVINO Cores that are closed in the order in which they were made: the next signal kills the process.
#
# Versions: openvino 2026.4.1, numpy 2.4.6, Linux x86-64.
# Expected: whatever order models and Cores are freed in, a Python signal handler runs: that of Ctrl-C, or
#   of SIGCHLD (torch's DataLoader installs one, asyncio too).
# Seen: the CPU plugin of each Core gives the calling thread a signal stack of its own, and at its end puts
#   back the one before it, if its own is still there, and frees its memory in any case. Closed last in,
#   first out, that works. First in, first out, the thread is left with the stack of the first, which is
#   unmapped. Python's handlers run on that stack, so the kernel can't deliver the next signal: SIGSEGV,
#   with si_code SI_KERNEL and no address, in whatever the thread does then, most often waitpid().
#     last in, first out   ['mapped', 'a handler runs'] 0
#     first in, first out  ['not mapped'] -11
# Why it matters: the crash comes much later, in code that has nothing to do with OpenVINO. Here it ended
#   a run of tests that made a Core for each model. One Core for the process avoids it.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q openvino==2026.4.1 numpy==2.4.6
cd "$tmp"
cat >cores.py <<'PY'
import ctypes
import gc
import signal
import subprocess
import sys

import numpy as np
import openvino
from openvino import opset13 as ops


class Stack(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def stack_is_mapped():
    stack = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    if stack.flags & 2:  # SS_DISABLE: there is none
        return True
    ranges = [[int(end, 16) for end in line.split()[0].split("-")] for line in open("/proc/self/maps")]
    return any(first <= stack.address < last for first, last in ranges)


def compiled():
    x = ops.parameter([3])
    core = openvino.Core()
    model = core.compile_model(openvino.Model([ops.relu(x)], [x]), "CPU")
    model([np.ones(3, np.float32)])
    return core, model


models = [compiled(), compiled()]
while models:
    models.pop(int(sys.argv[1]))
    gc.collect()
print("mapped" if stack_is_mapped() else "not mapped", flush=True)
signal.signal(signal.SIGCHLD, lambda *_: None)
subprocess.run(["true"], check=True)
print("a handler runs")
PY
venv/bin/python - <<'PY'
import subprocess
import sys

results = {}
for name, place in {"last in, first out": "-1", "first in, first out": "0"}.items():
    run = subprocess.run([sys.executable, "cores.py", place], capture_output=True, text=True)
    results[name] = (run.stdout.split("\n")[:-1], run.returncode)
    print(f"{name:20}", *results[name])
assert results["last in, first out"] == (["mapped", "a handler runs"], 0)
assert results["first in, first out"] == (["not mapped"], -11)
PY
