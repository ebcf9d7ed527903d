"""Fuzzes what reads other frameworks' files (ONNX, Keras, safetensors): one clear error, or layers.

Of Keras it is the configuration of an archive whose weights are right: HDF5's library loops in damaged ones, which is
why `convert` reads them in a process of its own.
"""

import zipfile
from contextlib import suppress
from pathlib import Path

import atheris
from harness import fuzz, place_of

with atheris.instrument_imports(include=["tidegate"]):
    from tidegate.convert.certificate import ConversionError
    from tidegate.convert.found import stack
    from tidegate.convert.keras import file as keras_file
    from tidegate.convert.keras import source as keras_source
    from tidegate.convert.onnx import file as onnx_file
    from tidegate.convert.onnx import graph as onnx_graph
    from tidegate.convert.onnx.values import Values
    from tidegate.convert.tensor_files import read_safetensors
    from tidegate.convert.torch.state_dict import found_in_torch

PATH = place_of("foreign")
WEIGHTS = zipfile.ZipFile(Path(__file__).parents[2] / "tests" / "convert" / "keras" / "words.keras").read(
    keras_file.WEIGHTS
)


def read(data: bytes) -> None:
    """Reads a file of these bytes by how it begins, as `convert` does, and joins its layers."""
    is_config = data.startswith(b"{")
    if is_config:
        with zipfile.ZipFile(PATH, "w") as archive:
            for name, content in (("metadata.json", b"{}"), ("config.json", data), (keras_file.WEIGHTS, WEIGHTS)):
                archive.writestr(name, content)
    else:
        PATH.write_bytes(data)
    with suppress(ConversionError):
        if is_config:
            found = keras_source.found_in(keras_file.read_here(PATH))
        elif data[8:9] == b"{":
            found = found_in_torch(read_safetensors(PATH))
        else:
            found = onnx_graph.found_in(Values(onnx_file.read(PATH)))
        stack(found)


if __name__ == "__main__":
    fuzz(read)
