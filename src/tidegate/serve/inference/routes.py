"""The Open Inference Protocol, version 2, over HTTP: what KServe, Triton and their clients speak."""

from collections.abc import Awaitable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.responses import Response

from tidegate.serve.inference import signatures
from tidegate.serve.inference.messages import Answer, Facts, Live, ModelReady, OutputTensor, Question, Ready, Server
from tidegate.serve.inference.signatures import EMBEDDING
from tidegate.serve.inference.tensors import SIZE
from tidegate.serve.models import Models
from tidegate.serve.refusals import Refusal, first_fault
from tidegate.serve.served import Scored, Served
from tidegate.serve.thin import Thin

LENGTH = "Inference-Header-Content-Length"
VERSION = "1"


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
            question.put_behind(body[length:])
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
            "inputs": signatures.inputs(served),
            "outputs": signatures.outputs(served),
        }

    async def infer(self, model: str, question: Question) -> Answer | Response:
        """Ask a model: texts as BYTES [B], or sequences as FP32 [B, T, K] with their lengths [B]."""
        served = self._models.of(model)
        rows = signatures.rows(served, dict(question.tensors()))
        wanted = question.outputs or [OutputTensor(name=name) for name in signatures.unasked(served)]
        found = await self._found(served, rows, {output.name for output in wanted}, question.parameters)
        everywhere = question.parameters.get("binary_data_output") is True
        outputs, parts = [], list[bytes]()
        for output in wanted:
            tensor, part = signatures.tensor(served, found, output, everywhere)
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
        known = {each["name"] for each in signatures.outputs(served)}
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
        found[signatures.numbers(served)] = [each.numbers for each in scored]
        found["label"] = [str(each.prediction) for each in scored]
        return found


def _is_of_sequence(parameters: Mapping[str, Any]) -> bool:
    """Whether a request is part of a sequence; 0 and the empty string name none."""
    sequence_id = parameters.get("sequence_id", 0)
    return sequence_id != "" and (type(sequence_id) is not int or sequence_id != 0)
