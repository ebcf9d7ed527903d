"""Ends of JSON values that come in pieces."""

import json
import tracemalloc
from collections.abc import Iterator
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.tables.json.extent import Extent
from tidegate.data.tables.json.values import JsonValues

TEXTS = st.text(st.sampled_from('a"\\[]{}é✓😀\n'), max_size=12)
LEAVES = TEXTS | st.integers() | st.none()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=12)
WHOLE = TEXTS | st.lists(VALUES) | st.dictionaries(TEXTS, VALUES)


def pieces(text: str, size: int) -> list[str]:
    return [text[place : place + size] for place in range(0, len(text), size)]


@given(WHOLE, st.integers(1, 7), st.booleans())
def test_the_end_is_seen_in_the_piece_that_holds_it(value: object, size: int, ascii_only: bool) -> None:
    """A value ends in the piece with its last character, and not before, however its text is cut."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    cut = pieces(text, size)
    extent = Extent()
    assert [extent.ends_in(piece) for piece in cut] == [False] * (len(cut) - 1) + [True]


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_what_follows_does_not_hide_the_end(size: int) -> None:
    """What comes after a value in the same piece, other brackets too, changes nothing."""
    extent = Extent()
    assert not any(extent.ends_in(piece) for piece in pieces('{"a": ["]", "\\\\"', size))
    assert extent.ends_in(']}, {"b": [[["')


@pytest.mark.parametrize("text", ["1.5", "", " ", "nul", "[", '"a\\"'])
def test_what_does_not_end_is_said_to_go_on(text: str) -> None:
    """Numbers and words have no end of their own, and what is open is open."""
    assert not Extent().ends_in(text)


def test_a_long_value_is_there_as_soon_as_its_end_is() -> None:
    """Nothing is awaited after the last character of a value of megabytes, and the value is the right one."""
    value = {"data": [{"text": f'{place} "[', "label": [place]} for place in range(40_000)]}

    def incoming() -> Iterator[str]:
        yield from pieces(json.dumps(value), 1 << 16)
        raise AssertionError("more text was asked for than the value has")

    assert next(JsonValues(incoming())) == (1, value)


@pytest.mark.parametrize(
    ("start", "unit", "most"),
    [
        ('{"text": "', "x", "67,108,864 characters"),
        ('{"text": "', '\\"', "67,108,864 characters"),
        ('{"text": "', "{[", "67,108,864 characters"),
        ('[{"a": [', '{"b":1},', "2,097,152 objects and arrays"),
        ('[{"a": [', "[],", "2,097,152 objects and arrays"),
    ],
)
def test_a_value_without_end_costs_little(start: str, unit: str, most: str) -> None:
    """A value that is too long is refused before it is made, whatever it holds."""
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"^line 1 begins a JSON value of more than {most}"):
        next(JsonValues(chain([start], repeat(unit * (1 << 17)))))
    assert tracemalloc.get_traced_memory()[1] < 3 * 2**27
    tracemalloc.stop()
