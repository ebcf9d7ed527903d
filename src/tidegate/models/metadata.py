"""JSON objects in the metadata of a model file."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np


def parse_object(name: str, text: str) -> dict[str, Any]:
    """Parses a JSON object.

    Raises:
        ValueError: It is none, or it is nested too deeply to be read.
    """
    if not text.startswith("{"):
        raise ValueError(f"{name} is {text[:40]!r}, expected a JSON object")
    try:
        value: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON: {error}") from error
    return value


def format_object(values: Mapping[str, Any]) -> str:
    """Writes a JSON object, scalars of numpy as plain numbers.

    Raises:
        TypeError: A value is nothing that JSON holds.
    """
    return json.dumps(values, default=_plain_number)


def _plain_number(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r:.60} is of type {type(value).__name__}, expected what JSON holds")
