"""A model as one C99 file for microcontrollers, audio plug-ins, and whatever else has a C compiler."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from tidegate.convert.c.constants import stored
from tidegate.convert.c.source import c_source
from tidegate.convert.certificate import Certificate
from tidegate.convert.samples import Sequence as Steps
from tidegate.convert.samples import batches_for, expanded, results_of
from tidegate.files.writing import naming, replacing
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel
from tidegate.ops.checks import check_choice
from tidegate.ops.compressed import Compressed

WEIGHTS = ("float32", "int8")

_FLAGS = ("-std=c99", "-O3")
_ROUNDS, _TIMED_STEPS = 5, 1_000
_LONGEST = 120.0  # seconds until a compiler or a program that hangs is ended


@dataclass(frozen=True)
class Compiled:
    """What a C compiler made of a file, on the machine that wrote it.

    Attributes:
        certificate: How its results were compared with the model's.
        state_bytes: Size of a state, of which each stream has one.
        code_bytes: Machine code and constants other than weights; None where there is no program `size`.
        step_microseconds: Time of a step, the median of a few rounds.
    """

    certificate: Certificate
    state_bytes: int
    code_bytes: int | None
    step_microseconds: float


@dataclass(frozen=True)
class CFile:
    """A file in C.

    Attributes:
        name: What all names in it begin with.
        weight_bytes: Size of the constant data that the weights take.
        compiled: What a compiler made of it; None where there is none.
    """

    name: str
    weight_bytes: int
    compiled: Compiled | None


def to_c(model: Network, path: str | os.PathLike[str], *, name: str | None = None, weights: str | None = None) -> CFile:
    """Writes a model as one file of standard C99, compiles it, and compares its results with the model's.

    The file needs no library and allocates nothing. It has `NAME_start`, `NAME_step`, `NAME_vector`, `NAME_scores` and
    `NAME_probabilities` on a state that the caller owns, and says at its top how they are used. A model of texts takes
    a word id a step, of those in `model.vocabulary`; a model of numbers takes them in their own units, NaN where they
    may be missing.

    The compiler is `$CC`, or one of `cc`, `gcc` and `clang`.

    Args:
        model: The model; it must read in one direction, and have no n-grams.
        path: Where to write the file; an old one is replaced.
        name: What all names in it begin with, a word of letters, digits and underscores; None for the file's own name.
        weights: "float32" or "int8", whose products are computed in float32; None for what the model has.

    Raises:
        OSError: The file cannot be written.
        ValueError: C cannot hold the model, the name is no word, the compiler fails or does not end, or the results
            differ by more than 1e-5; nothing is written.
    """
    if weights is not None:
        check_choice("weights", weights, WEIGHTS)
    _check(model)
    name = _checked_name(Path(path).stem if name is None else name, given=name is not None)
    if weights == "float32":
        model = expanded(model)
    elif weights == "int8" and {array.dtype for array in model.small.values()} != {"int8"}:
        model = expanded(model).compress("int8")
    source = c_source(model, name, version("tidegate"))
    compiler = _compiler()
    compiled = None if compiler is None else _compiled(compiler, source, name, model)
    with replacing(path) as file:
        file.write(source.encode())
    return CFile(name, _bytes(model), compiled)


def _check(model: Network) -> None:
    """Checks that a file of C can hold a model.

    Raises:
        ValueError: It cannot.
    """
    if isinstance(model, TextModel) and model.ngrams is not None:
        raise ValueError(
            "this model has n-grams, which read a text as a whole, and a file of C reads it step by step: export one "
            "without them, as `tidegate train --parts network` makes"
        )
    model.stream_parts()  # says why a network in both directions cannot be streamed


def _checked_name(name: str, *, given: bool) -> str:
    """Returns a name for C.

    Raises:
        ValueError: It is no word.
    """
    word = name if given else re.sub(r"\W+", "_", name, flags=re.ASCII)
    if re.fullmatch(r"[A-Za-z]\w*", word, re.ASCII):
        return word
    if given:
        raise ValueError(f"name is {name!r:.60}, expected a letter, and letters, digits and underscores after it")
    return f"model_{word}"


def _bytes(model: Network) -> int:
    """Counts the bytes of the constants."""
    arrays = [stored(model, each) for each in model.arrays]
    return sum(
        array.values.nbytes + np.asarray(array.scales).nbytes if isinstance(array, Compressed) else array.nbytes
        for array in arrays
    )


def _compiler() -> list[str] | None:
    """Finds a C compiler; $CC may have options."""
    for command in (shlex.split(os.environ["CC"]),) if os.environ.get("CC") else (["cc"], ["gcc"], ["clang"]):
        found = shutil.which(command[0])
        if found:
            return [found, *command[1:]]
    return None


def _compiled(compiler: list[str], source: str, name: str, model: Network) -> Compiled:
    """Compiles a file, runs it, and measures it.

    Raises:
        ValueError: The compiler refuses it, or its results differ.
    """
    with TemporaryDirectory() as folder:
        place = Path(folder)
        with naming(place / "model.c"):  # whose folder may be full
            (place / "model.c").write_text(source, encoding="utf-8")
        program = place / "model"
        _run([*compiler, *_FLAGS, "-c", "model.c", "-o", "model.o"], place)
        main = [f"-D{name}_DECLARATIONS", f"-D{name}_MAIN", "model.c"]
        _run([*compiler, _FLAGS[0], *main, "model.o", "-o", str(program)], place)
        certificate = Certificate.of(
            _compared(program, model), " ".join([Path(compiler[0]).name, *compiler[1:], *_FLAGS])
        )
        printed = [_run([str(program), str(_TIMED_STEPS)], place).split() for _ in range(_ROUNDS)]
        time = median(float(each) for _, each in printed)
        return Compiled(certificate, int(printed[0][0]), _code_bytes(place, _bytes(model)), time)


def _code_bytes(folder: Path, weights: int) -> int | None:
    size = shutil.which("size")
    if size is None:
        return None
    columns = _run([size, "model.o"], folder).splitlines()[1].split()
    return int(columns[0]) + int(columns[1]) - weights


def _run(command: Sequence[str], folder: Path, text: str = "") -> str:
    """Runs a program.

    Raises:
        ValueError: It fails, or does not end.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(  # noqa: S603 - a compiler that the user has, and what it made of our source
            command, cwd=folder, input=text, capture_output=True, text=True, check=False, timeout=_LONGEST
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"{name} fails: it did not end in {_LONGEST:g} s") from None
    if done.returncode:
        raise ValueError(f"{name} fails: {done.stderr.strip()[:300] or f'code {done.returncode}'}")
    return done.stdout


def _compared(program: Path, model: Network) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields results of the model, and those of the program."""
    plain = expanded(model)
    for sequences in batches_for(plain):
        printed = _run([str(program)], program.parent, "".join(map(_lines, sequences)))
        found = np.array([line.split() for line in printed.splitlines()], np.float32)
        expected = results_of(plain, sequences)
        columns = np.cumsum([array.shape[1] for array in expected.values()])[:-1]
        yield from zip(expected, expected.values(), np.split(found, columns, axis=1), strict=True)


def _lines(sequence: Steps) -> str:
    """Writes a sequence as the program reads it."""
    steps = sequence.tolist()
    lines = [" ".join(map(repr, step)) if isinstance(step, list) else str(step) for step in steps]
    return "".join(f"{line}\n" for line in lines) + "\n"
