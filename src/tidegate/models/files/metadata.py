"""JSON in a model file: the objects of its metadata, and how much of it is believed to be harmless."""

import json
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np

MOST_VALUES = 1_000_000
"""The most values of an object in the metadata: the labels alone may be 65,536."""

# A string, or the beginning of another value. Only these take memory beyond their own letters.
_VALUE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\w.+-]++', re.DOTALL)


def parse_object(name: str, text: str, most: int = MOST_VALUES) -> dict[str, Any]:
    """Parses a JSON object.

    Args:
        name: What to call it in an error.
        text: The JSON.
        most: The most values in it, names included. They are counted first: a few letters, as `[],`, can take a hundred
            bytes of memory.

    Raises:
        ValueError: It is none, it has too many values, it is nested too deeply to be read, or it has a name twice.
    """
    if not text.startswith("{"):
        raise ValueError(f"{name} is {text[:40]!r}, expected a JSON object")
    if next(islice(_VALUE.finditer(text), most, None), None):
        raise ValueError(f"{name} has more than {most:,} values, expected less")
    try:
        value: dict[str, Any] = json.loads(text, object_pairs_hook=_distinct)
    except _TwiceError as error:
        raise ValueError(f"{name} has {error.args[0]!r:.60} twice, expected distinct names") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON: {error}") from error
    return value


def format_object(values: Mapping[str, Any]) -> str:
    """Writes a JSON object, scalars of numpy as plain numbers.

    Raises:
        TypeError: A value is nothing that JSON holds.
    """
    return json.dumps(values, default=_plain_number)


class _TwiceError(Exception):
    """A name that an object has twice."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes a dictionary; JSON lets the last of several equal names win, and other readers the first."""
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        raise _TwiceError(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
    return values


def _plain_number(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r:.60} is of type {type(value).__name__}, expected what JSON holds")
