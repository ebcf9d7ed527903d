#!/usr/bin/env bash
# Ray: a driver that has asked for no output of workers (log_to_driver=False) still prints on its own standard output
#   that one of them has died.
#
# Versions: ray 2.60.0.
# Expected: ray.init(log_to_driver=False) keeps standard output for the program; what Ray has to say goes to its logger,
#   which writes to standard error, and which logging_level="error" quietens.
# Seen: lines such as
#     (raylet) Task Worker.work failed. There are 3 retries remaining, so the task will be retried. Error: ...
#   on standard output. They are printed to whatever sys.stdout is by a thread of the driver.
# Why it matters: a program that writes rows to standard output, for a pipe or a file, has such a line among them when a
#   worker is killed and Ray has mended it, which nobody notices in a table of a million rows. Give Ray another
#   sys.stdout (contextlib.redirect_stdout) while the program itself writes to the file that it had before.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q 'ray==2.60.0'
cd "$tmp"
cat >lost.py <<'PY'
import os
import signal
import time

import ray

ray.init(num_cpus=1, include_dashboard=False, logging_level="error", log_to_driver=False)


@ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=3)
class Worker:
    def process(self):
        return os.getpid()

    def work(self):
        time.sleep(3)
        return "done"


worker = Worker.remote()
process = ray.get(worker.process.remote())
waiting = worker.work.remote()
time.sleep(1)
os.kill(process, signal.SIGKILL)
assert ray.get(waiting) == "done"
time.sleep(2)
PY
venv/bin/python lost.py >stdout.txt 2>stderr.txt
cut -c 1-120 stdout.txt
grep -q '(raylet).*Task Worker.work failed' stdout.txt
