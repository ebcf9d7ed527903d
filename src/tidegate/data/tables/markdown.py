"""Tables of Markdown: `| text | label |` above a line of dashes."""

import re

_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*")
_BAR = re.compile(r"(?<!\\)\|")


def begins(first: str, second: str) -> bool:
    """Whether a table begins with these two lines.

    >>> begins("| text | label |", "|:---|---:|"), begins("text | label", "--- | ---"), begins("a | b", "c | d")
    (True, True, False)
    """
    return "|" in first and is_rule(second) and len(cells(first)) == len(cells(second))


def is_rule(line: str) -> bool:
    """Whether a line is the one of dashes under the names."""
    return "|" in line and _RULE.fullmatch(line) is not None


def cells(line: str) -> list[str]:
    r"""Splits a line into its cells, in which a bar is written `\|`.

    >>> cells(r"| a \| b |  |")
    ['a | b', '']
    """
    inner = re.sub(r"(?<!\\)\|$", "", line.strip()).removeprefix("|")
    return [cell.strip().replace("\\|", "|") for cell in _BAR.split(inner)]
