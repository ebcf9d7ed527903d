"""The command line: `tidegate train`, `evaluate`, `predict`, `stream`, `explain`, `serve`, `embed`, `info`, `data`."""

import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: What stands after `tidegate` on the command line; None for `sys.argv`.

    Returns:
        The exit code: 0 if all went well, 1 for a failure, 2 for a mistake of the user, 130 after Ctrl-C,
        143 and 129 after SIGTERM and SIGHUP.
    """
    try:
        from tidegate.cli.app import run  # noqa: PLC0415 - here, so that a missing extra is reported
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.stderr.write(f"error: the command line needs {error.name}: pip install 'tidegate[cli]'\n")
        return 2
    if arguments is None:
        return run(sys.argv[1:])
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    code = run(arguments)
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:  # a training that was stopped, in a process that goes on
            signal.signal(number, handler)
    return code
