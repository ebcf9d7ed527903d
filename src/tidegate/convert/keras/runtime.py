"""Keras as the runtime of its own files."""

import os
import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.found import Found
from tidegate.convert.matching import Runtime, reference_runtime, rows_of

Array = npt.NDArray[Any]

_BACKENDS = ("torch", "tensorflow", "jax")  # those without a compiler first


def import_keras() -> Any:
    """Imports Keras, on the first backend that is installed unless the user chose one.

    Raises:
        ModuleNotFoundError: It, or what it computes with, is not installed.
    """
    if find_spec("keras") is None:
        raise ModuleNotFoundError("Keras, which is not installed: pip install keras torch")
    backend = next((name for name in _BACKENDS if find_spec(name)), None)
    if backend is None:
        raise ModuleNotFoundError("Keras, which has no backend here: pip install torch")
    if "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", backend)
    try:
        return import_module("keras")
    except ModuleNotFoundError as error:  # of the backend that the user chose
        raise ModuleNotFoundError(f"Keras, which cannot be imported: {error}") from error


def name_of(keras: Any) -> str:
    """Returns the name of Keras as a runtime, with its version and its backend."""
    return f"keras {keras.__version__} on {keras.backend.backend()}"


def runtime_of(path: str | os.PathLike[str], found: Found) -> Runtime:
    """Loads a file in Keras; where Keras cannot be asked, the reference computes what was read of the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            keras = import_keras()
        except ModuleNotFoundError as error:
            return reference_runtime(found, f"not compared with {error}")
        try:
            model = keras.saving.load_model(path, compile=False)
        except Exception as error:  # noqa: BLE001 - it has many, as of files of Keras 2
            reason = f"{type(error).__name__}: {' '.join(str(error).split()):.100}"
            return reference_runtime(found, f"not compared with Keras, which does not load the file ({reason})")
    rows, steps, *_ = [*(shape if isinstance(shape := model.input_shape, tuple) else ()), None, None]
    stateful = [layer for layer in model.layers if getattr(layer, "stateful", False)]
    width = len(found.head.weight) if found.head else sum(w.w_hh.shape[1] for w in found.layers[-1].directions)

    def run(sequence: Array) -> Array | None:
        if not len(sequence):
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                for layer in stateful:
                    layer.reset_states() if hasattr(layer, "reset_states") else layer.reset_state()
                x = keras.ops.convert_to_tensor(np.repeat(sequence[None], rows or 1, axis=0))
                out = keras.ops.convert_to_numpy(model(x, training=False))
            except Exception:  # noqa: BLE001 - Keras loads models that it cannot run, as of directions of other widths
                return None
        return rows_of(out, len(sequence), width, rows or 1)

    return Runtime(name_of(keras), run, steps and (steps,) * 3)
