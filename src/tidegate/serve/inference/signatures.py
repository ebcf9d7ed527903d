"""What a model reads and returns, as tensors of the Open Inference Protocol."""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.serve.inference.messages import AnswerTensor, OutputTensor, TensorFacts
from tidegate.serve.inference.tensors import BYTES, SIZE, encode
from tidegate.serve.refusals import Refusal
from tidegate.serve.served import Served

EMBEDDING = "embedding"


def inputs(served: Served) -> list[TensorFacts]:
    """Lists what a model reads."""
    if served.reads_texts:
        return [{"name": "text", "datatype": BYTES, "shape": [-1]}]
    K, last = served.features, not served.steps_first
    shape = [-1, K, -1] if last else [-1, -1, K]
    lengths: TensorFacts = {"name": "lengths", "datatype": "INT64", "shape": [-1]}
    return [{"name": "sequence", "datatype": "FP32", "shape": shape}, lengths]


def outputs(served: Served) -> list[TensorFacts]:
    """Lists what a model returns."""
    config, C = served.model.config, len(served.model.labels)
    found: list[TensorFacts] = []
    if config.has_head:
        found.append({"name": numbers(served), "datatype": "FP32", "shape": [-1, C]})
    if config.aim.exclusive:
        found.append({"name": "label", "datatype": BYTES, "shape": [-1]})
    if config.summary_size:
        found.append({"name": EMBEDDING, "datatype": "FP32", "shape": [-1, config.summary_size]})
    return found


def numbers(served: Served) -> str:
    """Names the output of numbers."""
    return "probabilities" if served.model.config.aim.has_probabilities else "values"


def unasked(served: Served) -> list[str]:
    """Names the outputs that are returned unasked: the embedding, which takes time, where there is no other."""
    names = [each["name"] for each in outputs(served)]
    return [name for name in names if name != EMBEDDING] or names


def rows(served: Served, tensors: Mapping[str, Any]) -> Sequence[Any]:
    """Returns what the model reads: texts, or sequences cut at their lengths.

    Raises:
        Refusal: There are other inputs, or their shapes do not fit.
    """
    known = [each["name"] for each in inputs(served)]
    if not {known[0]} <= tensors.keys() <= set(known):
        held = ", ".join(map(repr, tensors))
        raise Refusal(400, f"the inputs are {held:.200}, expected {known[0]!r} of {' and '.join(map(repr, known))}")
    values = tensors[known[0]]
    if served.reads_texts != isinstance(values, list):
        raise Refusal(400, f"the input {known[0]!r} has another datatype, expected {inputs(served)[0]['datatype']}")
    if served.reads_texts:
        return list(values)
    if values.ndim == 2 and served.model.reads_sound:
        values = values[:, :, None]
    if values.ndim != 3 or values.dtype.kind != "f":
        raise Refusal(400, f"the input {known[0]!r} has the shape {list(values.shape)}, expected 3 axes, FP32")
    served.check_count(len(values))  # before each row is an array of its own: rows without data cost a client nothing
    time = 1 if served.steps_first else 2
    lengths = tensors.get("lengths")
    if lengths is None:
        return list(values)
    if isinstance(lengths, list) or lengths.dtype.kind != "i" or lengths.size != len(values):
        raise Refusal(400, f"the input 'lengths' is wrong, expected {len(values)} numbers, INT32 or INT64")
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= values.shape[time]:
        raise Refusal(400, f"the input 'lengths' has {lengths.max()}, expected 0..{values.shape[time]}")
    ends = lengths.ravel().tolist()
    return [row[:end] if served.steps_first else row[:, :end] for row, end in zip(values, ends, strict=True)]


def tensor(
    served: Served, found: Mapping[str, Any], output: OutputTensor, everywhere: bool
) -> tuple[AnswerTensor, bytes]:
    """Makes a tensor of an answer, and the bytes of it that stand behind the JSON."""
    values = found[output.name]
    datatype = BYTES if output.name == "label" else "FP32"
    shape = next(each["shape"] for each in outputs(served) if each["name"] == output.name)
    most = output.parameters.get("classification")
    if most is not None:
        if type(most) is not int or most < 1 or output.name != "probabilities":
            raise Refusal(400, f"classification is {most!r:.40}, expected a number of classes, of probabilities")
        values, datatype, shape = _largest(served, values, most), BYTES, [-1, min(most, shape[-1])]
    wanted = output.parameters.get("binary_data", everywhere)
    data, binary = encode(datatype, values, wanted is True)
    made: AnswerTensor = {"name": output.name, "shape": [len(found[output.name]), *shape[1:]], "datatype": datatype}
    if wanted is True:
        made["parameters"] = {SIZE: len(binary)}
    else:
        made["data"] = data
    return made, binary


def _largest(served: Served, rows: Sequence[Sequence[float]], most: int) -> list[str]:
    """Names the most probable classes of each row, as Triton does: probability, index, label."""
    labels = served.model.labels
    ranked = (sorted(range(len(row)), key=lambda i: -row[i])[:most] for row in rows)
    return [f"{row[i]:f}:{i}:{labels[i]}" for row, best in zip(rows, ranked, strict=True) for i in best]
