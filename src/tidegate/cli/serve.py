"""`tidegate serve`: a page in the browser that shows what a model does with a text."""

import webbrowser
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
    threads: ThreadsOption = None,
) -> None:
    """Show in a browser what the model does with a text, word by word and gate by gate.

    Only this machine can reach the page, and the page loads nothing from elsewhere. Ctrl-C ends it.
    """
    from tidegate import serve as server  # noqa: PLC0415 - its packages are an extra

    if threads:
        tidegate.set_num_threads(threads)
    loaded = tidegate.load(model, tidegate.TextModel)
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

    server.serve(server.create_app(loaded, model.name, names), taken, ready)
    note("stopped")
