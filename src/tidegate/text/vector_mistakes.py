"""Texts that are nearly files of word vectors: what is wrong with them, and which command puts it right."""

import re
from collections.abc import Sequence

_LOOKED_AT = 6  # lines
_JSON = re.compile(rb"\s*(?:\{\s*[\"']|\[\s*[\[{\"])")
_DECIMAL_COMMA = re.compile(rb"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_SEPARATORS = {b",": "commas", b";": "semicolons", b"|": "vertical bars"}


def check_lines(sample: Sequence[bytes]) -> None:
    """Checks that a file has lines that can be told apart.

    Args:
        sample: Its first lines.

    Raises:
        ValueError: It is empty, or its lines end in carriage returns.
    """
    if not any(line.strip() for line in sample):
        raise ValueError("the file is empty" if not sample else "the file has nothing but blank lines")
    if b"\n" not in sample[0] and b"\r" in sample[0].strip():
        raise ValueError(
            r"the lines end in carriage returns alone, as on a Mac of old: `tr '\r' '\n' < FILE` makes line feeds"
        )


def mistake(sample: Sequence[bytes]) -> str:
    """Says why the lines of a file are no words with numbers, and what to do about it."""
    lines = [line.strip() for line in sample if line.strip()]
    if _JSON.match(lines[0]):
        return "this is JSON: write a word and its numbers a line, with spaces between them"
    rows = lines[1 : 1 + _LOOKED_AT] or lines  # the first one may be of names, or of the numbers V and E
    if all(b"[" in line and line.endswith(b"]") for line in rows):
        return "the numbers stand in brackets, expected `word 0.1 -0.2`: `tr -d '[],' < FILE` removes them"
    if all(len(line.split()) > 1 and all(map(_DECIMAL_COMMA.fullmatch, line.split()[1:])) for line in rows):
        return "the numbers have commas in the place of points: `tr ',' '.' < FILE` makes points"
    for separator, name in _SEPARATORS.items():
        counts = {_numbers_at_end(line.split(separator)) for line in rows}
        if len(counts) == 1 and min(counts) > 1:
            mark = separator.decode()
            return f"{name} stand between the numbers, expected spaces or tabs: `tr '{mark}' ' ' < FILE` makes spaces"
    return "no line is a word with numbers behind it, such as `word 0.1 -0.2`: this is no file of word vectors"


def _numbers_at_end(fields: Sequence[bytes]) -> int:
    """Counts the numbers behind the first field."""
    numbers = 0
    for field in reversed(fields[1:]):
        try:
            float(field)
        except ValueError:
            break
        numbers += 1
    return numbers
