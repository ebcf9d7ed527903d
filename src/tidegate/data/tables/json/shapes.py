"""Rows from the shapes in which tables are written as JSON."""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from tidegate.data.tables.columns import TEXT_NAMES, plain_name
from tidegate.data.tables.json.values import JsonValues
from tidegate.data.tables.sources.kinds import caution

Record = dict[str, Any]

_WRAPPERS = ("data", "rows", "records", "items", "results", "examples", "reviews", "documents", "texts", "entries")
_USUAL = {name for row in TEXT_NAMES for name in row}
_REMEDY = "write an object a line, as pandas does with to_json(..., orient='records', lines=True)"


def records(values: JsonValues) -> Iterator[Record]:
    """Reads rows from JSON values.

    Objects are rows. A file with a single value may hold the table in another shape: pandas' orient="columns", "index",
    "split" and "table", lists by column, a table under a name such as "data", or an array of texts. Arrays are rows
    if the first one names the columns.

    Raises:
        ValueError: A value is something else, or a shape has more than one meaning.
    """
    number, first = next(values, (0, None))
    if number == 0:
        return
    if isinstance(first, list):
        yield from _of_arrays(number, first, values)
    elif isinstance(first, str):
        yield from _texts(chain([(number, first)], values))
    else:
        shape = _shape(first) if isinstance(first, dict) else None
        if shape and _is_last(values):
            yield from shape(first or {}, number)
            return
        if isinstance(first, dict) and {"cells", "nbformat"} <= first.keys():
            raise ValueError("this is a Jupyter notebook: give the table that it reads or makes")
        for place, value in chain([(number, first)], values):
            if not isinstance(value, dict):
                raise _unexpected(place, value, "an object")
            yield value


def _is_last(values: JsonValues) -> bool:
    """Whether no value follows; if one does, it comes once more."""
    following = next(values, None)
    if following is not None:
        values.give_back(following)
    return following is None


def _unexpected(number: int, value: Any, expected: str) -> ValueError:
    return ValueError(f"line {number} holds {json.dumps(value)[:40]}, expected {expected}")


def _of_arrays(number: int, first: list[Any], values: JsonValues) -> Iterator[Record]:
    """Reads one array of texts or of rows, or an array a line."""
    if _is_last(values):
        if not first:
            return
        if isinstance(first[0], str):
            yield from _texts((number, value) for value in first)
            return
        if not isinstance(first[0], list):
            raise _unexpected(number, first[0], "an object")
        yield from _of_rows((number, row) for row in first)
    else:
        yield from _of_rows(chain([(number, first)], values))


def _of_rows(rows: Iterator[tuple[int, Any]]) -> Iterator[Record]:
    """Reads rows under a row of names."""
    number, names = next(rows)
    if not _are_names(names):
        raise ValueError(
            f"line {number} begins an array of rows without names (pandas' orient='values'), and the first row "
            f"{json.dumps(names)[:40]} names no columns: {_REMEDY}"
        )
    for number, row in rows:
        if not isinstance(row, list) or len(row) != len(names):
            raise _unexpected(number, row, f"an array of {len(names)} values, as many as there are names")
        if row == names:
            caution(f"the array of names comes again in line {number}: it is no row")
        else:
            yield dict(zip(names, row, strict=True))


def _are_names(row: Any) -> bool:
    """Whether a row names columns, one of them by a usual name of texts."""
    if not isinstance(row, list) or not all(isinstance(name, str) for name in row):
        return False
    return len(set(row)) == len(row) and _names_texts(row)


def _texts(values: Iterator[tuple[int, Any]]) -> Iterator[Record]:
    for number, value in values:
        if value is not None and not isinstance(value, str):
            raise _unexpected(number, value, "a text as before")
        yield {"text": value}


def _shape(value: Record) -> Callable[[Record, int], Iterator[Record]] | None:
    """Finds how to read an object that may hold a whole table; None if it is a row."""
    inner = list(value.values())
    if not inner:
        return None
    if isinstance(value.get("data"), list) and isinstance(value.get("columns"), list):
        return _of_split
    if isinstance(value.get("data"), list) and isinstance(value.get("schema"), dict):
        return _of_wrapper
    if len(value) == 1 and plain_name(next(iter(value))) in _WRAPPERS and _holds_columns(inner[0]):
        return _of_wrapper
    if all(isinstance(column, dict) for column in inner):
        return _of_objects if _holds_cells(value) else None
    if all(isinstance(column, list) for column in inner) and not any(map(_holds_rows, inner)):
        return _of_lists
    if any(map(_holds_rows, inner)) and not any(plain_name(name) in _USUAL - {"texts"} for name in value):
        return _of_wrapper
    return None


def _holds_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _holds_columns(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(inner, dict | list) for inner in value.values())


def _holds_cells(value: Record) -> bool:
    """Whether objects in an object are the cells of a table, and not a row with records in it.

    They have the same names. Of one object alone only numbers tell, or a usual name of texts that stands outside of it
    and not in it, for it is a column then.
    """
    outer, (first, *rest) = list(value), value.values()
    if not first or any(other.keys() != first.keys() for other in rest):
        return False
    numbered = _number_rows(outer) or _number_rows(list(first))
    return bool(rest) or numbered or (_names_texts(outer) and not _names_texts(first))


def _names_texts(names: Iterable[str]) -> bool:
    """Whether a usual name of texts is among names."""
    return any(plain_name(name) in _USUAL for name in names)


def _of_split(value: Record, number: int) -> Iterator[Record]:
    """Reads pandas' orient="split"."""
    names, rows = value["columns"], value["data"]
    index = _index(value.get("index") or range(len(rows)))
    for place, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise _unexpected(number, row, f"a row of {len(names)} values, as many as there are columns")
        yield index(place) | dict(zip(map(str, names), row, strict=True))


def _of_lists(value: Record, number: int) -> Iterator[Record]:
    """Reads a list for each column."""
    sizes = {name: len(column) for name, column in value.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"line {number} holds lists of {str(sizes)[:60]} values, expected equally many in each column")
    for row in zip(*value.values(), strict=True):
        yield dict(zip(value, row, strict=True))


def _of_objects(value: Record, number: int) -> Iterator[Record]:
    """Reads pandas' orient="columns" or "index": objects in an object, by column or by row.

    Rows are numbered, or called by names that are not usual for columns.
    """
    outer, inner = list(value), list(next(iter(value.values())))
    by_row, by_column = _number_rows(outer), _number_rows(inner)
    if by_row == by_column:
        by_row, by_column = _names_texts(inner), _names_texts(outer)
    if by_row == by_column:
        raise ValueError(
            f"line {number} holds objects in an object, {outer[0][:20]!r} in the outer one and {inner[0][:20]!r} in "
            f"those inside, and it is not clear which are the names of columns: {_REMEDY}"
        )
    elif by_row:
        index = _index(outer)
        for place, row in enumerate(value.values()):
            yield index(place) | row
    else:
        index = _index(inner)
        for place, key in enumerate(inner):
            yield index(place) | {name: column[key] for name, column in value.items()}


def _number_rows(keys: list[str]) -> bool:
    return all(key.lstrip("-").isdecimal() for key in keys)


def _index(keys: Any) -> Callable[[int], Record]:
    """Returns a row's column "index", by the row's place; there is none if it only counts the rows."""
    named = [str(key) for key in keys]
    if named == list(map(str, range(len(named)))):
        return lambda place: {}
    return lambda place: {"index": named[place]}


def _of_wrapper(value: Record, number: int) -> Iterator[Record]:
    """Reads a table that stands under a name."""
    tables = [name for name, inner in value.items() if _holds_rows(inner)]
    if len(tables) > 1:
        raise ValueError(
            f"line {number} holds {len(tables)} tables, {', '.join(map(repr, tables))[:60]}: give each its own file"
        )
    if tables and (len(value) == 1 or "schema" in value or plain_name(tables[0]) in _WRAPPERS):
        yield from value[tables[0]]
        return
    name, inner = next(iter(value.items()))
    shape = _shape(inner) if len(value) == 1 and plain_name(name) in _WRAPPERS else None
    yield from shape(inner, number) if shape else [value]
