"""Word vectors from files: GloVe text, `.npz` and `.safetensors`."""

import gzip
import os
import zipfile
import zlib
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tidegate.ops.checks import check

_MAX_SIZE = 65_536  # E; a longer line means another kind of file
_DAMAGED = (ValueError, EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile)

Wanted = frozenset[str] | None


@dataclass(frozen=True)
class WordVectors:
    """One vector for each of V words.

    Example:
        >>> vectors = WordVectors(["tide", "gate"], np.array([[1, 2], [3, 4]], np.float32))
        >>> matrix, found = vectors.rows_of(["gate", "lock"])
        >>> matrix.tolist(), found.tolist()
        ([[3.0, 4.0], [0.0, 0.0]], [True, False])

    Attributes:
        words: The V words, all different.
        vectors: float32 [V, E].
    """

    words: list[str]
    vectors: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        """Checks that there is one finite vector for each word.

        Raises:
            TypeError: `vectors` is no numpy array of float32.
            ValueError: A shape or value is not as described.
        """
        check("vectors", self.vectors, "V E", {"V": (len(self.words), "words")})
        if len(set(self.words)) < len(self.words):
            raise ValueError("a word occurs twice, expected one vector for each word")
        if not np.isfinite(self.vectors).all():
            row = int(np.argmin(np.isfinite(self.vectors).all(axis=1)))
            raise ValueError(f"the vector of {self.words[row]!r} has infinite or undefined values")

    def __len__(self) -> int:
        return len(self.words)

    def rows_of(self, words: Sequence[str]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Looks words up.

        Args:
            words: V' words.

        Returns:
            Their vectors float32 [V', E], zeros for unknown words, and which words are known, bool [V'].
        """
        places = {word: row for row, word in enumerate(self.words)}
        rows = np.array([places.get(word, -1) for word in words], np.int64)
        found = rows >= 0
        matrix = np.zeros((len(rows), self.vectors.shape[1]), np.float32)
        matrix[found] = self.vectors[rows[found]]
        return matrix, found


def read(path: str | os.PathLike[str], words: Collection[str] | None = None) -> WordVectors:
    """Reads word vectors.

    The kind of file goes by its suffix. `.npz`: arrays `vectors` [V, E] and `words_utf8`, the UTF-8 bytes (uint8) of
    the words joined by line feeds; `.safetensors`: a tensor `vectors` [V, E], and the words, joined likewise, as
    `words` in the metadata; anything else, compressed if it ends in `.gz`: GloVe text, a word and E numbers a line, in
    UTF-8, with or without word2vec's first line `V E`. The first vector counts where a word has several.

    Args:
        path: The file.
        words: Read the vectors of these words only, which saves memory and time.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not as described, or has none of the words.
    """
    wanted = None if words is None else frozenset(words)
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
    try:
        result = readers.get(Path(path).suffix.lower(), _read_text)(Path(path), wanted)
    except _DAMAGED as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None
    if wanted and not result.words:
        example = ", ".join(repr(word) for word in sorted(wanted)[:3])
        raise ValueError(f"{os.fspath(path)} has none of the {len(wanted)} words looked for, such as {example}")
    return result


def _read_npz(path: Path, wanted: Wanted) -> WordVectors:
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("this is not an .npz file, which is a zip archive of arrays")
    with np.load(path, allow_pickle=False) as arrays:
        if not {"vectors", "words_utf8"} <= set(arrays):
            raise ValueError(f"the file has the arrays {sorted(arrays)}, expected 'vectors' and 'words_utf8'")
        text = arrays["words_utf8"]
        if text.dtype != np.uint8:
            raise ValueError(f"words_utf8 has dtype {text.dtype}, expected uint8, the UTF-8 bytes of the words")
        return _select(text.tobytes().decode(), arrays["vectors"], wanted)


def _read_safetensors(path: Path, wanted: Wanted) -> WordVectors:
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415

    try:
        with safe_open(path, framework="numpy") as file:
            names, metadata = sorted(file.keys()), file.metadata() or {}
            if "vectors" not in names or "words" not in metadata:
                found = f"the tensors {names} and the metadata {sorted(metadata)}"
                raise ValueError(f"the file has {found}, expected a tensor 'vectors' and 'words' in the metadata")
            dtype = file.get_slice("vectors").get_dtype()
            if dtype not in {"F16", "F32", "F64"}:
                raise ValueError(f"the tensor 'vectors' has dtype {dtype}, expected F16, F32 or F64")
            return _select(metadata["words"], file.get_tensor("vectors"), wanted)
    except SafetensorError as error:
        raise ValueError(f"this is not a safetensors file: {error}") from None


def _select(text: str, vectors: npt.NDArray[np.generic], wanted: Wanted) -> WordVectors:
    """Takes the wanted rows of a whole table, whose words are joined by line feeds."""
    words = text.split("\n")
    if not np.issubdtype(vectors.dtype, np.floating):
        raise ValueError(f"vectors has dtype {vectors.dtype}, expected a floating-point type")
    if vectors.ndim != 2 or len(vectors) != len(words):
        raise ValueError(f"vectors has shape {vectors.shape}, expected [V, E] with V={len(words)} words")
    first: dict[str, int] = {}
    for row, word in enumerate(words):
        if wanted is None or word in wanted:
            first.setdefault(word, row)
    return WordVectors(list(first), vectors[list(first.values())].astype(np.float32))


def _read_text(path: Path, wanted: Wanted) -> WordVectors:
    lines = _lines(path)
    _, line = next(lines, (0, ""))
    fields = line.split(" ")
    if len(fields) == 2 and all(field.isdecimal() for field in fields):  # word2vec's line "V E"
        size = int(fields[1])
    else:
        size = len(fields) - 1
        lines = _lines(path)
    if not 1 <= size <= _MAX_SIZE:
        raise ValueError(f"line 1 announces vectors of {size} numbers, expected a word and 1..{_MAX_SIZE} numbers")
    numbers, words = array("f"), dict[str, None]()
    for number, line in lines:
        # rsplit, because a few words of the largest GloVe files hold spaces
        if wanted is not None and line.partition(" ")[0] not in wanted:
            continue
        word, *fields = line.rsplit(" ", size)
        if word in words or (wanted is not None and word not in wanted):
            continue
        numbers.extend(_numbers(number, word, fields, size))
        words[word] = None
    return WordVectors(list(words), np.frombuffer(numbers, np.float32).reshape(len(words), size))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines that are not blank, with their numbers from 1."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode().rstrip("\r\n ")
            except UnicodeDecodeError:
                raise ValueError(f"line {number} is not UTF-8: expected text; binary word2vec is not read") from None
            if text:
                yield number, text


def _numbers(number: int, word: str, fields: list[str], size: int) -> list[float]:
    """Parses the numbers of a line; a word that ends in one means that there are too many."""
    try:
        values = [float(field) for field in fields]
    except ValueError as error:
        raise ValueError(f"line {number} ({word[:20]!r}): {error}") from None
    if len(values) < size:
        raise ValueError(f"line {number} ({word[:20]!r}) has {len(values)} numbers, expected {size} as in line 1")
    head, _, tail = word.rpartition(" ")
    if head and tail.lstrip("-").replace(".", "", 1).isdecimal():
        raise ValueError(f"line {number} ({head[:20]!r}) has more than {size} numbers, expected {size} as in line 1")
    return values
