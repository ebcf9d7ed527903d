"""What a command is to write, checked before it does any work: never an input, never another kind of file."""

import gzip
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tidegate.data.tables.folders import files_of
from tidegate.data.tables.sources.kinds import KINDS
from tidegate.files.writing import StrPath, check_place, descriptor, is_stream

STDOUT = Path("/dev/stdout")
_START = 4096  # bytes of a file that tell its kind
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # of UTF-8 and UTF-16


@dataclass(frozen=True)
class Format:
    """A kind of file that can be written.

    Attributes:
        name: One word.
        title: With its article, for messages.
        suffixes: How the names of such files end.
        known: Whether a file that is there is one of them.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    known: Callable[[Path], bool]

    def fits(self, path: StrPath) -> bool:
        """Whether a name ends as such files do."""
        return os.fspath(path).lower().endswith(self.suffixes)


@dataclass(frozen=True)
class Output:
    """Where a command writes, and what.

    Attributes:
        path: A file, a device or a pipe; /dev/stdout for standard output.
        format: The kind of file.
    """

    path: Path
    format: Format

    @classmethod
    def of(
        cls, path: StrPath, formats: Sequence[Format], inputs: Iterable[StrPath | None] = (), *, overwrite: bool = False
    ) -> Self:
        """Chooses the kind of file by the suffix, and checks that nothing is lost when it is written.

        Args:
            path: What the user named; "-" is standard output.
            formats: What can be written; a device or a pipe whose name has none of the suffixes gets the first.
            inputs: What is read; "-" is standard input, and None or what is no file is passed over.
            overwrite: Whether a file of another kind may be replaced.

        Raises:
            OSError: The file cannot be written there, or is an input, or is there and of another kind.
            ValueError: The suffix is none of those of the formats, or the output is a terminal.
        """
        place = STDOUT if os.fspath(path) == "-" else Path(path)
        check_inputs(place, inputs)
        chosen = next((each for each in formats if each.fits(place)), None)
        check_place(place)
        if is_stream(place):
            _check_terminal(place, formats[0])
            return cls(place, chosen or formats[0])
        if chosen is None:
            plain = (suffix for each in formats for suffix in each.suffixes if not suffix.endswith(".gz"))
            *first, last = dict.fromkeys(plain)
            ends = f"{', '.join(first)} or {last}" if first else last
            raise ValueError(f"the output is {place}, expected a file that ends in {ends}")
        if not overwrite and place.exists() and place.stat().st_size and not chosen.known(place):
            raise FileExistsError(f"{place} is not {chosen.title}, and would be lost: --overwrite replaces it")
        return cls(place, chosen)

    @property
    def is_stdout(self) -> bool:
        """Whether this is where results are printed."""
        return descriptor(self.path) == 1


def check_inputs(place: Path, inputs: Iterable[StrPath | None]) -> None:
    """Checks that an output is none of the inputs, by whatever name.

    Args:
        place: The output.
        inputs: As in `Output.of`.

    Raises:
        FileExistsError: It is one.
    """
    try:
        output = os.stat(place)
    except OSError:  # there is nothing yet, and what else is wrong is found later
        return
    if stat.S_ISCHR(output.st_mode) or stat.S_ISSOCK(output.st_mode):
        return  # a terminal is read and written
    for name in inputs:
        if name is None:
            continue
        try:
            found = [os.fstat(0)] if name == "-" else [os.stat(path) for path in files_of(name) or [os.fspath(name)]]
        except (OSError, ValueError):  # a share, say, that stands where a file could
            continue
        if any(os.path.samestat(output, each) for each in found):
            alias = "" if os.fspath(name) == os.fspath(place) else f" ({name})"
            raise FileExistsError(
                f"the output {place} is also an input{alias}, which would be lost: choose another file"
            )


def starts_with(*starts: bytes) -> Callable[[Path], bool]:
    """Makes a function that says whether a file begins with one of some bytes, in capitals or not, after spaces."""

    def known(path: Path) -> bool:
        return _start(path).lower().lstrip().startswith(tuple(start.lower() for start in starts))

    return known


def contains(mark: bytes) -> Callable[[Path], bool]:
    """Makes a function that says whether the first lines of a file hold some bytes."""
    return lambda path: mark in _start(path)


def _start(path: Path) -> bytes:
    """Reads the first bytes of a file, unpacked if its name says that it is compressed; of none that is not, a NUL."""
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            return file.read(_START)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return b"\0"


def _is_text(path: Path) -> bool:
    """Whether a file holds lines of text, and no markup or JSON, which begin with a bracket."""
    start = _start(path)
    return start.startswith(_MARKS) or (b"\0" not in start and not start.lstrip().startswith((b"{", b"<", b"[")))


def _suffixes(kind: str) -> tuple[str, ...]:
    plain = KINDS[kind]
    return (*plain, *(f"{suffix}.gz" for suffix in plain))


CSV = Format("csv", "a CSV table", _suffixes("csv"), _is_text)
TSV = Format("tsv", "a TSV table", _suffixes("tsv"), _is_text)
JSONL = Format("jsonl", "a JSON Lines table", _suffixes("jsonl"), starts_with(b"{", b"[", b"\xef\xbb\xbf{"))
PARQUET = Format("parquet", "a Parquet table", KINDS["parquet"], starts_with(b"PAR1"))
VECTORS = Format("npy", "an array of numpy", (".npy",), starts_with(b"\x93NUMPY"))
TABLES = (CSV, TSV, JSONL, PARQUET)


def _check_terminal(place: Path, expected: Format) -> None:
    """Checks that an output is no terminal, which would act on what the bytes happen to be.

    Raises:
        ValueError: It is one.
    """
    number = descriptor(place)
    opened = number is None and stat.S_ISCHR(place.stat().st_mode)
    if opened:
        number = os.open(place, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        if number is not None and os.isatty(number):
            raise ValueError(f"the output {place} is a terminal, expected a file or a pipe for {expected.title}")
    finally:
        if opened and number is not None:
            os.close(number)
