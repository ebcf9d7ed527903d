"""Fuzzes what reads other frameworks' files (ONNX, Keras, RNNoise, safetensors): one clear error, or layers.

Of Keras it is the configuration of an archive whose weights are right, or what a file of ours says of its model beside
such weights: HDF5's library loops in damaged ones, which is why `convert` reads them in a process of its own. They are
the same every time, so what was read of them is kept.
"""

import io
import zipfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import atheris
import h5py
from harness import fuzz, place_of

from models import make_model

with atheris.instrument_imports(include=["tidegate"]):
    from tidegate.convert import own, rnnoise
    from tidegate.convert.certificate import ConversionError
    from tidegate.convert.found import Found, Wishes, stack
    from tidegate.convert.keras import file as keras_file
    from tidegate.convert.keras import own as keras_own
    from tidegate.convert.keras import source as keras_source
    from tidegate.convert.onnx import file as onnx_file
    from tidegate.convert.onnx import graph as onnx_graph
    from tidegate.convert.onnx.values import Values
    from tidegate.convert.tensor_files import read_safetensors
    from tidegate.convert.to_keras import keras_weights
    from tidegate.convert.torch.state_dict import found_in_torch

PATH = place_of("foreign")
ARCHIVE = Path(__file__).parents[2] / "tests" / "convert" / "keras" / "words.keras"
WEIGHTS = h5py.File(io.BytesIO(zipfile.ZipFile(ARCHIVE).read(keras_file.WEIGHTS)))
OURS = h5py.File(io.BytesIO(keras_weights(make_model())))
for reading in ("variables", "members", "attribute_of"):
    setattr(keras_file, reading, lru_cache(4096)(getattr(keras_file, reading)))


def read_ours(data: bytes) -> Found:
    """Reads what a file of Keras that tidegate wrote says of its model, beside weights that are right."""
    with keras_file.one_error("it"), own.fitting("its weights"):
        given = keras_file.own_model_in(data, OURS)
        config = own.config_of(given.texts, Wishes())
        return own.found_of(own.made(config, given.texts, keras_own.own_arrays(config, given), Wishes()))


def read(data: bytes) -> None:
    """Reads a file of these bytes by how it begins, as `convert` does, and joins its layers."""
    if not data.startswith(b"{"):
        PATH.write_bytes(data)
    with suppress(ConversionError):
        if data.startswith(b'{"config"'):
            found = read_ours(data)
            if not found.layers:
                return
        elif data.startswith(b"{"):
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
