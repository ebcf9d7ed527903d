"""The messages of the Open Inference Protocol, version 2."""

from collections.abc import Iterator
from typing import Any

import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from typing_extensions import TypedDict

from tidegate.serve.inference.tensors import SIZE, InputTensor, decode
from tidegate.serve.refusals import Refusal


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

    def put_behind(self, binary: bytes) -> None:
        """Takes the bytes that stand behind the JSON."""
        self._binary = binary

    def tensors(self) -> Iterator[tuple[str, npt.NDArray[Any] | list[str]]]:
        """Yields the inputs by name, and cuts what stands behind the JSON into theirs.

        Raises:
            Refusal: A tensor is wrong, or there are more or fewer bytes than they say.
        """
        binary, start = memoryview(self._binary), 0
        for tensor in self.inputs:
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
