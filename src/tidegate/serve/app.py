"""The application: the service of some models, and the page of one of them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tidegate.models.network import Network
from tidegate.models.text_model import TextModel
from tidegate.serve.inference.routes import Inference
from tidegate.serve.layers import Body, Guard, Head, Record
from tidegate.serve.limits import Limits
from tidegate.serve.metrics import Metrics
from tidegate.serve.models import Models
from tidegate.serve.page import messages
from tidegate.serve.page.pictures import Page
from tidegate.serve.plain import Plain
from tidegate.serve.refusals import first_fault, refuse
from tidegate.serve.sessions.sessions import Sessions
from tidegate.serve.sessions.sockets import sessions_router
from tidegate.serve.thin import Shortcut, Thin
from tidegate.serve.tokens import describe_token

WEB = Path(__file__).parent / "web"
HERE = ("127.0.0.1", "localhost", "[::1]")


def create_app(
    models: Mapping[str, Network],
    *,
    page: str | None = None,
    hosts: tuple[str, ...] = HERE,
    token: str | None = None,
    limits: Limits | None = None,
    log: Callable[[str], object] | None = None,
    sessions: Sessions | None = None,
) -> FastAPI:
    """Builds the application: the service, and the page at / with its questions under /api/.

    Args:
        models: What answers, by name; the first one answers requests that name none.
        page: The name of the model on the page; None for the first one that reads texts.
        hosts: Names by which clients may call the server. Others are refused, so that no foreign site can reach it by a
            name of its own that leads to this machine; "*" for any.
        token: What clients must send with each request; None for nothing.
        limits: How much they may ask for; None for the usual.
        log: Takes a line of JSON about each request, without anything that a text says; None for no lines.
        sessions: Of streams and of sequences of the protocol, through these models; None for those in memory. They are
            closed with the application.

    Returns:
        An ASGI application.

    Raises:
        ValueError: There is no model, or the one of the page reads no texts.
    """
    limits, metrics = limits or Limits(), Metrics()
    sessions = Sessions(models, queue=limits.queue) if sessions is None else sessions
    metrics.watch_sessions(lambda: sessions.count)
    served = Models(models, limits, metrics)
    # The pages of API documentation would fetch scripts from elsewhere.
    app = FastAPI(
        title="tidegate",
        description=__doc__,
        docs_url=None,
        redoc_url=None,
        version=_version(),
        lifespan=partial(_closing, served),
    )
    routes = [*Plain(served, metrics).routes(), *Inference(served, sessions).routes()]
    app.router.routes += routes
    app.include_router(sessions_router(sessions))
    _add_page(app, models, page)
    _add_errors(app)
    if token:
        describe_token(app)
    quick = {
        (method, route.path): route for route in routes if isinstance(route, Thin) for method in route.methods or ()
    }
    app.add_middleware(Shortcut, routes={key: route for key, route in quick.items() if "{" not in route.path})
    app.add_middleware(Body, limits=limits)
    app.add_middleware(Guard, hosts=hosts, token=token)
    app.add_middleware(Head)
    app.add_middleware(Record, metrics=metrics, write=log)
    return app


@asynccontextmanager
async def _closing(served: Models, _: FastAPI) -> AsyncIterator[None]:
    """Gives back what an application takes."""
    yield
    served.close()


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415

    return version("tidegate")


def _has_page(model: Network) -> bool:
    """Whether a model reads texts and predicts classes, of which the page shows probabilities."""
    return isinstance(model, TextModel) and model.config.aim.has_probabilities and not model.config.aim.reads_tokens


def _add_page(app: FastAPI, models: Mapping[str, Network], name: str | None) -> None:
    """Adds the page of a model of texts, if there is one, and what it says of others beside that."""
    if name is None:
        name = next((name for name, model in models.items() if _has_page(model)), None)
        if name is None:
            return
    model = models.get(name)
    if not isinstance(model, TextModel) or not _has_page(model):
        raise ValueError(f"the page is that of {name!r}, expected a model that reads texts and predicts classes")
    page = Page(model, name)
    add = partial(app.add_api_route, include_in_schema=False)
    add("/api/model", page.facts, response_model=messages.Facts)
    for path, answer in _answers(page).items():
        add(f"/api/{path}", answer, methods=["POST"])  # the messages are read off the signature
    others = [
        Page(each, other)
        for other, each in models.items()
        if other != name and isinstance(each, TextModel) and _has_page(each)
    ]
    add("/api/others", lambda: [other.facts() for other in others], response_model=list[messages.Facts])
    for number, other in enumerate(others):
        add(f"/api/others/{number}/words", other.words, methods=["POST"])
    app.mount("/", StaticFiles(directory=WEB, html=True))


def _answers(page: Page) -> dict[str, Callable[[Any], Any]]:
    """Lists what answers the page's questions, by path; FastAPI runs each in a thread."""
    return {
        "words": page.words,
        "gates": page.heat_map,
        "ledger": page.stream,
        "flow": page.flow,
        "unit": page.unit,
        "what-if": page.what_if,
    }


def _add_errors(app: FastAPI) -> None:
    """Says how errors are answered."""
    for wrong in (messages.QuestionError, FloatingPointError):  # numbers so large that the network overflows
        app.add_exception_handler(wrong, lambda _, error: refuse(400, str(error)))
    app.add_exception_handler(RequestValidationError, lambda _, error: refuse(422, first_fault(error)))
    app.add_exception_handler(HTTPException, _refuse_http)


def _refuse_http(_: Any, error: Any) -> Response:
    return refuse(error.status_code, str(error.detail), error.headers)
