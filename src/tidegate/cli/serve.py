"""`tidegate serve`: models over HTTP, and a page in the browser that shows what one of them does with a text."""

import re
import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

import tidegate
from tidegate.cli.console import note, say

LIMITS, ACCESS, SESSIONS = "Limits", "Access", "Sessions"


def _limit(text: str, metavar: str = "N", least: float = 1) -> Any:
    return typer.Option(min=least, metavar=metavar, help=text, rich_help_panel=LIMITS)


ModelsArgument = Annotated[
    list[str], typer.Argument(metavar="MODEL...", help="Model files; NAME=FILE to say what clients call one.")
]
HostOption = Annotated[
    str,
    typer.Option(metavar="ADDRESS", help="Where to listen; other machines can reach all but its own, as 127.0.0.1."),
]
PageOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The model on the page.", show_default="the first one that reads texts"),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        envvar="TIDEGATE_TOKEN",
        metavar="TEXT",
        help="What clients must send with each request; needed where other machines can reach the server.",
        rich_help_panel=ACCESS,
    ),
]
StateFolderOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Keep states of sessions here, so that they survive the process.",
        rich_help_panel=SESSIONS,
    ),
]
PowerLossOption = Annotated[
    bool,
    typer.Option(
        "--power-loss",
        help="Let them survive a loss of power too: each step waits until the disk has its state.",
        rich_help_panel=SESSIONS,
    ),
]
MaxSessionsOption = Annotated[
    int, typer.Option(min=1, metavar="N", help="Sessions at a time; more are refused.", rich_help_panel=SESSIONS)
]
SessionIdleOption = Annotated[
    float,
    typer.Option(
        min=1, metavar="S", help="Seconds without a step until a session is forgotten.", rich_help_panel=SESSIONS
    ),
]
ServerThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Threads to compute with.", show_default="all processors but one"),
]


def serve(
    models: ModelsArgument,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="The port; 0 for any free one.")] = 8000,
    host: HostOption = "127.0.0.1",
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    page: PageOption = None,
    token: TokenOption = None,
    log: Annotated[bool, typer.Option("--log", help="Write JSON about each request to stderr, without texts.")] = False,
    max_bytes: Annotated[int, _limit("Bytes of a request.")] = 8_000_000,
    max_rows: Annotated[int, _limit("Texts or sequences of a request.")] = 1_024,
    max_characters: Annotated[int, _limit("Characters of a text.")] = 200_000,
    max_steps: Annotated[int, _limit("Steps of a sequence of numbers.")] = 100_000,
    max_queue: Annotated[int, _limit("Texts or sequences that may wait for a model.")] = 4_096,
    max_batch: Annotated[int, _limit("Texts or sequences that a model reads at a time.")] = 256,
    wait: Annotated[float, _limit("Milliseconds that a batch waits for more.", "MS", least=0)] = 0,
    timeout: Annotated[float, _limit("Seconds for a request to arrive, and to wait for the model.", "S", 0.1)] = 30,
    drain: Annotated[float, _limit("Seconds to answer what is under way at the end.", "S", least=1)] = 10,
    state_folder: StateFolderOption = None,
    power_loss: PowerLossOption = False,
    max_sessions: MaxSessionsOption = 100_000,
    session_idle: SessionIdleOption = 3600,
    threads: ServerThreadsOption = None,
) -> None:
    """Serve models over HTTP, and show in a browser what one does with a text, word by word and gate by gate.

    /predict, /embed and /explain take JSON; clients of KServe and Triton find the Open Inference Protocol under /v2;
    WebSockets at /stream/MODEL read texts as they come; /openapi.json describes the rest. Only this machine can reach
    it unless --host says otherwise. Ctrl-C, SIGTERM or SIGHUP ends it.
    """
    from tidegate import serve as server  # noqa: PLC0415 - its packages are an extra

    sizes = {"body": max_bytes, "rows": max_rows, "characters": max_characters, "steps": max_steps}
    limits = server.Limits(**sizes, queue=max_queue, batch=max_batch, wait=wait / 1000, seconds=timeout, drain=drain)
    server.compute_with(threads)
    hosts = _hosts(host, token)
    loaded = {name: tidegate.load(path) for name, path in _named(models).items()}
    folder = server.StateFolder(state_folder, power_loss=power_loss) if state_folder else None
    sessions = server.Sessions(loaded, folder, max_sessions=max_sessions, idle_seconds=session_idle, queue=limits.queue)
    line = _write_line if log else None
    app = server.create_app(loaded, page=page, hosts=hosts, token=token, limits=limits, log=line, sessions=sessions)
    taken = server.listen(host, port)
    address = f"http://{_reachable(host)}:{taken.getsockname()[1]}/"

    def ready() -> None:
        say(f"{', '.join(loaded)} {'is' if len(loaded) == 1 else 'are'} at {address} (Ctrl-C ends it)")
        if open_:
            webbrowser.open(address + (f"?token={token}" if token else ""))

    server.serve(app, taken, ready, drain)
    note("stopped")


def _hosts(host: str, token: str | None) -> tuple[str, ...]:
    """Returns the names by which clients may call the server.

    Raises:
        ValueError: Other machines could reach it without a token, or the token is empty.
    """
    from tidegate import serve as server  # noqa: PLC0415 - see above

    if token is not None and not re.fullmatch(r"[\x21-\x7e]{8,}", token):
        raise ValueError("the token has spaces or less than 8 characters, expected more: try `openssl rand -hex 16`")
    if server.is_here(host):
        return (*server.HERE, _reachable(host))
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
