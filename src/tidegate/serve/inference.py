"""The Open Inference Protocol, version 2, over HTTP: what KServe, Triton and their clients speak."""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic_core import to_json
from starlette.responses import Response
from typing_extensions import TypedDict

from tidegate.serve.models import Models
from tidegate.serve.refusals import Refusal, first_fault
from tidegate.serve.served import Scored, Served
from tidegate.serve.tensors import BYTES, SIZE, InputTensor, decode, encode
from tidegate.serve.thin import Thin

LENGTH = "Inference-Header-Content-Length"
VERSION = "1"


class OutputTensor(BaseModel):
    """An output that is wanted: `label`, `probabilities` or `values`, or `embedding`.

    Parameters are `binary_data`, and `classification`: as so many of the largest numbers as texts `number:index:label`.
    """

    name: str
    parameters: dict[str, Any] = {}


class Question(BaseModel):
    """A request for inference. Without `outputs`, all but the embedding are returned; of an encoder, that."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["I love this movie."]}]},
                {
                    "id": "7",
                    "inputs": [
                        {"name": "sequence", "shape": [1, 2, 1], "datatype": "FP32", "data": [20.5, 21.0]},
                        {"name": "lengths", "shape": [1], "datatype": "INT32", "data": [2]},
                    ],
                    "outputs": [{"name": "embedding"}],
                },
            ]
        }
    )

    id: str | None = None
    parameters: dict[str, Any] = {}
    inputs: list[InputTensor]
    outputs: list[OutputTensor] = Field(default=[], max_length=8)  # each takes memory of its own
    _binary: bytes = PrivateAttr(default=b"")


class AnswerTensor(TypedDict, total=False):
    """A tensor of an answer."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any]
    data: list[Any]


class Answer(TypedDict, total=False):
    """The answer to a request for inference."""

    model_name: str
    model_version: str
    id: str
    outputs: list[AnswerTensor]


class Server(TypedDict):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class TensorFacts(TypedDict):
    """A tensor that a model reads or returns; −1 stands for any number."""

    name: str
    datatype: str
    shape: list[int]


class Facts(TypedDict):
    """What a model is."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorFacts]
    outputs: list[TensorFacts]


class Live(TypedDict):
    """Whether the server is there."""

    live: bool


class Ready(TypedDict):
    """Whether the server answers."""

    ready: bool


class ModelReady(TypedDict):
    """Whether a model answers."""

    name: str
    ready: bool


class Sequences(Protocol):
    """What answers requests that are part of a sequence, whose model remembers what came before."""

    def __call__(
        self, name: str, rows: Sequence[Any], parameters: Mapping[str, Any]
    ) -> Awaitable[npt.NDArray[np.float32]]:
        """Returns scores [B, C] of the sequence so far.

        Args:
            name: Of the model.
            rows: What comes next of the sequence, texts or arrays [T, K]; one row.
            parameters: Of the request: `sequence_id`, `sequence_start` and `sequence_end`.
        """
        ...


class Infer(Thin):
    """The route of inference, whose tensors may stand behind the JSON."""

    def read(self, message: type[BaseModel], headers: Mapping[bytes, bytes], body: bytes) -> BaseModel:
        """Reads a request; every mistake in it is 400, as the protocol says."""
        given = headers.get(LENGTH.lower().encode())
        length = len(body) if given is None else int(given) if given.isdigit() and len(given) < 20 else -1
        if not 0 <= length <= len(body):
            raise Refusal(400, f"{LENGTH} is {given!r:.40}, expected 0..{len(body)}, as the request has bytes")
        try:
            question = message.model_validate_json(body[:length])
        except ValidationError as error:
            raise Refusal(400, first_fault(error)) from None
        if isinstance(question, Question):
            question._binary = body[length:]  # noqa: SLF001 - no field, as no JSON may set it
        return question


class Inference:
    """The endpoints of the protocol."""

    def __init__(self, models: Models, sessions: Sequences | None = None) -> None:
        """Serves models.

        Args:
            models: What answers.
            sessions: What answers requests with a `sequence_id`; None to refuse them.
        """
        self._models, self._sessions = models, sessions

    def routes(self) -> list[APIRoute]:
        """Lists the routes; a model has one version."""
        routes: list[APIRoute] = [
            Thin("/v2", self.server, ["GET"]),
            Thin("/v2/health/live", self.live, ["GET"]),
            Thin("/v2/health/ready", self.ready, ["GET"]),
        ]
        for path, endpoint, kind, methods in (
            ("", self.facts, Thin, ["GET"]),
            ("/ready", self.model_ready, Thin, ["GET"]),
            ("/infer", self.infer, Infer, ["POST"]),
        ):
            rest: dict[str, Any] = {"response_model": Answer} if kind is Infer else {}
            routes.append(kind("/v2/models/{model}" + path, endpoint, methods, **rest))
            versioned = f"/v2/models/{{model}}/versions/{VERSION}{path}"
            routes.append(kind(versioned, endpoint, methods, include_in_schema=False, **rest))
        return routes

    async def server(self) -> Server:
        """Describe the server."""
        extensions = ["binary_tensor_data", "classification", *["sequence"] * (self._sessions is not None)]
        return {"name": "tidegate", "version": version("tidegate"), "extensions": extensions}

    async def live(self) -> Live:
        """Say that the server is there."""
        return {"live": True}

    async def ready(self) -> Ready:
        """Say that the server answers."""
        return {"ready": True}

    async def model_ready(self, model: str) -> ModelReady:
        """Say that a model answers."""
        return {"name": self._models.of(model).name, "ready": True}

    async def facts(self, model: str) -> Facts:
        """Describe a model: the tensors that it reads and returns."""
        served = self._models.of(model)
        return {
            "name": served.name,
            "versions": [VERSION],
            "platform": "tidegate",
            "inputs": _inputs(served),
            "outputs": _outputs(served),
        }

    async def infer(self, model: str, question: Question) -> Answer | Response:
        """Ask a model: texts as BYTES [B], or sequences as FP32 [B, T, K] with their lengths [B]."""
        served = self._models.of(model)
        rows = _rows(served, dict(_tensors(question)))
        wanted = question.outputs or [OutputTensor(name=name) for name in _unasked(served)]
        found = await self._found(served, rows, {output.name for output in wanted}, question.parameters)
        everywhere = question.parameters.get("binary_data_output") is True
        outputs, parts = [], list[bytes]()
        for output in wanted:
            tensor, part = _answer(served, found, output, everywhere)
            outputs.append(tensor)
            parts.append(part)
        answer: Answer = {"model_name": served.name, "model_version": VERSION, "outputs": outputs}
        if question.id is not None:
            answer["id"] = question.id
        if not any(SIZE in tensor.get("parameters", ()) for tensor in outputs):
            return answer
        head = to_json(answer, inf_nan_mode="null")
        return Response(b"".join((head, *parts)), 200, {LENGTH: str(len(head))}, "application/octet-stream")

    async def _found(
        self, served: Served, rows: Sequence[Any], wanted: set[str], parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Asks the model for what is wanted; returns the values of tensors by their names.

        Raises:
            Refusal: It has no such output, or there are no sessions.
        """
        known = {each["name"] for each in _outputs(served)}
        if not wanted <= known:
            name = min(wanted - known)
            raise Refusal(400, f"the output {name!r:.80} is unknown, expected one of {', '.join(sorted(known))}")
        found: dict[str, Any] = {}
        scored: Sequence[Scored] = ()
        if _is_of_sequence(parameters):
            if self._sessions is None or EMBEDDING in wanted:
                raise Refusal(400, "there is a sequence_id, expected none: this output has no sessions here")
            served.check(rows)
            scored = served.scored(await self._sessions(served.name, rows, parameters))
        else:
            if wanted != {EMBEDDING}:
                scored = await served.predict(rows)
            if EMBEDDING in wanted:
                found[EMBEDDING] = await served.embed(rows)
        found[_numbers_of(served)] = [each.numbers for each in scored]
        found["label"] = [str(each.prediction) for each in scored]
        return found


EMBEDDING = "embedding"


def _is_of_sequence(parameters: Mapping[str, Any]) -> bool:
    """Whether a request is part of a sequence; 0 and the empty string name none."""
    sequence_id = parameters.get("sequence_id", 0)
    return sequence_id != "" and (type(sequence_id) is not int or sequence_id != 0)


def _numbers_of(served: Served) -> str:
    """Names the output of numbers."""
    return "probabilities" if served.model.config.aim.has_probabilities else "values"


def _inputs(served: Served) -> list[TensorFacts]:
    """Lists what a model reads."""
    if served.reads_texts:
        return [{"name": "text", "datatype": BYTES, "shape": [-1]}]
    K, last = served.features, not served.steps_first
    shape = [-1, K, -1] if last else [-1, -1, K]
    lengths: TensorFacts = {"name": "lengths", "datatype": "INT64", "shape": [-1]}
    return [{"name": "sequence", "datatype": "FP32", "shape": shape}, lengths]


def _outputs(served: Served) -> list[TensorFacts]:
    """Lists what a model returns."""
    config, C = served.model.config, len(served.model.labels)
    outputs: list[TensorFacts] = []
    if config.has_head:
        outputs.append({"name": _numbers_of(served), "datatype": "FP32", "shape": [-1, C]})
    if config.aim.exclusive:
        outputs.append({"name": "label", "datatype": BYTES, "shape": [-1]})
    if config.summary_size:
        outputs.append({"name": EMBEDDING, "datatype": "FP32", "shape": [-1, config.summary_size]})
    return outputs


def _unasked(served: Served) -> list[str]:
    """Names the outputs that are returned unasked: the embedding, which takes time, where there is no other."""
    names = [each["name"] for each in _outputs(served)]
    return [name for name in names if name != EMBEDDING] or names


def _tensors(question: Question) -> Iterator[tuple[str, Any]]:
    """Yields the inputs of a request by name, and cuts what stands behind the JSON into theirs.

    Raises:
        Refusal: A tensor is wrong, or there are more or fewer bytes than they say.
    """
    binary, start = memoryview(question._binary), 0  # noqa: SLF001 - see `Infer`
    for tensor in question.inputs:
        size = tensor.parameters.get(SIZE)
        if size is None:
            yield tensor.name, decode(tensor, None)
            continue
        if type(size) is not int or not 0 <= size <= len(binary) - start:
            rest = len(binary) - start
            raise Refusal(400, f"{SIZE} of {tensor.name!r:.80} is {size!r:.40}, but {rest} bytes are left")
        yield tensor.name, decode(tensor, binary[start : start + size])
        start += size
    if start != len(binary):
        raise Refusal(400, f"{len(binary) - start} bytes behind the JSON belong to no input")


def _rows(served: Served, tensors: Mapping[str, Any]) -> Sequence[Any]:
    """Returns what the model reads: texts, or sequences cut at their lengths.

    Raises:
        Refusal: There are other inputs, or their shapes do not fit.
    """
    known = [each["name"] for each in _inputs(served)]
    if not {known[0]} <= tensors.keys() <= set(known):
        held = ", ".join(map(repr, tensors))
        raise Refusal(400, f"the inputs are {held:.200}, expected {known[0]!r} of {' and '.join(map(repr, known))}")
    values = tensors[known[0]]
    if served.reads_texts != isinstance(values, list):
        raise Refusal(400, f"the input {known[0]!r} has another datatype, expected {_inputs(served)[0]['datatype']}")
    if served.reads_texts:
        return list(values)
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


def _answer(
    served: Served, found: Mapping[str, Any], output: OutputTensor, everywhere: bool
) -> tuple[AnswerTensor, bytes]:
    """Makes a tensor of an answer, and the bytes of it that stand behind the JSON."""
    values = found[output.name]
    datatype = BYTES if output.name == "label" else "FP32"
    shape = next(each["shape"] for each in _outputs(served) if each["name"] == output.name)
    most = output.parameters.get("classification")
    if most is not None:
        if type(most) is not int or most < 1 or output.name != "probabilities":
            raise Refusal(400, f"classification is {most!r:.40}, expected a number of classes, of probabilities")
        values, datatype, shape = _largest(served, values, most), BYTES, [-1, min(most, shape[-1])]
    wanted = output.parameters.get("binary_data", everywhere)
    data, binary = encode(datatype, values, wanted is True)
    tensor: AnswerTensor = {"name": output.name, "shape": [len(found[output.name]), *shape[1:]], "datatype": datatype}
    if wanted is True:
        tensor["parameters"] = {SIZE: len(binary)}
    else:
        tensor["data"] = data
    return tensor, binary


def _largest(served: Served, rows: Sequence[Sequence[float]], most: int) -> list[str]:
    """Names the most probable classes of each row, as Triton does: probability, index, label."""
    labels = served.model.labels
    ranked = (sorted(range(len(row)), key=lambda i: -row[i])[:most] for row in rows)
    return [f"{row[i]:f}:{i}:{labels[i]}" for row, best in zip(rows, ranked, strict=True) for i in best]
