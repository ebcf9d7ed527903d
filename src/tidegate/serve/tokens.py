"""What the description of the service says of the token that its clients send."""

from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from tidegate.serve.layers import OPEN
from tidegate.serve.refusals import Refused

_NAME = "token"
_SCHEMES = {_NAME: {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer TOKEN"}}


def describe_token(app: FastAPI) -> None:
    """Lets `/openapi.json` say that all but what is open needs the token, and how requests without it are answered."""
    app.openapi = partial(_described, app)  # type: ignore[method-assign]


def _described(app: FastAPI) -> dict[str, Any]:
    """Writes the description, once."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        found["components"]["securitySchemes"] = _SCHEMES
        found["security"] = [{_NAME: []}]
        schema = {"$ref": f"#/components/schemas/{Refused.__name__}"}
        refused = {
            "description": "There is no token, or another one.",
            "content": {"application/json": {"schema": schema}},
        }
        for path, operations in found["paths"].items():
            for operation in operations.values():
                if path in OPEN:
                    operation["security"] = []
                else:
                    operation["responses"]["401"] = refused
        app.openapi_schema = found
    return app.openapi_schema
