"""What a label is called: one name for one class, in every kind of file."""

import ast
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tidegate.data.tables.values import text_of

BOOLEANS = ("false", "true")
"""The labels of a column of true and false, in every kind of file."""

_AS_NUMBERS = dict(zip("01", BOOLEANS, strict=True))
_LIST = re.compile(r"\[.*[,\s].*\]|\{.*,.*\}", re.DOTALL)
_MISSING = "nan"  # as str(float("nan")) is written, in any capitals


def label_name(value: Any) -> str | None:
    """Names a class: numbers without a fraction as integers ("1" for 1, 1.0 and "1.0"), texts without outer spaces.

    Returns:
        The name, or None if the value is missing: None, NaN, also as a word, or an empty text.

    Raises:
        ValueError: The value is neither a text nor a number nor true or false, or bytes that are not UTF-8.
    """
    if isinstance(value, list | dict):
        several = "; --task multi-label trains with several labels" * isinstance(value, list)
        raise ValueError(f"holds {value!r:.40}, expected a text or a number{several}")  # noqa: TRY004
    if isinstance(value, Decimal):
        value = f"{value.normalize():f}"
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        text = text_of(value).strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"holds bytes that are not UTF-8 (0x{value[error.start]:02x})") from None
    return _name_of(text)


@lru_cache(maxsize=4096)  # most labels come again and again
def _name_of(text: str) -> str | None:
    name = re.sub(r"^([+-]?\d+)\.0*$", r"\1", text)
    return "0" if name == "-0" else None if name.lower() == _MISSING else name or None


def label_set(value: Any, separator: str | None) -> tuple[str, ...]:
    """Names the labels of a cell, each once.

    Example:
        >>> label_set("war| love", "|"), label_set(["war", "love"], None), label_set("['war', 1.0]", "|")
        (('war', 'love'), ('war', 'love'), ('war', '1'))

    Args:
        value: A list, a text with labels between separators or with a list, or one label; none where it is missing.
        separator: What stands between labels; None where a text is one label.

    Raises:
        ValueError: As in `label_name`.
    """
    parts = value if isinstance(value, list) else _listed(value)
    if parts is None:
        parts = value.split(separator) if separator and isinstance(value, str) else [value]
    return tuple(dict.fromkeys(name for part in parts if (name := label_name(part)) is not None))


def _listed(value: Any) -> list[Any] | None:
    """Reads a list that stands in a text, as JSON or as Python writes it; None for another text."""
    if not isinstance(value, str) or not (value.startswith("[") and value.endswith("]")):
        return None
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            found: list[Any] = read(value)
            return found
    return None


def as_booleans(names: Sequence[str | None]) -> list[str | None]:
    """Names true and false alike however they are spelt.

    JSON writes "true", Python "True", Excel "TRUE", and some programs 1 and 0 beside them. They are one class only if
    the column holds nothing else: among other words, such as "mostly true", they are words, and 1 and 0 alone numbers.
    """
    lower = [name and name.lower() for name in names]
    found = set(lower) - {None}
    if found <= {*BOOLEANS, *_AS_NUMBERS} and not found.isdisjoint(BOOLEANS):
        return [name and _AS_NUMBERS.get(name, name) for name in lower]
    return list(names)


def remarks(values: Sequence[Any], names: Sequence[str | None]) -> Iterator[str]:
    """Says which labels differ in their spelling alone.

    Args:
        values: The labels of a column as the file has them.
        names: Their names, of `as_booleans`.
    """
    numbers = sum(label_name(value) in _AS_NUMBERS for value in values) if set(names) <= {*BOOLEANS, None} else 0
    if numbers:
        yield f"{numbers:,} labels are 1 or 0 among others that are true or false: they count as true and false"
    spellings: dict[str, set[str]] = {}
    for value, name in zip(values, names, strict=True):
        if isinstance(value, str) and name is not None:
            spellings.setdefault(name, set()).add(value)
    spaced = [
        value for several in spellings.values() if len(several) > 1 for value in several if value != value.strip()
    ]
    if spaced:
        yield f"the spaces around labels such as {min(spaced)!r:.40} do not count: others are written without them"
    counts = Counter(name for name in names if name is not None)
    alike: dict[str, list[str]] = {}
    for name in counts:
        alike.setdefault(" ".join(name.casefold().split()), []).append(name)
    for group in alike.values():
        if len(group) > 1:
            listed = ", ".join(f"{name!r:.40} ({counts[name]:,})" for name in group[:4])
            yield f"labels that differ only in capitals or spaces are different classes: {listed}"


def several_in(names: Sequence[str]) -> tuple[str, str] | None:
    """Finds a name that is made of others: of its parts stand some, or all if a comma parts them, elsewhere too.

    Returns:
        The name, and the option that splits it.
    """
    for name in names:
        if _LIST.fullmatch(name):
            return name, "--task multi-label"
    for separator, enough in (("|", any), (";", all), (",", all)):
        parts = {name: [part.strip() for part in name.split(separator)] for name in names}
        places = defaultdict(set)
        for listed in parts.values():
            for place, part in enumerate(listed):
                places[part].add(place if len(listed) > 1 else -1)
        for name, listed in parts.items():
            # in the names of a hierarchy, "Home|Garden" and "Home|Kitchen", each part has its place
            if len(listed) > 1 and enough(part and len(places[part]) > 1 for part in listed):
                return name, f"--multi-label {separator!r}"
    return None
