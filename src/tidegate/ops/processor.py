"""What this machine's processor is called, for what is measured on it."""

import os
import platform
from pathlib import Path

__all__ = ["processor"]


def processor() -> str:
    """Names the processor and how many there are; on Linux with its family and model, for makers reuse names.

    Example:
        >>> processor().endswith("processors")
        True

    Returns:
        For example “AMD EPYC (family 25, model 17), 2 processors”.
    """
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    said = {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}
    name = said.get("model name", name)
    if {"cpu family", "model"} <= said.keys():
        name += f" (family {said['cpu family']}, model {said['model']})"
    return f"{name}, {os.cpu_count()} processors"
