"""Asks the service what its description allows, and what it does not: no answer may be a fault of the server.

python fuzz/openapi.py SCHEMATHESIS [--examples 1500]

SCHEMATHESIS is the command of https://schemathesis.readthedocs.io, from an environment of its own (`make openapi`). It
draws requests for each endpoint of /openapi.json. The server ends with the run, and logs what failed.
"""

import argparse
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import uvicorn

sys.path.insert(0, str(Path(__file__).parent / "targets"))

import tidegate
from models import make_model
from tidegate import serve
from tidegate.serve.server import configured


def models() -> dict[str, tidegate.Network]:
    """One that reads texts, and one of sequences of two numbers; the second may be missing."""
    config = tidegate.SequenceConfig(cell="gru", labels=("rest", "walk"), features=2, missing=(1,), hidden_size=4)
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in config.shapes().items()}
    arrays["features.scale"] = np.ones(2, np.float32)
    return {"reviews": make_model("gru"), "sensors": tidegate.SequenceModel(config, arrays)}


def answered(address: str) -> dict[int, int]:
    """Returns how many requests were answered, by status."""
    with urlopen(f"{address}/metrics") as found:  # noqa: S310 - our own address
        lines = re.findall(r'^http_requests_total\{.*status="(\d+)"\} (\S+)', found.read().decode(), re.MULTILINE)
    counts: dict[int, int] = {}
    for status, count in lines:
        counts[int(status)] = counts.get(int(status), 0) + round(float(count))
    return counts


def main() -> int:
    """Runs schemathesis; returns its exit code, or 1 where a request failed that it did not see."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", help="the schemathesis command")
    parser.add_argument("--examples", type=int, default=1500, help="requests that are drawn for each endpoint")
    options = parser.parse_args()
    server = uvicorn.Server(configured(serve.create_app(models())))
    with serve.listen("127.0.0.1", 0) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        thread: Any = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        phases = ["--phases", "examples,coverage,fuzzing", "--checks", "not_a_server_error", "--continue-on-failure"]
        rest = ["--max-examples", str(options.examples), "--suppress-health-check", "all", "--warnings", "off"]
        code = subprocess.run(
            [options.command, "run", f"{address}/openapi.json", *phases, *rest], check=False
        ).returncode
        counts = answered(address)
        server.should_exit = True
        thread.join()
    print(f"{sum(counts.values()):,} requests, by status: {dict(sorted(counts.items()))}")
    return code or int(any(status >= 500 for status in counts))


if __name__ == "__main__":
    sys.exit(main())
