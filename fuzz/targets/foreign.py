"""Fuzzes what reads other frameworks' files (ONNX, Keras, RNNoise, safetensors): one clear error, or layers.

Of Keras it is the configuration of an archive whose weights are right: HDF5's library loops in damaged ones, which is
why `convert` reads them in a process of its own. They are the same every time, so what was read of them is kept.
"""

import io
import zipfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import atheris
import h5py
from harness import fuzz, place_of

with atheris.instrument_imports(include=["tidegate"]):
    from tidegate.convert import rnnoise
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
ARCHIVE = Path(__file__).parents[2] / "tests" / "convert" / "keras" / "words.keras"
WEIGHTS = h5py.File(io.BytesIO(zipfile.ZipFile(ARCHIVE).read(keras_file.WEIGHTS)))
for reading in ("variables", "members", "attribute_of"):
    setattr(keras_file, reading, lru_cache(4096)(getattr(keras_file, reading)))


def read(data: bytes) -> None:
    """Reads a file of these bytes by how it begins, as `convert` does, and joins its layers."""
    if not data.startswith(b"{"):
        PATH.write_bytes(data)
    with suppress(ConversionError):
        if data.startswith(b"{"):
            with keras_file.one_error("it"):
                model = keras_file.model_in(data, b"{}", WEIGHTS)
            found = keras_source.found_in(model)
        elif data.startswith(rnnoise.MAGIC):
            found = rnnoise.found_in_rnnoise(rnnoise.read_weights(PATH))
        elif data[8:9] == b"{":
            found = found_in_torch(read_safetensors(PATH))
        else:
            found = onnx_graph.found_in(Values(onnx_file.read(PATH)))
        stack(found)


if __name__ == "__main__":
    fuzz(read)
