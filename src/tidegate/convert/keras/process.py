"""A file of Keras, read in a process of its own.

HDF5's library can loop for ever in a damaged file, and no thread can stop it. So a process reads the file, with limits
of time and memory, and sends back JSON and numbers.
"""

import json
import os
import subprocess
import sys
from math import prod
from typing import Any, BinaryIO

import numpy as np

from tidegate.convert.certificate import ConversionError
from tidegate.convert.keras.file import Array, KerasLayer, KerasModel, read_here

LONGEST = 60.0
"""Seconds that a file may take, and one more for each 10 MB."""

_BYTES_A_SECOND = 10_000_000
_MEMORY = 2**31  # bytes beside four times the file


def read(path: str | os.PathLike[str]) -> KerasModel:
    """Reads a model as `read_here` does, in a process that is ended if it takes too long.

    Raises:
        OSError: There is no such file.
        ConversionError: It is no model of Keras, or a damaged one, or its layers form no chain.
    """
    size, name = os.path.getsize(path), os.fsdecode(path)
    command = [sys.executable, "-c", f"from {__name__} import send; send()", os.path.abspath(name), name]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(  # noqa: S603 - Python itself
            command, capture_output=True, check=False, timeout=LONGEST + size / _BYTES_A_SECOND, env=environment
        )
    except subprocess.TimeoutExpired:
        raise ConversionError(f"{name} is damaged: HDF5's library did not get through it in {LONGEST:.0f} s") from None
    if done.returncode:
        raise ConversionError(f"{name} is damaged: the process that read it ended with {done.returncode}")
    return _received(done.stdout)


def send() -> None:
    """Reads the file that the command line names, and writes what is in it to standard output."""
    _, path, name = sys.argv
    _limit_memory(4 * os.path.getsize(path) + _MEMORY)
    try:
        model = read_here(path)
    except ConversionError as error:
        _write(sys.stdout.buffer, {"error": str(error).replace(path, name)}, [])
        return
    layers, arrays = [], []
    for layer in model.layers:
        shapes = {way: [array.shape for array in some] for way, some in layer.arrays.items()}
        layers.append([layer.kind, layer.config, shapes])
        arrays += [array for some in layer.arrays.values() for array in some]
    _write(sys.stdout.buffer, {"layers": layers, "version": model.version, "texts": dict(model.texts)}, arrays)


def _limit_memory(most: int) -> None:
    """Lets this process take so many bytes beside what it has, where the system can say so."""
    try:
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    except (ImportError, ValueError, OSError):
        return


def _write(out: BinaryIO, facts: dict[str, Any], arrays: list[Array]) -> None:
    header = json.dumps(facts).encode()
    out.write(len(header).to_bytes(8, "little") + header)
    out.writelines(array.astype("<f4").tobytes() for array in arrays)


def _received(data: bytes) -> KerasModel:
    """Puts together what `send` wrote.

    Raises:
        ConversionError: It is an error.
    """
    start = 8 + int.from_bytes(data[:8], "little")
    facts = json.loads(data[8:start])
    if "error" in facts:
        raise ConversionError(facts["error"])
    layers = []
    for kind, config, ways in facts["layers"]:
        arrays: dict[str, tuple[Array, ...]] = {}
        for way, shapes in ways.items():
            some = []
            for shape in shapes:
                some.append(np.frombuffer(data, "<f4", prod(shape), start).reshape(shape))
                start += some[-1].nbytes
            arrays[way] = tuple(some)
        layers.append(KerasLayer(kind, config, arrays))
    return KerasModel(tuple(layers), tuple(facts["version"]), facts["texts"])
