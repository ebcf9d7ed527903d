"""Fuzzes `tidegate.load` with the bytes of a file: a ModelFileError, or a model that predicts."""

import atheris
from harness import fuzz, place_of

with atheris.instrument_imports(include=["tidegate"]):
    import tidegate

PATH = place_of("model.safetensors")


def read(data: bytes) -> None:
    """Loads a file of these bytes."""
    PATH.write_bytes(data)
    try:
        model = tidegate.load(PATH)
    except tidegate.ModelFileError:
        return
    if isinstance(model, tidegate.TextModel):
        model.encode(["a good film"])


if __name__ == "__main__":
    fuzz(read)
