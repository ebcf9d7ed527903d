"""What kind of table a file is: by its first bytes, and where they do not tell, by its name."""

import os
import re
from pathlib import Path
from warnings import warn

from tidegate.data.tables.columns import LABEL_NAMES, TEXT_NAMES, plain_name

KINDS = {
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "parquet": (".parquet", ".pq"),
    "lines": (".txt",),
    "fasttext": (".ft",),
}
"""The kinds of tables and their suffixes. "lines" has one text a line, no names and no labels."""

PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip")
"""Suffixes of packed files, which are unpacked when they are read, whatever they are called."""

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
"""What is looked for between the fields of a line, and how it is called; the first one in case of doubt."""

# An object, or an array of objects, arrays or strings: enough of it to be nothing else.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_JSON = re.compile(rf'\s*+(?:\{{\s*+{_STRING}\s*+:|\[\s*+(?:\{{\s*+["}}]|\[\s*+["\]]|{_STRING}\s*+[,\]]))')
_JSON_BEGUN = re.compile(rf"\s*+(?:\{{\s*+(?:{_STRING}?\s*+)?+|\[\s*+(?:\{{\s*+|\[\s*+|{_STRING}?\s*+)?+)")
_FASTTEXT = re.compile(r"\s*+__label__[^\s,;|]+(?:\s|$)|.*\s__label__[^\s,;|]+\s*$")
_SEPARATOR = re.compile(r'"?sep=(?: +(?=[^ "\r\n]))?(?:(\\t|[^\r\n])\1*)?"?[\r\n]*', re.IGNORECASE)
_USUAL = {name for row in (*TEXT_NAMES, *LABEL_NAMES) for name in row}
_LONGEST_NAME = 40  # characters of a column's name in a line that is taken for a header
_LONGEST_START = 1 << 16  # characters at which a decision is due


class TableWarning(UserWarning):
    """What the reader of a table should know, and what does not stop it."""


def caution(message: str) -> None:
    """Warns the caller of the tables' reader."""
    warn(message, TableWarning, stacklevel=2)


def kind_of(path: str | os.PathLike[str]) -> str:
    """Returns the kind of a table by its suffix, one of `KINDS`; all but Parquet may be compressed and end in `.gz`.

    Raises:
        ValueError: The suffix is none that is known.
    """
    kind = kind_by_name(path, (".gz",))
    if kind is None or (kind == "parquet" and os.fspath(path).lower().endswith(".gz")):
        raise ValueError(f"{os.fspath(path)}: {unknown_suffix()}")
    return kind


def kind_by_name(path: str | os.PathLike[str], packed: tuple[str, ...] = PACKED) -> str | None:
    """Returns the kind of a table by its suffix, or by the one before that of a packed file; None if it is unknown."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    while suffixes and suffixes[-1] in packed:
        suffixes.pop()
    return next((kind for kind, known in KINDS.items() if suffixes and suffixes[-1] in known), None)


def unknown_suffix() -> str:
    """Says which suffixes are known."""
    expected = ", ".join(suffix for known in KINDS.values() for suffix in known)
    return f"the suffix is unknown, expected one of {expected}"


def reads_as_json(start: str) -> bool:
    """Whether a text begins as an object or as an array of objects, arrays or strings."""
    return _JSON.match(start) is not None


def may_become_json(start: str) -> bool:
    """Whether more of a text is needed to tell whether it is JSON."""
    return len(start) < _LONGEST_START and (not start.strip() or _JSON_BEGUN.fullmatch(start) is not None)


def reads_as_fasttext(line: str) -> bool:
    """Whether a line has fastText's labels before or after its text."""
    return _FASTTEXT.match(line) is not None


def separator_of(line: str) -> str | None:
    """Returns the separator that Excel's first line `sep=;` names, "" if it names none; None for any other line."""
    found = _SEPARATOR.fullmatch(line)
    if found is None:
        return None
    return "\t" if found[1] == "\\t" else found[1] or ""


def reads_as_header(line: str) -> bool:
    """Whether a line names columns: fields short and different, and a usual name of texts or labels among them.

    Prose has a space behind a comma: there all the names must be usual ones.
    """
    for delimiter in DELIMITERS:
        fields = line.strip("\r\n").split(delimiter)
        names = [field.strip().strip('"') for field in fields]
        short = all(len(name) <= _LONGEST_NAME and len(name.split()) <= 3 for name in names)
        enough = all if any(field.startswith(" ") for field in fields) else any
        if len(names) > 1 and short and len(set(names)) == len(names) and enough(map(_is_usual, names)):
            return True
    return separator_of(line) is not None


def may_be_header(line: str) -> bool:
    """Whether a line may name columns, though none of its names is a usual one: words without a space between them."""
    for delimiter in DELIMITERS:
        names = [field.strip('"') for field in line.strip("\r\n").rstrip(delimiter).split(delimiter)]
        if len(names) > 1 and len(set(names)) == len(names) and all(name.isidentifier() for name in names):
            return True
    return False


def _is_usual(name: str) -> bool:
    """Whether a name is a usual one of texts or labels, or is made of one, such as tweet_text."""
    parts = name.lower().split("_") if name.isidentifier() else [plain_name(name)]
    return not _USUAL.isdisjoint([plain_name(name), *parts])


def reads_as_name(line: str) -> bool:
    """Whether a line is the name of a column of texts and nothing else."""
    return plain_name(line.strip('"\r\n')) in TEXT_NAMES[0]


def read_as(kind: str, first: str) -> str:
    """Says as what a text is read that may be lines.

    Args:
        kind: What it is.
        first: Its first line.
    """
    if kind == "jsonl":
        return "this is read as JSON"
    line = f"the first line, {first.strip()[:60]!r},"
    if kind == "named-lines":
        return f"{line} is taken for the name of a column"
    return f"this is read as CSV, for {line} seems to name columns"
