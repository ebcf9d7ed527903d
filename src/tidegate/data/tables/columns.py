"""Which column of a table holds the texts and which the labels."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any

from tidegate.data.tables.label_names import as_booleans, label_name
from tidegate.data.tables.values import text_of

Columns = Mapping[str, Sequence[Any]]

# Names that say what a column holds, surest first. A name counts if no other of its row is there.
TEXT_NAMES = (
    ("text", "texts"),
    ("review", "reviews", "review_text", "reviewtext", "sentence", "content", "body", "comment", "message", "document"),
    ("snippet", "tweet", "phrase", "utterance", "post", "question", "description"),
)
LABEL_NAMES = (
    ("label", "labels"),
    ("sentiment", "class", "target", "polarity"),
    ("category", "rating", "stars", "score", "intent", "topic", "y"),
)

_NUMBERS = ". Sequences of numbers are lists, or rows with a column that tells them apart (--key)"
_FEWEST_NUMBERS = 2  # columns of numbers in a table without texts that are worth a word
_SAMPLE = 1000  # rows that a guess looks at
_TEXT_WORDS = 4  # mean number of words from which a column reads as texts
_SCALARS = (type(None), int, float, str, Decimal)
_MOST_FIELDS = 5  # that an error lists
_MOST_CLASSES = 20  # distinct values up to which a column reads as labels


def guess_columns(
    columns: Columns, text: str | None, label: str | None, *, need_label: bool, alone: bool = False
) -> tuple[str, str | None]:
    """Finds the column of texts and the column of labels.

    A column that is asked for must be there. Otherwise the name decides, if it is a usual one, and then the content:
    the one column of long texts, and the one other column with few values that come again and again.

    Args:
        columns: A table, or its first rows.
        text: Name of the column of texts, or of a field in its records such as `review.text`; None to guess it.
        label: Name of the column of labels, None to guess it if it is needed.
        need_label: Whether there must be a column of labels.
        alone: Whether the one column beside the texts holds the labels, whatever they look like.

    Returns:
        The two names; None for the second if no label is needed or asked for.

    Raises:
        ValueError: A column is not there, or a guess is not obvious.
    """
    for name in (text, label):
        if name is not None and column_of(columns, name) is None:
            several = names_in([name], columns) if name == label else (name,)
            lacking = next((one for one in several if column_of(columns, one) is None), None)
            if lacking is None:
                hint = "numbers are predicted with --task regression; several labels of a text stand in one cell"
                raise ValueError(f"{' and '.join(map(repr, several))} are several columns: of these, {hint}")
            raise ValueError(f"there is no column {lacking!r}; {_list(columns)}")
    named = any(plain_name(name) in row for name in columns for row in (*TEXT_NAMES, *LABEL_NAMES))
    if text is None:
        text = _guess("texts", "text", _without(columns, label), TEXT_NAMES, reads_as_texts)
        _check_is_name("text", text, columns, named=named)
    if label is None and need_label:
        left = _without(columns, text)
        label = next(iter(left)) if alone and len(left) == 1 else guess_label(left)
        _check_is_name("label", label, columns, named=named)
    if text == label:
        raise ValueError(f"column {text!r} cannot hold both the texts and the labels; {_list(columns)}")
    return text, label


def guess_label(columns: Columns) -> str:
    """Finds the column of labels among some, by its name or else by its content.

    Raises:
        ValueError: It is not obvious.
    """
    return _guess("labels", "label", columns, LABEL_NAMES, _reads_as_labels)


def column_of(columns: Columns, name: str) -> Sequence[Any] | None:
    """Returns the values of a column, or of a field in the records of one, as `review.text` names it.

    Returns:
        The values, with None where a record has no such field; None if there is no such column, or no record has it.
    """
    if name in columns:
        return columns[name]
    outer, *fields = name.split(".")
    values = columns.get(outer)
    if not fields or values is None or not any(isinstance(value, dict) for value in values):
        return None
    for field in fields:
        values = [value.get(field) if isinstance(value, dict) else None for value in values]
    return values if any(value is not None for value in values) else None


def names_in(names: Iterable[str], columns: Collection[str]) -> tuple[str, ...]:
    """Takes a text that is not the name of a column for several names with commas between them.

    Raises:
        ValueError: A name is given twice.
    """
    parts = [[name] if name in columns else [part.strip() for part in name.split(",")] for name in names]
    found = [part for several in parts for part in several if part]
    if len(set(found)) < len(found):
        twice = next(part for place, part in enumerate(found) if part in found[:place])
        raise ValueError(f"column {twice!r} is given twice, expected each once")
    return tuple(found)


def plain_name(name: str) -> str:
    """Returns a column's name as the usual ones are written: in small letters, with _ for anything else."""
    return re.sub(r"\W+", "_", name.strip().lower())


def _guess(what: str, option: str, columns: Columns, names: Iterable[Iterable[str]], fits: Any) -> str:
    """Guesses a column by its name or else by its content.

    Raises:
        ValueError: The guess is not obvious.
    """
    if not columns:
        raise ValueError(
            f"no column is left for the {what}: the file has no other. Columns are separated by a comma, semicolon, "
            "tab or |; a .txt file has a text a line"
        )
    plain = {name: plain_name(name) for name in columns}
    for row in names:
        found = [name for name in columns if plain[name] in row]
        if len(found) == 1:
            return found[0]
        if found:
            break
    else:
        found = [name for name, values in columns.items() if fits(values[:_SAMPLE])]
    if len(found) != 1:
        candidates = f": it may be {' or '.join(map(repr, found))}" if found else ""
        raise ValueError(
            f"cannot tell which column holds the {what}{candidates}; {_list(columns)}. "
            f"Name it with --{option} (in Python {option}=...)" + _of_numbers(columns) * (what == "texts")
        )
    return found[0]


def _of_numbers(columns: Columns) -> str:
    """Says how sequences of numbers are given, and how many columns look like them."""
    found = [name for name, values in columns.items() if _reads_as_numbers(values[:_SAMPLE])]
    if len(found) < _FEWEST_NUMBERS:
        return _NUMBERS
    between = ", " if len(found) == 2 else " … "
    return (
        f". There are numbers in {len(found)} columns ({found[0]!r}{between}{found[-1]!r}): if each row is a step of a "
        f"sequence, name the column that tells the sequences apart with --key; if each row is a sequence of its own, "
        f"put its numbers into one cell, as a list such as [0.5, 1.5]"
    )


def _reads_as_numbers(values: Sequence[Any]) -> bool:
    there = [value for value in values if value is not None and value != ""]
    return bool(there) and all(isinstance(value, int | float | Decimal) or _is_number(value) for value in there)


def _is_number(value: Any) -> bool:
    try:
        return isfinite(float(value))
    except (TypeError, ValueError):
        return False


def _check_is_name(option: str, name: str, columns: Columns, *, named: bool) -> None:
    """Checks that what was guessed to be the name of a column is not the first row of a file without names.

    Args:
        option: What names the column.
        name: Its name.
        columns: The table.
        named: Whether a column has a usual name, so that the first line holds names even if one is also a label.

    Raises:
        ValueError: It seems to be a row.
    """
    if reads_as_texts([name]) or (not named and name in columns[name][:_SAMPLE]):
        raise ValueError(
            f"the first line seems to be a row and not the names of the columns ({name!r:.60}); "
            f"put a line of names above it, such as: text,label. If it is a name, say so with --{option} "
            f"(in Python {option}=...)"
        )


def reads_as_texts(values: Sequence[Any]) -> bool:
    """Whether values are texts of several words; a number among them is a text."""
    if not all(isinstance(value, _SCALARS) for value in values):
        return False
    texts = [text for value in values if (text := text_of(value)) or isinstance(value, str)]
    return bool(texts) and sum(len(text.split()) for text in texts) >= _TEXT_WORDS * len(texts)


def _reads_as_labels(values: Sequence[Any]) -> bool:
    """Whether values are short and few, and come twice or more often on average."""
    if not all(isinstance(value, _SCALARS) for value in values):
        return False
    distinct = {name for name in as_booleans(list(map(label_name, values))) if name is not None}
    return 2 <= len(distinct) <= min(_MOST_CLASSES, len(values) // 2) and not reads_as_texts(sorted(distinct))


def _without(columns: Columns, name: str | None) -> Columns:
    return {other: values for other, values in columns.items() if other != name}


def fields_of(name: str, values: Iterable[Any]) -> list[str]:
    """Lists the fields in the records of a column as `review.text` names them, a few of them."""
    record = next((value for value in values if isinstance(value, dict)), {})
    found: list[str] = []
    for field, value in record.items():
        inner = f"{name}.{field}"
        found += fields_of(inner, [value]) if isinstance(value, dict) else [inner]
    return found[:_MOST_FIELDS]


def _list(columns: Columns) -> str:
    named = [
        repr(name) + f" (records with the fields {', '.join(map(repr, fields))})" * bool(fields)
        for name, values in columns.items()
        for fields in [fields_of(name, values[:_SAMPLE])]
    ]
    listed = f"the columns are {', '.join(named)}" if columns else "there are no columns"
    apart = len(columns) == 1 and re.search(r"[^\w\s-]", next(iter(columns)))
    return listed + " (between columns, a comma, semicolon, tab or | is looked for)" * bool(apart)
