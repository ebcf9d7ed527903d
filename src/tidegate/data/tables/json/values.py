"""JSON values as they come in: one a line, laid out over many lines, or the objects of an array."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tidegate.data.tables.json.extent import Extent
from tidegate.data.tables.sources.lines import count_ends

_SPACE = re.compile(r"[ \t\r\n\ufeff\x1e]*")  # with what begins each text of a sequence, RFC 7464
_OBJECTS = re.compile(r"\[[ \t\r\n]*(?=\{)")
_BRACKET = re.compile(r"\[[ \t\r\n]*")
_LONGEST = 1 << 26  # characters of a value, which may be a whole table
_MOST_OBJECTS = 1 << 21  # and arrays, in a value; an empty one has 3 characters and takes 64 bytes
_UNSURE = 12  # characters at the end of what has come in, where an error may be due to what is missing: -Infinit
_LARGE = 1 << 17  # characters of a value from which its end is looked for before it is parsed again

_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # of a pair of surrogates, which may be there or not


class JsonValues:
    """The values of a JSON text, each with the number of its line; an array of objects gives its objects.

    Values are parsed one at a time, so that a long file needs no more memory than a short one.

    Attributes:
        passed: Characters that were handed out.
        broken: Numbers of the lines of values that hold half a pair of surrogates, which is no character.
    """

    def __init__(self, pieces: Iterable[str]) -> None:
        self.passed = 0
        self.broken: list[int] = []
        self._pieces = iter(pieces)
        self._decoder = json.JSONDecoder(object_pairs_hook=_object)
        self._buffer, self._at, self._line = "", 0, 1
        self._ended = False
        self._in_array = self._behind_value = False
        self._ready: list[tuple[int, Any]] = []

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        return self

    def __next__(self) -> tuple[int, Any]:
        while not self._ready:
            if not self._decode():
                if self._ended:
                    raise StopIteration
                self._fill()
        return self._ready.pop()

    @property
    def drained(self) -> bool:
        """Whether the next value has not come in yet."""
        return not self._ready and not self._decode()

    def give_back(self, value: tuple[int, Any]) -> None:
        """Lets a value come once more."""
        self._ready.append(value)

    def _fill(self) -> None:
        """Takes more text; of a long value, as much as it has.

        Raises:
            ValueError: A value does not end.
        """
        rest = self._buffer[self._at :]
        extent = Extent() if len(rest) >= _LARGE else None
        found, held = [rest], len(rest)
        enough = extent is None or extent.ends_in(rest)  # with the next piece
        while not self._ended:
            if held > _LONGEST or (extent and extent.opened > _MOST_OBJECTS):
                most = f"{_LONGEST:,} characters" if held > _LONGEST else f"{_MOST_OBJECTS:,} objects and arrays"
                raise ValueError(
                    f"line {self._line} begins a JSON value of more than {most}: write JSON Lines, an object a line, "
                    f"as pandas does with to_json(..., orient='records', lines=True)"
                )
            piece = next(self._pieces, "")
            self._ended = not piece
            found.append(piece)
            held += len(piece)
            if enough or (extent and extent.ends_in(piece)):
                break
        self._buffer, self._at = "".join(found), 0

    def _decode(self) -> bool:
        """Parses the next value, if all of it has come in.

        Raises:
            ValueError: It is not JSON.
        """
        self._pass(_SPACE.match(self._buffer, self._at))
        while self._in_array and self._at < len(self._buffer) and self._behind_value:
            character = self._buffer[self._at]
            if character not in ",]":
                raise self._error("Expecting ',' delimiter", self._at)
            self._in_array, self._behind_value = character == ",", False
            self._at += 1
            self._pass(_SPACE.match(self._buffer, self._at))
        if self._at == len(self._buffer):
            if self._ended and self._in_array:
                raise self._error("the array does not end", self._at)
            return False
        if not self._in_array:
            bracket = _BRACKET.match(self._buffer, self._at)
            if bracket and bracket.end() == len(self._buffer) and not self._ended:
                return False
            if objects := _OBJECTS.match(self._buffer, self._at):
                self._pass(objects)
                self._in_array = True
        return self._parse()

    def _parse(self) -> bool:
        """Parses what begins here, if all of it has come in."""
        try:
            value, end = self._decoder.raw_decode(self._buffer, self._at)
        except json.JSONDecodeError as error:
            unfinished = error.pos >= len(self._buffer.rstrip()) - _UNSURE or error.msg.startswith("Unterminated")
            if unfinished and not self._ended:
                return False
            raise self._error(error.msg.removesuffix(" at"), error.pos) from None
        except RecursionError:
            raise ValueError(f"line {self._line}: the JSON value is nested too deeply") from None
        except _TwiceError as error:
            raise ValueError(f"line {self._line}: {error}") from None
        except ValueError:
            raise ValueError(f"line {self._line} holds a number of too many digits") from None
        if _HALF.search(self._buffer, self._at, end) and _is_broken(value):
            self.broken.append(self._line)
        self._ready.insert(0, (self._line, value))
        self._line += count_ends(self._buffer[self._at : end])
        self.passed += end - self._at
        self._at, self._behind_value = end, self._in_array
        return True

    def _pass(self, found: re.Match[str] | None) -> None:
        """Moves on behind spaces."""
        if found and found.end() > self._at:
            self._line += count_ends(found[0])
            self._at = found.end()

    def _error(self, message: str, at: int) -> ValueError:
        line = self._line + count_ends(self._buffer[self._at : at])
        where = repr(self._buffer[at : at + 20]) if at < len(self._buffer) else "the end"
        return ValueError(f"line {line} is not JSON: {message} at {where}")


class _TwiceError(ValueError):
    """An object has a key twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes an object.

    Raises:
        _TwiceError: It has a key twice, of whose values one would be lost.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _TwiceError(f"an object has the key {twice!r:.60} twice, expected different keys")
    return found


def _is_broken(value: Any) -> bool:
    """Whether a text in a value cannot be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
