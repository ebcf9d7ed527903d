"""`tidegate export`: a model in the files of other programs, each compared with the model."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import typer

import tidegate
from tidegate.cli import outputs
from tidegate.cli.console import note, say, show_facts
from tidegate.cli.options import ModelArgument, OverwriteOption
from tidegate.convert.certificate import Certificate
from tidegate.convert.keras.code import SUFFIXES as KERAS_SUFFIXES
from tidegate.convert.to_c import CFile, to_c
from tidegate.convert.to_keras import KerasFile, to_keras
from tidegate.convert.to_torch import SUFFIXES, TorchFile, to_torch
from tidegate.data.outputs import Format, contains, starts_with
from tidegate.models.files.model_file import FORMAT, is_model, metadata_of
from tidegate.models.network import Network


def _is_of_torch(path: Path) -> bool:
    """Whether a file is a zip archive, as checkpoints are, or a safetensors file that is no model, but for exports."""
    with path.open("rb") as file:
        return zipfile.is_zipfile(path) or (
            file.read(9)[8:] == b"{" and (not is_model(path) or FORMAT in metadata_of(path))
        )


def _is_of_keras(path: Path) -> bool:
    """Whether a file is one of HDF5, or an archive with the configuration of a model."""
    if not zipfile.is_zipfile(path):
        return starts_with(b"\x89HDF")(path)
    with zipfile.ZipFile(path) as archive:
        return "config.json" in archive.namelist()


_ONNX = Format("onnx", "a file of ONNX", (".onnx",), starts_with(b"\x08"))
_TORCH = Format("torch", "a file of PyTorch", SUFFIXES, _is_of_torch)
_KERAS = Format("keras", "a file of Keras", KERAS_SUFFIXES, _is_of_keras)
_C = Format("c", "a file in C that tidegate wrote", (".c",), contains(b"Written by tidegate "))


class _Target(NamedTuple):
    """A file to write, and whose it is."""

    format: Format
    path: Path | None


def export(
    model: ModelArgument,
    onnx: Annotated[Path | None, typer.Option("--onnx", metavar="FILE", help="Write a file of ONNX.")] = None,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Let the file of ONNX read sequences in pieces, states in and out.")
    ] = False,
    c: Annotated[Path | None, typer.Option("--c", metavar="FILE", help="Write one file of C99.")] = None,
    torch: Annotated[
        Path | None,
        typer.Option("--torch", metavar="FILE", help="Write a state_dict, .pt or .safetensors, and show its module."),
    ] = None,
    keras: Annotated[
        Path | None,
        typer.Option("--keras", metavar="FILE", help="Write a model for Keras 3, .keras, or its weights, .weights.h5."),
    ] = None,
    weights: Annotated[
        Literal["float32", "int8"] | None,
        typer.Option(help="Weights of the file of C.", show_default="as the model has them"),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="WORD", help="What the names in C begin with.", show_default="the name of the file"),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a model as a file of another program: ONNX, PyTorch, Keras, or C for microcontrollers.

    What was written is run and compared with the model on random sequences of many lengths. The largest error is shown;
    where it is above 1e-5 nothing is written.
    """
    targets = {
        "onnx": _Target(_ONNX, onnx),
        "torch": _Target(_TORCH, torch),
        "keras": _Target(_KERAS, keras),
        "c": _Target(_C, c),
    }
    if not any(target.path for target in targets.values()):
        raise ValueError("nothing to write: choose " + " or ".join(f"--{each} FILE" for each in targets))
    _check_use("--streaming", streaming, "--onnx", onnx)
    _check_use("--weights", weights, "--c", c)
    _check_use("--name", name, "--c", c)
    places = {
        each: outputs.output(target.path, (target.format,), (model,), overwrite=overwrite).path
        for each, target in targets.items()
        if target.path
    }
    network = tidegate.load(model)
    if isinstance(network, tidegate.SequenceModel) and network.front_end:
        note(f"the files read frames, not sound; what makes them: {network.front_end}")
    for each, place in places.items():
        show_facts(
            [("file", str(place)), *_written(each, network, place, streaming=streaming, name=name, weights=weights)]
        )
        note(f"wrote {place}")


def _written(form: str, network: Network, place: Path, *, streaming: bool, **for_c: Any) -> Iterator[tuple[str, str]]:
    """Writes a file of a form, and returns what to say of it."""
    match form:
        case "onnx":
            return _onnx(network, place, streaming)
        case "torch":
            return _of_torch(to_torch(network, place), place)
        case "keras":
            return _weights(to_keras(network, place), "Keras")
        case _:
            return _c(to_c(network, place, **for_c))


def _check_use(option: str, given: object, owner: str, file: Path | None) -> None:
    """Raises ValueError if an option is given without the file that it is about."""
    if given and not file:
        raise ValueError(f"{option} is given without {owner}, which it is for")


def _onnx(network: Network, place: Path, streaming: bool) -> Iterator[tuple[str, str]]:
    from tidegate.convert.to_onnx import to_onnx  # noqa: PLC0415 - needs an extra

    yield from _compared(to_onnx(network, place, streaming=streaming))
    if network.tokenizer is not None:
        yield "to do outside", f"cut texts into {network.tokenizer.unit}: the tokenizer is in the metadata"


def _of_torch(file: TorchFile, place: Path) -> Iterator[tuple[str, str]]:
    """Shows the module, and what the file says of the model beside its weights."""
    yield from _weights(file, "PyTorch")
    if place.suffix.lower() == ".pt":
        yield "not in the file", "cell, summary, task, labels and words, which a .safetensors holds"
    else:
        yield "it is also", "a model file, which tidegate reads as it is"


def _weights(file: TorchFile | KerasFile, program: str) -> Iterator[tuple[str, str]]:
    """Shows the code that loads weights."""
    for line in file.code.splitlines():
        say(line)
    if file.certificate is None:
        yield "compared with", f"nothing: {program} is not installed"
        return
    yield from _compared(file.certificate)


def _compared(certificate: Certificate) -> Iterator[tuple[str, str]]:
    yield "compared with", certificate.against
    yield "largest error", f"{certificate.error:.1e} over {certificate.numbers:,} numbers"


def _c(file: CFile) -> Iterator[tuple[str, str]]:
    yield "names begin with", f"{file.name}_"
    yield "weights", f"{file.weight_bytes:,} bytes"
    if file.compiled is None:
        yield "compared with", "nothing: there is no C compiler here (cc, gcc, clang or $CC)"
        return
    compiled = file.compiled
    if compiled.code_bytes is not None:
        yield "code", f"{compiled.code_bytes:,} bytes"
    yield "a state", f"{compiled.state_bytes:,} bytes"
    yield "a step", f"{compiled.step_microseconds:.2f} µs on this machine"
    yield from _compared(compiled.certificate)
