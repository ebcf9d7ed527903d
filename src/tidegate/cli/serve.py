"""`tidegate serve`: a page in the browser that shows what a model does with a text."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

import tidegate
from tidegate.cli.console import note, say
from tidegate.cli.options import ModelArgument, ThreadsOption


def serve(
    model: ModelArgument,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="The port; 0 for any free one.")] = 8000,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Where to listen; other machines can reach all but 127.0.0.1."),
    ] = "127.0.0.1",
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    state_folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep the states of sessions here, so that they survive the process."),
    ] = None,
    max_sessions: Annotated[
        int, typer.Option(min=1, metavar="N", help="Sessions at a time; more are refused.")
    ] = 100_000,
    session_idle: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Forget sessions after so long without a step.")
    ] = 3600,
    threads: ThreadsOption = None,
) -> None:
    """Show in a browser what the model does with a text, word by word and gate by gate.

    Only this machine can reach the page, and the page loads nothing from elsewhere. Ctrl-C ends it.
    """
    from tidegate import serve as server  # noqa: PLC0415 - its packages are an extra
    from tidegate.serve.sessions import Sessions  # noqa: PLC0415 - likewise
    from tidegate.stream.storage import StateFolder  # noqa: PLC0415 - not needed by other commands

    if threads:
        tidegate.set_num_threads(threads)
    loaded = tidegate.load(model, tidegate.TextModel)
    folder = StateFolder(state_folder) if state_folder else None
    sessions = Sessions({model.name: loaded}, folder, max_sessions=max_sessions, idle_seconds=session_idle)
    taken = server.listen(host, port)
    names: tuple[str, ...] = server.HERE
    if not server.is_here(host):
        note(f"warning: anyone who can reach {host} can use this page, without a password", "bold yellow")
        names = ("*",)
    address = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{taken.getsockname()[1]}/"  # noqa: S104

    def ready() -> None:
        say(f"{model.name} is at {address} (Ctrl-C ends it)")
        if open_:
            webbrowser.open(address)

    server.serve(server.create_app(loaded, model.name, names, sessions), taken, ready)
    note("stopped")
