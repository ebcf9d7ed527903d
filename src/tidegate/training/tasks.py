"""Tables that are no texts with one class each, recognised before time is spent on them."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_LIST = re.compile(r"\[.*[,\s].*\]|\{.*,.*\}", re.DOTALL)
_MOST_FRACTIONS = 10  # classes that are numbers with a fraction: stars from 0.5 to 5
_MOST_RARE = 20  # classes that may have fewer than two rows each on average


def check_words(texts: Iterable[str], column: str) -> None:
    """Checks that texts are not numbers alone, which a text classifier would learn by heart as words.

    Args:
        texts: The texts.
        column: Where they come from, for errors.

    Raises:
        ValueError: All of them are numbers, one each or several.
    """
    example = ""
    for text in texts:
        parts = re.split(r"[\s;|]+|,\s+", text.strip(" \t\r\n[](),;|"))
        if not all(part == "" or _NUMBER.fullmatch(part) for part in parts):
            return
        example = example or text.strip()
    if example:
        raise ValueError(
            f"the texts of column {column!r} are numbers, such as {example!r:.40}, expected words: name the column "
            f"of texts with --text (--text {column} reads numbers as words), or train on numbers in Python with "
            f"tidegate.fit"
        )


def check_classes(labels: Sequence[str], column: str) -> None:
    """Checks that labels are classes, one for each text.

    Args:
        labels: Of all rows.
        column: Where they come from, for errors.

    Raises:
        ValueError: They are numbers to be predicted, nearly all different, or several in one cell.
    """
    names = dict.fromkeys(labels)
    rare = len(names) > _MOST_RARE and 2 * len(names) > len(labels)
    fraction = next((name for name in names if "." in name or "," in name), None)
    if (
        fraction
        and all(map(_NUMBER.fullmatch, names))
        and (len(names) > _MOST_FRACTIONS or 2 * len(names) > len(labels))
    ):
        raise ValueError(
            f"the labels of column {column!r} are numbers with a fraction, such as {fraction}, and {len(names)} "
            f"different ones, expected classes: numbers are predicted in Python with "
            f'tidegate.fit(..., task="regression")'
        )
    if len(names) == len(labels) <= _MOST_RARE:
        rows = "1 row" if len(labels) == 1 else f"{len(labels)} rows with as many different labels"
        raise ValueError(
            f"column {column!r} has {rows}: this is too little to train on. Each of two labels or more needs two rows "
            f"or more, one to train on and one to judge by; if these are no labels, name their column with --label"
        )
    if len(names) == len(labels) or rare:
        raise ValueError(
            f"column {column!r} has {len(names)} different labels in {len(labels)} rows, expected classes that come "
            f"again and again: name the column of labels with --label"
        )
    if several := _several(list(names)):
        raise ValueError(
            f"the label {several!r:.60} of column {column!r} reads as several labels in one cell, expected one for "
            f"each text: keep one of them, or make a column of true and false for each and train a model for each"
        )


def _several(names: Sequence[str]) -> str | None:
    """Finds a name that is made of others: of its parts stand some, or all if a comma parts them, elsewhere too."""
    for name in names:
        if _LIST.fullmatch(name):
            return name
    for separator, enough in (("|", any), (";", all), (",", all)):
        parts = {name: [part.strip() for part in name.split(separator)] for name in names}
        places = defaultdict(set)
        for listed in parts.values():
            for place, part in enumerate(listed):
                places[part].add(place if len(listed) > 1 else -1)
        for name, listed in parts.items():
            # in the names of a hierarchy, "Home|Garden" and "Home|Kitchen", each part has its place
            if len(listed) > 1 and enough(part and len(places[part]) > 1 for part in listed):
                return name
    return None
