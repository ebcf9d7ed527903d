"""A browser, and pages of small models of every kind in it: one server and one browser for all tests of a process."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tidegate.models.text_model import TextModel

from ..conftest import running  # noqa: TID252 - pytest takes tests by their paths
from .kinds import KINDS, TEXT  # noqa: TID252

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from .pages import Open  # noqa: TID252

if not all(map(find_spec, ("playwright", "fastapi", "typer"))):
    collect_ignore_glob = ["*"]


OWN = "http://127.0.0.1:"


@pytest.fixture(scope="session")
def tools() -> Any:
    """What starts server and browser, beside the benchmarks; tests are skipped where there is no Chromium."""
    from playwright.sync_api import expect

    sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
    browser = import_module("browser")
    sys.path.pop(0)
    if browser.CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    expect.set_options(timeout=browser.PATIENCE)
    return browser


@pytest.fixture(scope="session")
def chromium(tools: Any) -> "Iterator[Browser]":
    """One browser for all tests."""
    with tools.chromium() as started:
        yield started


@pytest.fixture(scope="session")
def served() -> Iterator[Callable[[Mapping[str, TextModel]], str]]:
    """Serves models by name until the tests end; returns the page's address."""
    from tidegate import serve

    with ExitStack() as stack:
        yield lambda models: f"{OWN}{stack.enter_context(running(serve.create_app(models)))}/"


@pytest.fixture(scope="session")
def address(
    random_model: Callable[..., TextModel], served: Callable[[Mapping[str, TextModel]], str]
) -> Callable[[str], str]:
    """Serves a kind of model, once for all tests; returns the page's address."""
    return cache(lambda kind: served({kind: random_model(**KINDS[kind])}))


@pytest.fixture(scope="session")
def complaints() -> list[str]:
    """What the browser's console complains of, and the address of any request to elsewhere."""
    return []


@pytest.fixture(scope="session")
def window(tools: Any, chromium: "Browser", address: Callable[[str], str], complaints: list[str]) -> "Open":
    """Opens a window of the browser, with options beside the usual ones."""

    def open_(**options: Any) -> "Page":
        size = {"width": 1280, "height": 3000}
        page: Page = chromium.new_context(**{"viewport": size, "reduced_motion": "reduce"} | options).new_page()
        page.set_default_timeout(tools.PATIENCE)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(OWN) else complaints.append(asked.url))
        return page

    return open_


@pytest.fixture(scope="session")
def shown(tools: Any, address: Callable[[str], str]) -> "Open":
    """Shows the page of a kind of model, or at an address, in an open window, with a text."""
    from .pages import wait_for_quiet  # noqa: TID252

    def show(page: "Page", kind: str, text: str | None) -> "Page":
        page.mouse.move(0, 0)
        tools.shown(page, kind if "/" in kind else address(kind))
        if text is not None:
            page.fill("#text", text)
        wait_for_quiet(page)
        return page

    return show


@pytest.fixture(scope="session")
def windows() -> "list[Page]":
    """Windows with the usual options, which are used again: to open one takes longer than the page."""
    return []


@pytest.fixture
def visit(window: "Open", shown: "Open", windows: "list[Page]", complaints: list[str]) -> "Iterator[Open]":
    """Opens the page anew for one test, which fails where there is a complaint."""
    complaints.clear()
    usual: Iterator[Page] = iter(windows)
    others: list[Page] = []

    def go(kind: str = "gru", text: str | None = TEXT, **options: Any) -> "Page":
        page = None if options else next(usual, None)
        if page is None:
            page = window(**options)
            (others if options else windows).append(page)
        return shown(page, kind, text)

    yield go
    for page in others:
        page.context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def looked_at() -> "dict[str, Page]":
    """The pages that tests only look at, by the kind of model."""
    return {}


@pytest.fixture
def look(window: "Open", shown: "Open", looked_at: "dict[str, Page]", complaints: list[str]) -> "Iterator[Open]":
    """Opens the page of a kind of model once for all tests that leave it as it is; they fail where it complains."""
    complaints.clear()

    def at(kind: str) -> "Page":
        if kind not in looked_at:
            looked_at[kind] = shown(window(), kind, TEXT)
        return looked_at[kind]

    yield at
    assert complaints == []
