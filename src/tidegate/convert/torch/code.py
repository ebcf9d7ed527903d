"""The module of PyTorch that reads a model's weights, as the text of a Python program."""

from collections.abc import Iterator
from typing import Any

from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel
from tidegate.ops.onnx import FORMS
from tidegate.sequences.features import LIMIT
from tidegate.sequences.summaries import summary_parts


def torch_code(model: Network) -> str:
    """Writes a module that needs PyTorch alone, or `tidegate.torch` for a cell that PyTorch has not.

    Its `state_dict` has the names of `model.arrays`.
    """
    lines = [*_imports(model), "", "", "class Model(nn.Module):", f'    """{_title(model)}"""', ""]
    lines += ["    def __init__(self):", "        super().__init__()", *_parts(model), ""]
    lines += [f"    def forward(self, {'ids' if isinstance(model, TextModel) else 'x'}, lengths):"]
    lines += [*_inputs(model), *_vectors(model)]
    lines.append(f"        return {'self.head(vectors)' if model.config.has_head else 'vectors'}")
    return "\n".join(lines) + "\n"


def _imports(model: Network) -> Iterator[str]:
    yield "import torch"
    if model.stack and model.stack.cell.chosen:
        yield "import tidegate.torch"
    yield "from torch import nn"
    if model.stack:
        yield "from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence"


def _title(model: Network) -> str:
    given = "ids int64 [B, T]" if isinstance(model, TextModel) else f"x float32 [B, T, {_given(model)}]"
    size = f"{len(model.labels)}" if model.config.has_head else f"{model.config.summary_size}"
    results = "logits" if model.config.aim.has_probabilities else "numbers" if model.config.has_head else "vectors"
    return f"{given} and lengths int64 [B], 0 allowed; returns {results}, float32 [B, {size}]."


def _given(model: Network) -> int:
    return model.config.features if isinstance(model, SequenceModel) else model.config.input_size


def _parts(model: Network) -> Iterator[str]:
    """Yields the lines that make the modules and parameters."""
    config = model.config
    if isinstance(model, TextModel):
        yield f"        self.embedding = nn.Embedding({model.config.vocab_size}, {model.config.embedding_size})"
    if isinstance(model, SequenceModel):
        yield "        self.features = nn.Module()"
        for name in ("center", "scale"):
            yield f'        self.features.register_buffer("{name}", torch.ones({_given(model)}))'
    if model.stack:
        cell = model.stack.cell
        options: dict[str, Any] = {name: getattr(config, name) for name in ("num_layers", "bias", "bidirectional")}
        options |= {"batch_first": True, **cell.chosen}
        if hasattr(cell, "activation"):
            options["nonlinearity"] = cell.activation
        layer = f"{'tidegate.torch' if cell.chosen else 'nn'}.{FORMS[type(cell)].operator}"
        chosen = ", ".join(f"{name}={value!r}" for name, value in options.items())
        yield f"        self.rnn = {layer}({config.input_size}, {config.hidden_size}, {chosen})"
    if model.rate is not None:
        yield f"        self.rate = nn.Parameter(torch.ones({len(model.rate)}))"
    if config.has_head:
        yield f"        self.head = nn.Linear({config.summary_size}, {config.output_size})"


def _inputs(model: Network) -> Iterator[str]:
    """Yields the lines that make vectors of what comes in."""
    if isinstance(model, TextModel):
        if model.most_steps:
            yield f"        lengths = lengths.clamp(max={model.most_steps})"
        yield "        x = self.embedding(ids)"
    if isinstance(model, SequenceModel):
        missing = list(model.config.missing)
        yield "        x = (x.double() - self.features.center) / self.features.scale"
        yield f"        x = x.clamp(-{LIMIT:g}, {LIMIT:g}).float()"
        if missing:
            yield f"        gaps, steps = x[..., {missing}].isnan(), torch.arange(x.shape[1])[:, None]"
            yield "        last = torch.where(gaps, -1, steps).cummax(1).values"
            yield f"        seen = x[..., {missing}].gather(1, last.clamp(min=0))"
            yield f"        x[..., {missing}] = torch.where(last < 0, 0.0, seen)"
            yield "        since = torch.where(last < 0, steps + 1, steps - last)"
            yield "        x = torch.cat([x, gaps.float(), since.float().log1p()], 2)"


def _vectors(model: Network) -> Iterator[str]:
    """Yields the lines that summarise the sequences."""
    yield "        x = nn.functional.pad(x, (0, 0, 0, 1))  # a step that is not read: there may be none"
    if model.stack:
        yield "        packed = pack_padded_sequence(x, lengths.clamp(min=1), batch_first=True, enforce_sorted=False)"
        states = "(h, c)" if model.stack.cell.S > 1 else "h"
        yield f"        y, {states} = self.rnn(packed)"
        yield "        y, _ = pad_packed_sequence(y, batch_first=True)"
    elif model.rate is not None:
        yield "        h = torch.zeros_like(x[:, 0])"
        yield "        for t in range(x.shape[1]):"
        yield "            h = torch.where(t < lengths[:, None], self.rate * h + x[:, t], h)"
    else:
        yield "        y = x"
    parts = summary_parts(model.summary)
    if set(parts) - {"last"}:
        yield "        beyond = (torch.arange(y.shape[1]) >= lengths[:, None])[..., None]"
    written = {
        "last": "h" if not model.stack else "torch.cat([h[-2], h[-1]], 1)" if model.config.bidirectional else "h[-1]",
        "mean": "y.masked_fill(beyond, 0).sum(1) / lengths.clamp(min=1)[:, None]",
        "max": "y.masked_fill(beyond, -torch.inf).amax(1)",
    }
    yield f"        vectors = torch.cat([{', '.join(written[part] for part in parts)}], 1)"
    yield "        vectors = vectors.masked_fill((lengths == 0)[:, None], 0)"
