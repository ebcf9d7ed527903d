"""Word vectors in the formats of word2vec, GloVe, fastText and gensim: text, and word2vec's binary format."""

import re
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import IO

import numpy as np
import numpy.typing as npt

from tidegate.text.compression import check_start
from tidegate.text.floret import Header, vectors_of
from tidegate.text.vector_mistakes import check_lines, mistake

MAX_SIZE = 65_536
"""The most numbers of a vector; more mean another kind of file."""

_LONGEST_LINE = 32 * MAX_SIZE  # bytes
_LONGEST_WORD = 65_536
_SAMPLE_LINES, _SAMPLE_BYTES = 200, 1 << 20
_NEARLY = re.compile(rb"\d[,;|] ")  # a mark behind a number, of which the last one on a line has none
_CONFLICT = (b"<<<<<<< ", b"=======", b">>>>>>> ", b"||||||| ")
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r"))


@dataclass
class Found:
    """What is read of a file.

    Attributes:
        size: E, numbers of a vector.
        wanted: The words to read, in lower case; None for all.
        numbers: Their numbers, one vector after the other.
        words: Their words, in the order of the file.
        unreadable: How many words of the file were no UTF-8, and left out.
        count: How many words the file has.
        cut: Whether the last line has less numbers than the others.
        announced: How many words it should have, by its first line.
    """

    size: int
    wanted: frozenset[str] | None
    announced: int | None = None
    numbers: "array[float]" = field(default_factory=lambda: array("f"))
    words: dict[str, None] = field(default_factory=dict)
    unreadable: int = 0
    count: int = 0
    cut: bool = False

    def wants(self, word: str) -> bool:
        """Whether a word is to be read, in any capitals; of several vectors of a word the first counts."""
        return word not in self.words and (self.wanted is None or word.lower() in self.wanted)

    def remarks(self) -> Iterator[str]:
        """Says what is to be known about the file."""
        if self.unreadable:
            yield f"{self.unreadable:,} of its {self.count:,} words are not UTF-8 and were left out"
        if self.announced is not None and self.count < self.announced:
            yield (
                f"its first line announces {self.announced:,} words, but there are {self.count:,}: part of the file "
                "may be missing"
            )
        elif self.cut:
            yield "its last line is cut short: part of the file may be missing"

    def matrix(self) -> npt.NDArray[np.float32]:
        """The vectors, float32 [V, E]."""
        return np.frombuffer(self.numbers, np.float32).reshape(len(self.words), self.size)


def read_vectors(stream: IO[bytes], words: Collection[str] | None) -> Found:
    """Reads a file of any of the formats.

    Nothing is allocated by what a first line announces, and no line or word may be endless.

    Args:
        stream: The file, unpacked. It is read once.
        words: The words to read, in any capitals; None for all.

    Raises:
        ValueError: The file is of another kind, or damaged.
    """
    sample = list(_sample(stream))
    check_start(b"".join(sample[:512])[:512])
    check_lines(sample)
    sample[0] = sample[0].removeprefix(b"\xef\xbb\xbf")
    header, parts = _header(sample), Header.of(sample[0])
    binary = header is not None and _is_binary(sample[1:])
    if not binary:
        for number, line in enumerate(sample, 1):
            _check_length(number, line)
    size = parts.size if parts else header[1] if header else _size(sample)
    if not header and not parts and (size == 0 or (size == 1 and _NEARLY.search(b"".join(sample[:2])))):
        raise ValueError(mistake(sample))
    if not 1 <= size <= MAX_SIZE:
        raise ValueError(f"line 1 announces vectors of {size} numbers, expected a word and 1..{MAX_SIZE} numbers")
    if parts:
        return _read_floret(_lines(stream, sample[1:]), parts, words)
    wanted = None if words is None else frozenset(word.lower() for word in words)
    found = Found(size, wanted, header[0] if header else None)
    if header and binary:
        _read_binary(stream, b"".join(sample[1:]), header[0], found)
    else:
        _read_text(_lines(stream, sample), bool(header), found)
    if not found.count:
        raise ValueError("there is no word behind line 1")
    if found.unreadable > found.count // 2 + 1:
        raise ValueError(f"{found.unreadable:,} of {found.count:,} words are not UTF-8: save the file as UTF-8")
    return found


def _sample(stream: IO[bytes]) -> Iterator[bytes]:
    """Reads the first lines, which say what a file is."""
    bytes_left = _SAMPLE_BYTES
    for line in islice(iter(lambda: stream.readline(_LONGEST_LINE), b""), _SAMPLE_LINES):
        yield line
        bytes_left -= len(line)
        if bytes_left < 0:
            return


def _lines(stream: IO[bytes], sample: list[bytes]) -> Iterator[bytes]:
    """All lines of a file of which some were read."""
    return chain(sample, iter(lambda: stream.readline(_LONGEST_LINE), b""))


def _header(sample: list[bytes]) -> tuple[int, int] | None:
    """Reads word2vec's first line, the numbers V and E."""
    fields = sample[0].split() if sample else []
    if len(fields) == 2 and all(field.isdigit() and len(field) < 20 for field in fields):
        return int(fields[0]), int(fields[1])
    return None


def _size(sample: list[bytes]) -> int:
    """Finds E: so many numbers end most lines. Words may hold spaces and numbers."""
    sizes: Counter[int] = Counter()
    for line in sample:
        fields = line.split()
        numbers = next((i for i, text in enumerate(reversed(fields)) if not _is_number(text)), len(fields))
        if numbers and len(fields) > 1:
            sizes[min(numbers, len(fields) - 1)] += 1
    return sizes.most_common(1)[0][0] if sizes else 0


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_binary(sample: list[bytes]) -> bool:
    """Whether vectors follow as bytes: there are control characters among them, or no number that can be read."""
    if not sample or all(map(_is_number, sample[0].split()[1:])):
        return False
    start = b"".join(sample)[:65_536]
    return start.translate(None, _CONTROLS) != start or not any(map(_is_number, sample[0].split()[1:]))


def _read_text(lines: Iterable[bytes], header: bool, found: Found) -> None:
    """Reads a line for each word: the word and E numbers between spaces or tabs."""
    wanted = found.wanted and {word.split()[0] for word in found.wanted if word.split()}
    last = b""
    for number, line in enumerate(lines, 1):
        _check_length(number, line)
        if (number == 1 and header) or not line.strip() or _is_comment(number, line, found.size):
            continue
        found.count, last = found.count + 1, line
        first = line.split(None, 1)[0].decode(errors="replace").lower()
        if wanted is not None and first not in wanted and "\ufffd" not in first:
            continue
        raw, *fields = line.rsplit(None, found.size)
        if line[:1].isspace() and len(fields) < found.size:
            continue  # its word was white space
        try:
            word = raw.decode()
        except UnicodeDecodeError:
            found.unreadable += 1
            continue
        if found.wants(word):
            found.numbers.extend(_numbers(number, word, fields, found.size))
            found.words[word] = None
    found.cut = len(last.split()) < found.size + 1 and not last[:1].isspace()


def _check_length(number: int, line: bytes) -> None:
    if len(line) >= _LONGEST_LINE:
        raise ValueError(f"line {number} has {_LONGEST_LINE:,} bytes or more: this is no file of word vectors")


def _is_comment(number: int, line: bytes, size: int) -> bool:
    """Whether a line is a remark; "#" is also a word.

    Raises:
        ValueError: It was left by a merge of git.
    """
    if line.startswith(_CONFLICT) and len(line.split()) <= min(size, 3):
        mark = line[:7].decode()
        raise ValueError(f"line {number} is a mark of a conflict in git ({mark}): resolve it, or load the file anew")
    return line.startswith(b"#") and not all(map(_is_number, line.rsplit(None, size)[1:] or [b""]))


def _numbers(number: int, word: str, fields: list[bytes], size: int) -> list[float]:
    """Reads the numbers of a line.

    Raises:
        ValueError: One is none, or there are not as many as elsewhere.
    """
    try:
        values = [float(field) for field in fields]
    except ValueError:
        text = next(field.decode(errors="replace") for field in fields if not _is_number(field))
        raise ValueError(f"line {number} ({word[:20]!r}): could not convert string to float: {text[:40]!r}") from None
    if len(values) < size:
        raise ValueError(f"line {number} ({word[:20]!r}) has {len(values)} numbers, expected {size} as in line 1")
    head, _, tail = word.replace("\t", " ").rpartition(" ")
    # "2 000", "1 2/3" and "windows 95" are words. A number with a point, or one like all others, is one too many.
    alike = not tail.isdecimal() or all(field.lstrip(b"-").isdigit() for field in fields)
    if head and _is_number(tail.encode()) and alike and not _is_number(head.replace(" ", "").encode()):
        raise ValueError(f"line {number} ({head[:20]!r}) has more than {size} numbers, expected {size} as in line 1")
    return values


def _read_floret(lines: Iterable[bytes], header: Header, words: Collection[str] | None) -> Found:
    """Reads floret's table, and computes the vectors of words from it.

    Raises:
        ValueError: There are no words, or the table is not as its first line announces.
    """
    if words is None:
        raise ValueError("this is a table of floret, which holds no words, only parts of them: say which words to read")
    table = Found(header.size, None)
    for number, line in enumerate(lines, 2):
        row, *fields = line.split() or [b""]
        table.numbers.extend(_numbers(number, row.decode(errors="replace"), fields[: header.size + 1], header.size))
        table.words[str(number)] = None
    if len(table.words) != header.rows:
        raise ValueError(f"line 1 announces {header.rows:,} rows of floret's table, but there are {len(table.words):,}")
    found = Found(header.size, None, words=dict.fromkeys(words))
    found.numbers.frombytes(vectors_of(found.words, header, table.matrix()).tobytes())
    return found


def _read_binary(stream: IO[bytes], pending: bytes, words: int, found: Found) -> None:
    """Reads word2vec's binary format: a word, a space, E float32, and in files of word2vec itself a line feed."""
    size, start = 4 * found.size, 0
    for _ in range(words):
        space = pending.find(b" ", start)
        if space < 0 or space + 1 + size > len(pending):
            pending, start = pending[start:] + stream.read(max(1 << 20, size + _LONGEST_WORD)), 0
            space = pending.find(b" ")
        if space < 0 or space + 1 + size > len(pending) or space - start > _LONGEST_WORD:
            raise ValueError(
                f"line 1 announces {words:,} words of {found.size} numbers, but after {found.count:,} the file ends or "
                "is damaged; it was read as word2vec's binary format"
            )
        end = space + 1 + size
        _add_binary(pending[start:space].lstrip(b"\n"), pending[space + 1 : end], found)
        start = end
    if (pending[start:] + stream.read(2)).strip(b"\r\n"):
        raise ValueError(
            f"line 1 announces {words:,} words of {found.size} numbers, but more follows them; it was read as "
            "word2vec's binary format"
        )


def _add_binary(raw: bytes, vector: bytes, found: Found) -> None:
    found.count += 1
    try:
        word = raw.decode()
    except UnicodeDecodeError:
        found.unreadable += 1
        return
    if found.wants(word):
        found.numbers.frombytes(vector)
        found.words[word] = None
