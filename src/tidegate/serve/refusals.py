"""Errors as they are answered: a status, and JSON with one line of text, `{"error": "…"}`, wherever they come from."""

from collections.abc import Mapping

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.responses import Response

from tidegate.characters import visible

LONGEST_REFUSAL = 500  # letters of what a request is said to hold
FAILED = "the server failed, and its log says why"


class Refusal(Exception):  # noqa: N818 - what is refused is no error of the server
    """A request that is not answered, and why.

    Attributes:
        status: Of HTTP.
        text: The line that is answered.
        headers: What the answer has beside.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers


class Refused(BaseModel):
    """The answer to a request that is refused."""

    error: str


def refuse(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answers with an error. What it quotes may be long, or hold what no answer can: lone surrogates."""
    text = text if len(text) <= LONGEST_REFUSAL else text[:LONGEST_REFUSAL] + " …"
    return Response(to_json({"error": visible(text)}), status, headers, "application/json")


def first_fault(error: RequestValidationError | ValidationError) -> str:
    """Says what is wrong with a message: where, and what was expected."""
    fault = error.errors()[0]
    # Where something may have one of two types, pydantic puts that which did not fit among the places.
    where = ".".join(str(part) for part in fault["loc"] if part != "body" and not str(part).startswith("list["))
    return f"{where}: {fault['msg']}" if where else str(fault["msg"])
