"""Fuzzes `tidegate.load` behind the digest: config, tokenizer, metrics, versions and shapes, signed as they are.

An input is five texts with a line of `----` between them, the last one the shapes of the arrays by name, as JSON. Their
numbers are all one half.
"""

import json
from math import prod

import atheris
from harness import fuzz, place_of

with atheris.instrument_imports(include=["tidegate"]):
    import tidegate
    from tidegate.models.files.model_file import content_digest

import numpy as np

PATH = place_of("model.safetensors")
NAMES = ("config", "tokenizer", "metrics", "versions")
MOST_NUMBERS = 100_000  # a file that holds more is honest about them


def arrays_of(text: str) -> dict[str, np.ndarray]:
    """The arrays of these shapes; none where it is no such JSON."""
    try:
        shapes = json.loads(text)
        if sum(prod(shape) for shape in shapes.values()) > MOST_NUMBERS:
            return {}
        return {name: np.full(shape, 0.5, np.float32) for name, shape in shapes.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def file_of(texts: dict[str, str], arrays: dict[str, np.ndarray]) -> bytes:
    """The bytes of a file with these parts and the digest that belongs to them."""
    texts = texts | {"tidegate": "1"}
    header = {"__metadata__": texts | {"sha256": content_digest(arrays, texts)}}
    end = 0
    for name in sorted(arrays):
        start, end = end, end + arrays[name].nbytes
        header[name] = {"dtype": "F32", "shape": list(arrays[name].shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(arrays[name].tobytes() for name in sorted(arrays))


def read(data: bytes) -> None:
    """Loads a file of these parts; if it is a model, it predicts."""
    parts = data.decode("utf-8", "surrogateescape").split("\n----\n")
    if len(parts) != 5:
        return
    PATH.write_bytes(file_of(dict(zip(NAMES, parts, strict=False)), arrays_of(parts[4])))
    try:
        model = tidegate.load(PATH)
    except tidegate.ModelFileError:
        return
    summaries = model.encode(["a good film", ""] if isinstance(model, tidegate.TextModel) else [])
    if summaries.shape[1:] != (model.config.summary_size,):
        raise RuntimeError(f"summaries have shape {summaries.shape}, expected [B, {model.config.summary_size}]")


if __name__ == "__main__":
    fuzz(read)
