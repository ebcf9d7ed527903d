"""Routes that FastAPI documents, and that run without what FastAPI does for those that need more."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.serve.refusals import Refusal, Refused, first_fault, refuse

Endpoint = Callable[..., Awaitable[Any]]
JSON = "application/json"
REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": Refused, "description": "It cannot be answered as it was asked."},
    404: {"model": Refused, "description": "There is no such model."},
    413: {"model": Refused, "description": "It is too long."},
    422: {"model": Refused, "description": "It is not what was expected."},
    429: {"model": Refused, "description": "Too many wait already; `Retry-After` says when to ask again."},
    503: {"model": Refused, "description": "The model had no time."},
}


class Thin(APIRoute):
    """A route whose endpoint takes the parts of the path and at most one message of pydantic, and returns JSON.

    FastAPI reads the signature for the documentation. What it would do for each request, contexts for dependencies and
    a check of the answer among them, takes twice the time of all the rest.
    """

    def __init__(self, path: str, endpoint: Endpoint, methods: list[str], **rest: Any) -> None:
        super().__init__(path, endpoint, methods=methods, responses=REFUSED, **rest)
        self._endpoint = endpoint
        field = self.body_field
        message: Any = field.field_info.annotation if field else None
        self._asks: tuple[str, type[BaseModel]] | None = (field.name, message) if field else None
        self.app = self._answer

    def read(self, message: type[BaseModel], headers: Mapping[bytes, bytes], body: bytes) -> BaseModel:
        """Reads what is asked.

        Raises:
            Refusal: It is no JSON by its type.
            ValidationError: It is not what the message expects.
        """
        kind = headers.get(b"content-type", b"application/json").lower()
        if b"json" not in kind:
            raise Refusal(422, f"the Content-Type is {kind.decode('latin-1')}, expected application/json")
        return message.model_validate_json(body)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request; the `Body` before it hands on the body in one message."""
        values = dict(scope.get("path_params", ()))
        try:
            if self._asks:
                name, message = self._asks
                body = (await receive()).get("body", b"")
                values[name] = self.read(message, dict(scope["headers"]), body)
            answer = await self._endpoint(**values)
        except ValidationError as error:
            answer = refuse(422, first_fault(error))
        except Refusal as refusal:
            answer = refuse(refusal.status, refusal.text, refusal.headers)
        if not isinstance(answer, Response):
            answer = Response(to_json(answer, inf_nan_mode="null"), media_type=JSON)
        await answer(scope, receive, send)


class Shortcut:
    """Finds thin routes without variable parts by their path alone, before the application goes through all routes."""

    def __init__(self, app: ASGIApp, routes: Mapping[tuple[str, str], Thin]) -> None:
        self.app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or passes it on."""
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self.app(scope, receive, send)
        else:
            scope["route"] = route
            await route.app(scope, receive, send)
