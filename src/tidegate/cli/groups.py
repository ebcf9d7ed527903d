"""Options of a command that belong together and reach it as one value."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NamedTuple

Command = Callable[..., None]


class Option(NamedTuple):
    """One option.

    Attributes:
        annotation: Its type, with typer's details.
        default: What it is where it is not given.
    """

    annotation: Any
    default: Any


def grouped(group: str, options: Mapping[str, Option], build: Callable[..., Any]) -> Callable[[Command], Command]:
    """Replaces one parameter of a command by options, from which its value is built.

    Args:
        group: The parameter.
        options: The options by name; they stand in its place in the help.
        build: Called with the options by name; its result is what the command gets.
    """

    def replace(command: Command) -> Command:
        @wraps(command)
        def run(**given: Any) -> None:
            value = build(**{name: given.pop(name) for name in options})
            command(**given, **{group: value})

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name == group:
                parameters += [
                    inspect.Parameter(name, parameter.KEYWORD_ONLY, default=default, annotation=annotation)
                    for name, (annotation, default) in options.items()
                ]
            else:
                parameters.append(parameter.replace(kind=parameter.KEYWORD_ONLY))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return replace
