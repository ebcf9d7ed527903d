"""The model of Keras that reads a model's weights, as the text of a Python program, and its layers."""

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy.typing as npt

from tidegate.convert.arrays import SCALE
from tidegate.convert.held import held
from tidegate.models.architecture import Architecture
from tidegate.models.config import SequenceConfig
from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel
from tidegate.ops.layouts import LAYOUTS, Layout, Weights
from tidegate.ops.names import parameter_names
from tidegate.ops.onnx import FORMS
from tidegate.sequences.features import LIMIT
from tidegate.sequences.summaries import summary_parts

Array = npt.NDArray[Any]

NAMES = ("kernel", "recurrent_kernel", "bias")
"""The arrays of a recurrent layer, in Keras' order."""

SUFFIX, ARCHIVE = SUFFIXES = (".weights.h5", ".keras")
"""What a file of weights ends in, and what one of a whole model."""

APART = "arrays"
"""The text with the arrays that no layer of Keras holds as they are."""

OWN_MEMBER, OWN_ARRAY = "tidegate.json", "tidegate"
"""The member of an archive, and the bytes in a file of weights, in which this library says what the model is."""

_OTHER_NAMES = {"RNN": "SimpleRNN", "identity": "linear"}


class KerasLayer(NamedTuple):
    """A layer with weights.

    Attributes:
        code: The layer, as Python.
        folder: What a file of weights calls it, without the number that tells it from others of its class.
        weights: Its weights, by where they are below this folder.
        masked: Whether it is told which steps there are.
    """

    code: str
    folder: str
    weights: dict[str, Array]
    masked: bool = False


class KerasForm(NamedTuple):
    """How Keras lays out the recurrent layers of a model.

    Attributes:
        kind: Their class.
        layout: The order of their arrays and blocks.
        places: The folders of each direction's cell.
    """

    kind: str
    layout: Layout
    places: tuple[str, ...]

    def folder(self, layer: int) -> str:
        """Returns the folder of a layer: those of a class are numbered."""
        return f"{self.first}_{layer}" if layer else self.first

    @property
    def first(self) -> str:
        """The folder of the first layer."""
        if len(self.places) > 1:
            return "bidirectional"
        return "simple_rnn" if self.kind == "SimpleRNN" else self.kind.lower()


def keras_form(config: Architecture) -> KerasForm:
    """Returns how Keras lays out the recurrent layers of a model with this configuration."""
    cell = config.recurrent_cell
    operator = FORMS[type(cell)].operator
    kind = _OTHER_NAMES.get(operator, operator)
    before = cell.options.get("reset") == "before"
    places = ("forward_layer/", "backward_layer/") if config.bidirectional else ("",)
    return KerasForm(kind, LAYOUTS["keras"][f"{kind} reset_after=False" if before else kind], places)


def apart(config: Architecture) -> list[str]:
    """Lists the arrays of a model that no layer of Keras holds as they are: the scale of features, and added biases."""
    names = [*SCALE] if isinstance(config, SequenceConfig) else []
    if config.recurrent and config.bias and "bias" in keras_form(config).layout.names:
        ways = product(range(config.num_layers), (False, True)[: 1 + config.bidirectional])
        names += [f"rnn.{name}" for layer, reverse in ways for name in parameter_names(layer, reverse, bias=True)[2:]]
    return names


def keras_layers(model: Network) -> list[KerasLayer]:
    """Lists the layers that have weights, in the order in which they read."""
    layers = []
    if isinstance(model, TextModel):
        sizes = f"{model.config.vocab_size}, {model.config.embedding_size}"
        weights = {"vars/0": model.arrays["embedding.weight"]}
        layers.append(KerasLayer(f"layers.Embedding({sizes})", "embedding", weights))
    layers += [_recurrent(model, layer) for layer in range(model.config.num_layers if model.stack else 0)]
    if model.config.has_head:
        weights = {"vars/0": model.head_weight.T, "vars/1": model.head_bias}
        layers.append(KerasLayer(f"layers.Dense({len(model.labels)})", "dense", weights))
    return layers


def keras_code(model: Network) -> str:
    """Writes a functional model of Keras 3, which takes ids or vectors, and the steps of each row."""
    reading = [layer for layer in keras_layers(model) if layer.folder != "dense"]
    lines = ["import keras", "import numpy as np", "from keras import layers, ops", "", *_inputs(model)]
    lines += [f"x = {layer.code}(x{', mask=mask' if layer.masked else ''})" for layer in reading]
    lines += _summary(model)
    if model.config.has_head:
        lines.append(f"results = layers.Dense({len(model.labels)})(vectors)")
    else:
        lines.append("results = vectors")
    return "\n".join([*lines, "model = keras.Model([given, lengths], results)"]) + "\n"


def _inputs(model: Network) -> Iterator[str]:
    """Yields the lines that make vectors of what comes in, with a step more, which is not read: there may be none."""
    if isinstance(model, TextModel):
        yield 'given = keras.Input((None,), dtype="int32")  # word ids [B, T]'
        yield "x = ops.pad(given, [[0, 0], [0, 1]])"
        yield "steps = ops.cumsum(ops.ones_like(x), 1)"
    else:
        features = model.config.features if isinstance(model, SequenceModel) else model.config.input_size
        yield f"given = keras.Input((None, {features}))  # [B, T, {features}]"
        yield "x = ops.pad(given, [[0, 0], [0, 1], [0, 0]])"
        yield 'steps = ops.cumsum(ops.ones_like(x[:, :, 0], dtype="int32"), 1)'
    yield 'lengths = keras.Input((), dtype="int32")  # [B], 0 allowed'
    most = f"ops.minimum(lengths, {model.most_steps})" if model.most_steps else "lengths"
    yield f"read = ops.expand_dims({most}, 1)"
    yield "mask = steps <= read"
    if isinstance(model, SequenceModel):
        center, spread = (array.tolist() for array in (model.features.center, model.features.scale))
        yield f'x = (x - np.array({center}, "float32")) / np.array({spread}, "float32")'
        yield f"x = ops.clip(x, -{LIMIT:.1f}, {LIMIT:.1f})"


def _summary(model: Network) -> Iterator[str]:
    """Yields the lines that summarise the outputs."""
    parts = summary_parts(model.summary)
    if parts == ("last",):
        yield "vectors = x"
        return
    yield "inside = ops.expand_dims(mask, 2)"
    written = {
        "mean": 'ops.sum(ops.where(inside, x, 0.0), 1) / ops.cast(ops.maximum(read, 1), "float32")',
        "max": "ops.max(ops.where(inside, x, -np.inf), 1)",
    }
    yield f"vectors = ops.concatenate([{', '.join(written[part] for part in parts)}], 1)"
    yield "vectors = ops.where(read > 0, vectors, 0.0)"


def _recurrent(model: Network, layer: int) -> KerasLayer:
    """Makes a recurrent layer, of both directions if there are two."""
    assert model.stack is not None  # noqa: S101 - for mypy: this is asked of stacks
    cell, config, form = model.stack.cell, model.config, keras_form(model.config)
    options: dict[str, Any] = {"return_sequences": layer + 1 < config.num_layers or config.summary != "last"}
    weights = [_weights(model, layer, reverse) for reverse in (False, True)[: 1 + config.bidirectional]]
    options["use_bias"] = weights[0].b_ih is not None
    if "reset" in cell.options:
        options["reset_after"] = cell.options["reset"] != "before"
        for name, choice in (("activation", "candidate"), ("recurrent_activation", "gate")):
            options[name] = _OTHER_NAMES.get(cell.options[choice], cell.options[choice])
    elif hasattr(cell, "activation"):
        options["activation"] = cell.activation
    chosen = ", ".join(f"{name}={value!r}" for name, value in options.items())
    code = f"layers.{form.kind}({config.hidden_size}, {chosen})"
    found: dict[str, Array] = {}
    for place, own in zip(form.places, weights, strict=True):
        arrays = form.layout.write(cell, own)
        if arrays["bias"].shape[0] == 2 * len(own.w_hh):
            arrays["bias"] = arrays["bias"].reshape(2, -1)
        found |= {f"{place}cell/vars/{i}": arrays[name] for i, name in enumerate(NAMES[: 2 + options["use_bias"]])}
    if config.bidirectional:
        code = f"layers.Bidirectional({code})"
    return KerasLayer(code, form.first, found, masked=True)


def _weights(model: Network, layer: int, reverse: bool) -> Weights:
    names = parameter_names(layer, reverse, model.config.bias)
    return held(model.config.recurrent_cell, Weights(*(model.arrays[f"rnn.{name}"] for name in names)))
