"""Values of cells: plain ones of any column, their text, and JSON that every reader takes."""

import base64
import json
import math
from decimal import Decimal
from typing import Any

import numpy as np

_PLAIN = {str, int, type(None)}  # true and false are of a type of their own


def plain_values(column: Any) -> list[Any]:
    """Lists the values of a column as texts, numbers, true and false, bytes, lists and dictionaries, None if missing.

    Args:
        column: A list, an array of numpy, or an array of Arrow, see `arrow.values`.
    """
    if isinstance(column, np.ndarray):
        listed: list[Any] = column.tolist()  # which makes Python's own numbers of numpy's
        return listed
    if isinstance(column, list | tuple):
        return list(column)
    from tidegate.data.tables.arrow.values import values_of  # noqa: PLC0415 - pyarrow is here, since the column is of it

    return values_of(column)


def text_of(value: Any) -> str:
    """Returns the text of a cell: that of a number are its digits, and what is missing (None, NaN) is empty.

    Raises:
        ValueError: It is a list, a dictionary, or bytes that are not UTF-8.
    """
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return f"{value:f}"  # str would write an exponent for some
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, int | float):
        return str(value)
    raise ValueError(f"{value!r:.40} is no text")


def json_text(value: Any, **layout: Any) -> str:
    """Writes JSON: NaN and the infinities, which JSON has not, are null.

    Args:
        value: What JSON holds; numbers of fixed precision become texts, so that no digit is lost; bytes become the text
            that they encode in UTF-8, and if they do not, that of base64.
        layout: As for `json.dumps`.
    """
    options: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False, "default": _as_text} | layout
    try:
        return json.dumps(value, **options)
    except ValueError:
        return json.dumps(_finite(value), **options)


def csv_fields(column: Any) -> list[Any]:
    """Lists what the csv module writes of a column: NaN is missing, lists and dictionaries are JSON, bytes are text."""
    values = plain_values(column)
    return values if {type(value) for value in values} <= _PLAIN else list(map(_field, values))


def _field(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json_text(value)
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return value if type(value) in _PLAIN else _as_text(value)


def _as_text(value: Any) -> str:
    try:
        return text_of(value)
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()
    except ValueError:
        return str(value)


def _finite(value: Any) -> Any:
    """Puts None in the place of numbers that are not finite, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
