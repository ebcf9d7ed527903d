"""`tidegate convert`: another framework's network as a model of tidegate, with a measured error."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from tidegate.cli import outputs
from tidegate.cli.console import note
from tidegate.cli.options import OverwriteOption

_MOST_WORDS = 2**30  # bytes of a vocabulary


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="ONNX; Keras (.keras, .h5); torch (.pt weights, .safetensors).")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the model.")],
    part: Annotated[
        Literal["model", "layers"], typer.Option(help="All of it, or its recurrent layers alone, which encode.")
    ] = "model",
    labels: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Names of the outputs.", show_default="0,1,…")
    ] = None,
    task: Annotated[
        Literal["classification", "multi-label", "regression"] | None,
        typer.Option(help="What outputs without softmax or sigmoid are.", show_default="by their number"),
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Words of an embedding, a line each, in the order of their ids.",
            show_default="the ids",
        ),
    ] = None,
    cell: Annotated[
        str | None, typer.Option(metavar="CELL", help="Of weights alone: the cell, such as rnn_relu, if not obvious.")
    ] = None,
    summary: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of weights alone: last, mean, max or mean+max.")
    ] = None,
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=NUMBER", help="An ONNX input that is always the same.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Convert another framework's network to a model, and measure the error.

    The model is compared with the source's own runtime on random sequences of several lengths; nothing is written if
    they differ by more than 1e-5. The proof is printed and kept in the model. If that runtime is not installed, the
    proof is one of arithmetic alone, and a line says so.
    """
    from tidegate.convert import convert as converted  # noqa: PLC0415 - only this command needs it

    target = outputs.output(output, (outputs.MODEL,), (source, vocabulary), overwrite=overwrite)
    model, certificate = converted(
        source,
        part=part,
        labels=None if labels is None else labels.split(","),
        task=task,
        words=None if vocabulary is None else _words(vocabulary),
        cell=cell,
        summary=summary,
        given=dict(_number(text) for text in given or ()),
    )
    model.save(target.path)
    note(f"wrote {target.path}: {model!r}")
    for line in model.metrics["conversion"].get("assumed", ()):
        note(f"assumed: {line}")
    note(str(certificate))
    if certificate.missing:
        note("The certificate is one of arithmetic alone: gates or directions in a wrong order would not show.")


def _words(path: Path) -> list[str]:
    """Reads a vocabulary, a word each line.

    Raises:
        ValueError: It is no text in UTF-8.
    """
    if path.stat().st_size > _MOST_WORDS:
        raise ValueError(f"{path} has {path.stat().st_size:,} bytes, which is no vocabulary")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: byte {error.start}") from None
    return text.removesuffix("\n").split("\n")


def _number(text: str) -> tuple[str, np.generic]:
    """Reads `NAME=NUMBER`.

    Raises:
        ValueError: It is something else.
    """
    name, _, value = text.partition("=")
    try:
        return name, np.int64(value) if value.lstrip("-").isdigit() else np.float32(value)
    except ValueError:
        raise ValueError(f"--set is {text!r}, expected NAME=NUMBER such as sr=16000") from None
