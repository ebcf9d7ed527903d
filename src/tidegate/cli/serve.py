"""`tidegate serve`: models over HTTP, and a page in the browser that shows what one of them does with a text."""

import os
import re
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tidegate
from tidegate.cli.console import note, say
from tidegate.cli.groups import Option, grouped

if TYPE_CHECKING:
    from tidegate.serve import Limits


def _bound(panel: str, default: float, text: str, metavar: str = "N", least: float = 1) -> Option:
    details = typer.Option(min=least, metavar=metavar, help=text, rich_help_panel=panel)
    return Option(Annotated[type(default), details], default)


LIMITS = {
    "max_bytes": _bound("Limits", 8_000_000, "Bytes of a request."),
    "max_rows": _bound("Limits", 1_024, "Texts or sequences of a request."),
    "max_characters": _bound("Limits", 200_000, "Characters of a text."),
    "max_steps": _bound("Limits", 100_000, "Steps of a sequence of numbers."),
    "max_queue": _bound("Limits", 4_096, "Texts or sequences that may wait for a model."),
    "max_batch": _bound("Limits", 256, "Texts or sequences that a model reads at a time."),
    "wait": _bound("Limits", 0.0, "Milliseconds that a batch waits for more.", "MS", 0),
    "timeout": _bound("Limits", 30.0, "Seconds for a request to arrive, and to wait for the model.", "S", 0.1),
    "drain": _bound("Limits", 10.0, "Seconds to answer what is under way at the end.", "S"),
}
FOLDER = typer.Option(
    metavar="FOLDER",
    help="Keep states of sessions here, so that they survive the process.",
    rich_help_panel="Sessions",
)
SESSIONS = {
    "state_folder": Option(Annotated[Path | None, FOLDER], None),
    "max_sessions": _bound("Sessions", 100_000, "Sessions at a time; more are refused."),
    "session_idle": _bound("Sessions", 3600.0, "Seconds without a step until a session is forgotten.", "S"),
}


@grouped("limits", LIMITS, dict)
@grouped("sessions", SESSIONS, dict)
def serve(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Model files; NAME=FILE to say what clients call one."),
    ],
    limits: dict[str, Any],
    sessions: dict[str, Any],
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="The port; 0 for any free one.")] = 8000,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Where to listen; other machines can reach all but 127.0.0.1."),
    ] = "127.0.0.1",
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    page: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The model on the page.", show_default="the first one that reads texts"),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="TIDEGATE_TOKEN",
            metavar="TEXT",
            help="What clients must send with each request; needed where other machines can reach the server.",
            rich_help_panel="Access",
        ),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="Write a line of JSON about each request to stderr, without its texts.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Threads to compute with.", show_default="all processors but one"),
    ] = None,
) -> None:
    """Serve models over HTTP, and show in a browser what one does with a text, word by word and gate by gate.

    /predict, /embed and /explain take JSON; clients of KServe and Triton find the Open Inference Protocol under /v2;
    /openapi.json describes all. Only this machine can reach it unless --host says otherwise. Ctrl-C or SIGTERM ends it.
    """
    from tidegate import serve as server  # noqa: PLC0415 - its packages are an extra

    # One processor is for HTTP: threads that wait for each other lose more where it takes one of theirs.
    tidegate.set_num_threads(threads or max(1, (os.cpu_count() or 1) - 1))
    hosts = _hosts(host, token)
    loaded = {name: tidegate.load(path) for name, path in _named(models).items()}
    bounds = _bounds(limits)
    kept = server.StateFolder(sessions["state_folder"]) if sessions["state_folder"] else None
    shared = server.Sessions(loaded, kept, max_sessions=sessions["max_sessions"], idle_seconds=sessions["session_idle"])
    write = _write_line if log else None
    app = server.create_app(loaded, page=page, hosts=hosts, token=token, limits=bounds, log=write, sessions=shared)
    taken = server.listen(host, port)
    address = f"http://{_reachable(host)}:{taken.getsockname()[1]}/"

    def ready() -> None:
        say(f"{', '.join(loaded)} {'is' if len(loaded) == 1 else 'are'} at {address} (Ctrl-C ends it)")
        if open_:
            webbrowser.open(address + (f"?token={token}" if token else ""))

    server.serve(app, taken, ready, bounds.drain)
    note("stopped")


def _bounds(limits: dict[str, Any]) -> "Limits":
    """Makes limits of the options."""
    from tidegate.serve import Limits  # noqa: PLC0415 - its packages are an extra

    sizes = {name: limits[f"max_{name}"] for name in ("rows", "characters", "steps", "queue", "batch")}
    times = {"wait": limits["wait"] / 1000, "seconds": limits["timeout"], "drain": limits["drain"]}
    return Limits(body=limits["max_bytes"], **sizes, **times)


def _hosts(host: str, token: str | None) -> tuple[str, ...]:
    """Returns the names by which clients may call the server.

    Raises:
        ValueError: Other machines could reach it without a token, or the token is empty.
    """
    from tidegate import serve as server  # noqa: PLC0415 - see above

    if token is not None and not re.fullmatch(r"[\x21-\x7e]{8,}", token):
        raise ValueError("the token has spaces or less than 8 characters, expected more: try `openssl rand -hex 16`")
    if server.is_here(host):
        return server.HERE
    if token is None:
        raise ValueError(
            f"other machines can reach {host}, so a token is needed: --token TEXT, or TIDEGATE_TOKEN in the environment"
        )
    note(f"other machines can reach {host}: clients need the token, and it and the texts travel unencrypted", "yellow")
    return ("*",)


def _named(models: list[str]) -> dict[str, Path]:
    """Returns the files of the models by name: what stands before the =, or the name of the file without suffix.

    Raises:
        ValueError: Two models have one name, or a name does not fit into an address.
    """
    named: dict[str, Path] = {}
    for model in models:
        before, _, after = model.partition("=")
        name, path = (before, Path(after)) if after and not Path(model).exists() else (Path(model).stem, Path(model))
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name):
            raise ValueError(f"a model is called {name!r}, expected letters, digits, _, . and -: use NAME={path}")
        if name in named:
            raise ValueError(f"two models are called {name!r}, expected different names: use NAME={path}")
        named[name] = path
    return named


def _reachable(host: str) -> str:
    """Returns what stands for a host in an address of this machine."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _write_line(line: str) -> None:
    sys.stderr.write(line + "\n")
