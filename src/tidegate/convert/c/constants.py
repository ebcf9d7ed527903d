"""The weights of a model as constant arrays in C."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel
from tidegate.ops.compressed import Compressed
from tidegate.ops.names import parameter_names

Array = npt.NDArray[Any]

_NUMBERS_A_LINE = 12


def constants(model: Network) -> Iterator[str]:
    """Yields the arrays, with names that begin with NAME; matrices by column, as `product` reads them."""
    if isinstance(model, TextModel):
        yield from _matrix("embedding", stored(model, "embedding.weight"), transposed=False)
    if isinstance(model, SequenceModel):
        yield _array("center", model.features.center)
        yield _array("scale", model.features.scale)
    if model.rate is not None:
        yield _array("rate", np.broadcast_to(model.rate, model.config.input_size))
    for layer in range(model.config.num_layers if model.stack else 0):
        names = parameter_names(layer, False, model.config.bias)
        for kind, array in zip(("w_ih", "w_hh"), names, strict=False):
            yield from _matrix(f"{kind}_{layer}", stored(model, f"rnn.{array}"))
        rows = len(model.arrays[f"rnn.{names[0]}"])
        for kind, array in zip(("b_ih", "b_hh"), names[2:] or ["", ""], strict=True):
            yield _array(f"{kind}_{layer}", model.arrays.get(f"rnn.{array}", np.zeros(rows, np.float32)))
    if model.config.has_head:
        yield _array("head_weight", model.head_weight.T)
        yield _array("head_bias", model.head_bias)
        labels = ",\n".join(f'    "{_escaped(label)}"' for label in model.labels)
        yield f"const char *const NAME_labels[NAME_OUTPUTS] = {{\n{labels}\n}};\n"


def _matrix(name: str, weight: Array | Compressed, transposed: bool = True) -> Iterator[str]:
    """Yields a matrix and, of int8, the scales of its rows."""
    values = weight.values if isinstance(weight, Compressed) else weight
    yield _array(name, values.T if transposed else values)
    if isinstance(weight, Compressed):
        yield _array(f"{name}_scale", np.asarray(weight.scales))


def _array(name: str, values: Array) -> str:
    small = values.dtype == np.int8
    flat = values.ravel().tolist() if small else values.astype(np.float32).ravel().tolist()
    texts = [str(number) for number in flat] if small else [_float(number) for number in flat]
    lines = (texts[i : i + _NUMBERS_A_LINE] for i in range(0, len(texts), _NUMBERS_A_LINE))
    body = ",\n".join("    " + ", ".join(line) for line in lines)
    return f"static const {'int8_t' if small else 'float'} NAME_{name}[{len(texts)}] = {{\n{body}\n}};\n"


def _float(number: float) -> str:
    """Writes a float32 so that it is read again as the same."""
    text = f"{number:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _escaped(text: str) -> str:
    """Writes a text in UTF-8 as the inside of a string; what is no small letter, by its code."""
    return "".join(chr(c) if chr(c).islower() and c < 128 else f"\\{c:03o}" for c in text.encode())


def stored(model: Network, name: str) -> Array | Compressed:
    """Returns an array as it is written: int8, or float32."""
    small = model.small.get(name)
    return small if small is not None and small.dtype == "int8" else model.arrays[name]
