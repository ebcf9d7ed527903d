"""Word vectors: one for each word, and the files that hold them."""

import errno
import json
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tidegate.files.packing import is_zip
from tidegate.ops.checks import check
from tidegate.text.compression import check_suffix, unpacked
from tidegate.text.vector_files import read_vectors

_DAMAGED = (
    *(ValueError, EOFError, OverflowError, NotImplementedError),
    *(zlib.error, lzma.LZMAError, zipfile.BadZipFile, struct.error),
)
_MOST_COMPRESSED = 1100  # times: deflate cannot do more, so that a file that announces more is damaged
_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}  # of safetensors

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
        remarks: What is to be known about the file that they were read from, such as words that could not be read.
    """

    words: list[str]
    vectors: npt.NDArray[np.float32]
    remarks: tuple[str, ...] = ()

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
        """Looks words up; a word that is not there as it is has the vector of the first that differs in capitals only.

        Args:
            words: V' words.

        Returns:
            Their vectors float32 [V', E], zeros for unknown words, and which words are known, bool [V'].
        """
        exact = {word: row for row, word in enumerate(self.words)}
        folded: dict[str, int] = {}
        for row, word in enumerate(self.words):
            folded.setdefault(word.lower(), row)
        rows = np.array([exact.get(word, folded.get(word.lower(), -1)) for word in words], np.int64)
        found = rows >= 0
        matrix = np.zeros((len(rows), self.vectors.shape[1]), np.float32)
        matrix[found] = self.vectors[rows[found]]
        return matrix, found


def read(path: str | os.PathLike[str], words: Collection[str] | None = None) -> WordVectors:
    """Reads word vectors.

    What kind of file it is goes by its first bytes. Text, as GloVe, word2vec, fastText and gensim write it: a word and
    E numbers a line, between spaces or tabs, in UTF-8, with or without a first line `V E`; word2vec's binary format;
    floret's table of parts of words, if `words` are given. All of them plain, compressed by gzip, bzip2 or xz, or alone
    in a zip archive. `.npz`: arrays `vectors` [V, E] and `words_utf8`, the UTF-8 bytes (uint8) of the words joined by
    line feeds. `.safetensors`: a tensor `vectors` [V, E], and the words, joined likewise, as `words` in the metadata.

    The first vector counts where a word has several. Words that are not UTF-8 are left out, and counted in `remarks`.

    Args:
        path: The file.
        words: Read the vectors of these words only, in any capitals, which saves memory and time; the most frequent
            first, if there is an order.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not as described, or has none of the words.
    """
    try:
        with Path(path).open("rb") as file:
            result = _read(Path(path), file, words)
    except OSError as error:
        if error.errno not in {None, errno.EINVAL}:
            raise
        # not of the system: what is compressed is damaged, or says that it begins before the file does
        raise ValueError(f"{os.fspath(path)}: the file is damaged: {error}") from None
    except _DAMAGED as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None
    if words and not result.words:
        listed = sorted(words) if isinstance(words, set | frozenset) else list(words)
        example = ", ".join(map(repr, sorted(listed, key=lambda word: not word.isalpha())[:3]))
        raise ValueError(f"{os.fspath(path)} has none of the {len(words)} words looked for, such as {example}")
    return result


def _read(path: Path, file: IO[bytes], words: Collection[str] | None) -> WordVectors:
    start, suffix = file.peek(9)[:9], path.suffix.lower()  # type: ignore[attr-defined]
    wanted = None if words is None else frozenset(word.lower() for word in words)
    if suffix == ".safetensors" or (start[8:9] == b"{" and start[4:8] == bytes(4)):
        return _read_safetensors(file, wanted)
    if suffix == ".npz" or (is_zip(start) and any(name.endswith(".npy") for name in zipfile.ZipFile(file).namelist())):
        return _read_npz(file, wanted)
    check_suffix(path, start)
    with unpacked(file) as stream:
        found = read_vectors(stream, words)
    return WordVectors(list(found.words), found.matrix(), tuple(found.remarks()))


def _read_npz(file: IO[bytes], wanted: Wanted) -> WordVectors:
    if not zipfile.is_zipfile(file):
        raise ValueError("this is not an .npz file, which is a zip archive of arrays")
    with zipfile.ZipFile(file) as archive:
        names = sorted(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))
        if not {"vectors", "words_utf8"} <= set(names):
            raise ValueError(f"the file has the arrays {names}, expected 'vectors' and 'words_utf8'")
        text = _array(archive, "words_utf8")
        if text.dtype != np.uint8:
            raise ValueError(f"words_utf8 has dtype {text.dtype}, expected uint8, the UTF-8 bytes of the words")
        return _select(text.tobytes().decode(), _array(archive, "vectors"), wanted)


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """Reads an array, unless it announces more numbers than the file can hold.

    Raises:
        ValueError: It does, or it is no array of numbers.
    """
    member = archive.getinfo(f"{name}.npy")
    if member.flag_bits & 1:
        raise ValueError(f"the array {name!r} is encrypted")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
        shape, _, dtype = read_header(stream)
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if needed > min(member.file_size, _MOST_COMPRESSED * member.compress_size):
        raise ValueError(f"the array {name!r} announces the shape {shape}, which is more than the file holds")
    with archive.open(member) as stream:
        array: npt.NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def _read_safetensors(file: IO[bytes], wanted: Wanted) -> WordVectors:
    from safetensors import SafetensorError, deserialize  # noqa: PLC0415

    data = file.read()  # not mapped into memory: the system ends a process whose mapped file is cut
    try:
        tensors = dict(deserialize(data))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ValueError(f"this is not a safetensors file: {error}") from None
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
    if "vectors" not in tensors or "words" not in metadata:
        found = f"the tensors {sorted(tensors)} and the metadata {sorted(metadata)}"
        raise ValueError(f"the file has {found}, expected a tensor 'vectors' and 'words' in the metadata")
    tensor = tensors["vectors"]
    if tensor["dtype"] not in _DTYPES:
        raise ValueError(f"the tensor 'vectors' has dtype {tensor['dtype']}, expected F16, F32 or F64")
    vectors = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
    return _select(metadata["words"], vectors, wanted)


def _select(text: str, vectors: npt.NDArray[np.generic], wanted: Wanted) -> WordVectors:
    """Takes the wanted rows of a whole table, whose words are joined by line feeds."""
    words = text.split("\n")
    if not np.issubdtype(vectors.dtype, np.floating):
        raise ValueError(f"vectors has dtype {vectors.dtype}, expected a floating-point type")
    if vectors.ndim != 2 or len(vectors) != len(words):
        raise ValueError(f"vectors has shape {vectors.shape}, expected [V, E] with V={len(words)} words")
    first: dict[str, int] = {}
    for row, word in enumerate(words):
        if wanted is None or word.lower() in wanted:
            first.setdefault(word, row)
    return WordVectors(list(first), vectors[list(first.values())].astype(np.float32))
