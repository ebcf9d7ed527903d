"""Bytes as text, and text as lines, as they come in."""

import codecs
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol

from tidegate.data.tables.sources import encodings
from tidegate.data.tables.sources.containers import Damaged

LONGEST = 1 << 24
"""The most characters of a line or a field: 17 million, where a long novel has 3 million."""

_CHUNK = 1 << 20  # bytes
_MOST_BLANK = 10_000  # lines before the first one with a text
_LINE = re.compile(r"[^\r\n]*(?:\r{0,2}\n|\r)")  # some programs write \r\r\n, which is one end of a line
_END = re.compile(r"\r{0,2}\n|\r")


class Stream(Protocol):
    """What text comes from."""

    @property
    def head(self) -> bytes:
        """Its first bytes, which `read1` gives too."""

    def read1(self, size: int = -1, /) -> bytes:
        """Takes what has come in, and waits only if that is nothing."""


class Text:
    """The text of a binary stream in pieces, each as soon as it comes in.

    UTF-8, or UTF-16 and UTF-32, which show by a byte order mark or by the zero bytes of their Latin letters.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encodings.encoding_of(stream.head))()
        self._again: list[str] = []
        self._damage: ValueError | None = None  # behind what was handed out
        self._ends = 0  # of lines, in the text so far
        self._ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._again:
            return self._again.pop()
        if self._damage:
            raise self._damage
        while not self._ended:
            if piece := self._decoded():
                self._ends += count_ends(piece)
                return piece
        raise StopIteration

    def give_back(self, piece: str) -> None:
        """Lets a piece come once more."""
        if piece:
            self._again.append(piece)

    def beginning(self, goes_on: Callable[[str], bool]) -> str:
        """Returns the first pieces, up to where enough of the text is there; they come once more."""
        found = ""
        while goes_on(found) and (piece := next(self, "")):
            found += piece
        self.give_back(found)
        return found

    def _decoded(self) -> str:
        """Takes what has come in, which may be nothing that makes a character; of damaged text, what stands before.

        Raises:
            ValueError: The bytes are no text, or the packed data is damaged.
        """
        try:
            chunk = self._stream.read1(_CHUNK)
        except Damaged as error:
            raise ValueError(f"the compressed data is damaged or cut off after line {self._ends}: {error}") from None
        self._ended, before = not chunk, self._decoder.getstate()
        try:
            return self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            bad = len(error.object) - error.start  # bytes from the damage on, some of which may have come before
            self._decoder.setstate(before)  # with a byte order mark still to come, if none has come before
            good = self._decoder.decode(chunk[: max(0, len(chunk) - bad)])
            self._damage = ValueError(encodings.complaint(error, line=self._ends + count_ends(good) + 1))
            if not good:
                raise self._damage from None
            return good


def count_ends(text: str) -> int:
    """Counts the ends of lines: a line feed, a carriage return, or both."""
    return text.count("\n") if _ends_with_line_feeds(text) else len(_END.findall(text))


def _ends_with_line_feeds(text: str) -> bool:
    """Whether there is no carriage return but one before a line feed, as in nearly all files."""
    return "\r" not in text or text.count("\r") == text.count("\r\n")


class Lines:
    """The lines of a text, each with its line break: a line feed, a carriage return, or both.

    Attributes:
        number: Number of the last line that was handed out, from 1.
        passed: Characters that were handed out.
    """

    def __init__(self, text: Iterable[str]) -> None:
        self.number = self.passed = 0
        self._pieces = iter(text)
        self._waiting: deque[str] = deque()
        self._rest: list[str] = []  # of the last line, in the pieces that it came in
        self._held = 0  # characters in it

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while not self._waiting:
            self._fill()
        line = self._waiting.popleft()
        self.number += 1
        self.passed += len(line)
        return line

    @property
    def drained(self) -> bool:
        """Whether the next line has not come in yet."""
        return not self._waiting

    def give_back(self, lines: list[str]) -> None:
        """Lets the last lines come once more."""
        self._waiting.extendleft(reversed(lines))
        self.number -= len(lines)
        self.passed -= sum(map(len, lines))

    def first(self) -> str:
        """Returns the first line that is not blank, which comes once more; "" if there is none, or far off."""
        return next(iter(self.firsts(1)), "")

    def firsts(self, count: int) -> list[str]:
        """Returns the first lines that are not blank, which come once more; fewer if they are not there, or far off."""
        taken: list[str] = []
        found: list[str] = []
        for line in islice(self, _MOST_BLANK):
            taken.append(line)
            found += [line] * bool(line.strip())
            if len(found) == count:
                break
        self.give_back(taken)
        return found

    def arrived(self) -> list[str]:
        """Returns the lines that have come in and were not handed out, which come once more; some thousand at most."""
        return list(islice(self._waiting, _MOST_BLANK))

    def skip_first(self) -> None:
        """Leaves out the first line that is not blank, and what stands before it."""
        while not next(self, "-").strip():
            pass

    def _fill(self) -> None:
        """Takes a piece of text.

        Raises:
            StopIteration: The text is at its end.
            ValueError: A line does not end.
        """
        piece = next(self._pieces, "")
        if piece:
            before = self._rest[-1][-1:] if self._rest else ""
            self._rest.append(piece)
            self._held += len(piece)
            if "\n" in piece or "\r" in piece or before == "\r":
                self._split("".join(self._rest), final=False)
            elif self._held > LONGEST:
                raise ValueError(f"line {self.number + 1} has more than {LONGEST:,} characters: this is no table")
        elif self._rest:
            self._split("".join(self._rest), final=True)
        else:
            raise StopIteration

    def _split(self, text: str, *, final: bool) -> None:
        """Splits what has come in; what follows the last line break waits for more."""
        # str.splitlines would also split at characters that texts hold, such as U+0085 and U+2028
        if _ends_with_line_feeds(text):
            *lines, rest = text.split("\n")
            self._waiting.extend(line + "\n" for line in lines)
        else:
            # a line feed may follow the last carriage returns
            held = 0 if final else min(2, len(text) - len(text.rstrip("\r")))
            lines = _LINE.findall(text, 0, len(text) - held)
            rest = text[sum(map(len, lines)) :]
            self._waiting.extend(lines)
        if final and rest:
            self._waiting.append(rest)
            rest = ""
        self._rest, self._held = [rest] if rest else [], len(rest)
