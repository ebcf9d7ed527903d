"""Arrow's types for columns of JSON, and values made to fit them.

A column has the type to which all of its values can be widened, as DuckDB has it: integers and numbers with a fraction
are numbers, lists and objects are so to any depth, and what mixes kinds is text, where a number is written as in JSON.
So are integers beside numbers with a fraction if a float would change one of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from tidegate.data.tables.values import json_text

_MOST_FIELDS = 1000  # of an object; one with more is a dictionary by keys, such as user names, and is kept as text
_INT64 = range(-(2**63), 2**63)
_EXACT = range(-(2**53), 2**53 + 1)  # integers that a float holds
_LONG = pa.uint64()
"""Stands for int64 until all values are known, where some are not among `_EXACT`: such a column never becomes float."""

_SCALARS = {bool: pa.bool_(), float: pa.float64(), str: pa.string()}


def type_of(values: Iterable[Any]) -> Any:
    """Finds the type of a column of JSON values; `pa.null()` where all are missing.

    Example:
        >>> type_of([1, None, 2.5]), type_of([1, "one"]), type_of([[], [{"a": 1}], [{"b": True}]])
        (DataType(double), DataType(string), ListType(list<item: struct<a: int64, b: bool>>))
    """
    there = [value for value in values if value is not None]
    match {type(value) for value in there}:
        case kinds if not kinds:
            return pa.null()
        case kinds if kinds == {int}:
            return _type_of_integers(there)
        case kinds if kinds == {int, float}:
            return widened(_type_of_integers([value for value in there if isinstance(value, int)]), pa.float64())
        case kinds if kinds == {list}:
            return pa.list_(type_of(chain.from_iterable(there)))
        case kinds if kinds == {dict}:
            names = list(dict.fromkeys(chain.from_iterable(there)))
            return _struct({name: type_of(value.get(name) for value in there) for name in names[: _MOST_FIELDS + 1]})
        case kinds:
            return _SCALARS.get(kinds.pop(), pa.string()) if len(kinds) == 1 else pa.string()


def _type_of_integers(values: list[int]) -> Any:
    least, most = min(values), max(values)
    if least in _EXACT and most in _EXACT:
        return pa.int64()
    return _LONG if least in _INT64 and most in _INT64 else pa.string()


def widened(one: Any, other: Any) -> Any:
    """Finds the type that holds the values of two.

    Example:
        >>> widened(pa.list_(pa.null()), pa.list_(pa.int64())), widened(pa.bool_(), pa.int64())
        (ListType(list<item: int64>), DataType(string))
    """
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if {one, other} in ({pa.int64(), pa.float64()}, {pa.int64(), _LONG}):
        return other if one == pa.int64() else one
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(widened(one.value_type, other.value_type))
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        fields = {field.name: field.type for field in one}
        for field in other:
            fields[field.name] = widened(fields.get(field.name, pa.null()), field.type)
        return _struct(fields)
    return pa.string()


def schema_of(types: Mapping[str, Any]) -> Any:
    """Makes a schema of the types of columns: text where nothing is known, since few readers know a type of nothing."""
    return pa.schema({name: _completed(kind) for name, kind in types.items()})


def array_of(values: Sequence[Any], kind: Any) -> Any:
    """Makes an array of JSON values whose type is `kind`, or was before it was widened."""
    return pa.array([_fitted(value, kind) for value in values], kind)


def _completed(kind: Any) -> Any:
    """Puts text in the place of nothing and of objects without fields, which Parquet has not, and int64 for `_LONG`."""
    if kind == _LONG:
        return pa.int64()
    if pa.types.is_list(kind):
        return pa.list_(_completed(kind.value_type))
    if pa.types.is_struct(kind) and kind.num_fields:
        return pa.struct([(field.name, _completed(field.type)) for field in kind])
    return pa.string() if pa.types.is_null(kind) or pa.types.is_struct(kind) else kind


def _struct(fields: dict[str, Any]) -> Any:
    return pa.struct(list(fields.items())) if len(fields) <= _MOST_FIELDS else pa.string()


def _fitted(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if pa.types.is_string(kind):
        if value != value:  # NaN  # noqa: PLR0124
            return None
        text = value if isinstance(value, str) else json_text(value)
        return text.encode(errors="replace").decode()  # half of a pair of surrogates is no character
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_list(kind):
        return [_fitted(inner, kind.value_type) for inner in value]
    if pa.types.is_struct(kind):
        return {field.name: _fitted(value.get(field.name), field.type) for field in kind}
    return value
