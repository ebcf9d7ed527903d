"""Tables in the shapes that are written as JSON."""

import io
import json
from typing import Any

import pytest

from tidegate.data.tables.rows import blocks
from tidegate.data.tables.sources.kinds import TableWarning

ROWS = [{"text": "fine film", "label": "pos"}, {"text": "bad film", "label": "neg"}, {"text": "", "label": "pos"}]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
LISTS = [list(row.values()) for row in ROWS]
BY_COLUMN = {name: {str(i): value for i, value in enumerate(values)} for name, values in COLUMNS.items()}
BY_ROW = {str(i): row for i, row in enumerate(ROWS)}
SCHEMA = {"fields": [{"name": "text", "type": "string"}], "pandas_version": "1.4.0"}

SHAPES: dict[str, Any] = {
    "records": ROWS,
    "columns": BY_COLUMN,
    "index": BY_ROW,
    "split": {"columns": ["text", "label"], "index": [0, 1, 2], "data": LISTS},
    "tight": {
        "index": [0, 1, 2],
        "columns": ["text", "label"],
        "data": LISTS,
        "index_names": [None],
        "column_names": [None],
    },
    "split without index": {"columns": ["text", "label"], "data": LISTS},
    "table": {"schema": SCHEMA, "data": ROWS},
    "values below names": [["text", "label"], *LISTS],
    "lists": COLUMNS,
    "data": {"data": ROWS},
    "data and more": {"version": "1.0", "data": ROWS, "count": 3},
    "another name": {"my reviews": ROWS},
    "wrapped columns": {"data": BY_COLUMN},
    "wrapped index": {"data": BY_ROW},
    "wrapped lists": {"rows": COLUMNS},
    "wrapped split": {"data": {"columns": ["text", "label"], "data": LISTS}},
}


def read(content: str, kind: str | None = "jsonl") -> dict[str, list[Any]]:
    """All columns of a table."""
    [found] = blocks(io.BytesIO(content.encode()), kind, None)
    return found


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_shapes_are_read(shape: str, indent: int | None, kind: str) -> None:
    """Each shape that pandas and web services write gives the rows, on one line or many, whatever the name says."""
    assert read(json.dumps(SHAPES[shape], indent=indent), kind) == COLUMNS


@pytest.mark.parametrize(
    "content",
    [
        "".join(json.dumps(row, indent=2) + "\n" for row in ROWS),
        " ".join(map(json.dumps, ROWS)),
        "".join(json.dumps(row, indent=2) for row in ROWS),
        "\n\n".join(map(json.dumps, ROWS)),
        "\ufeff" + "\r\n".join(map(json.dumps, ROWS)),
        "[" + ",\n".join(map(json.dumps, ROWS)) + "]",
        "[\n" + "\n,".join(map(json.dumps, ROWS)) + "\n]\n",
        "".join(json.dumps([row]) + "\n" for row in ROWS),
        '["text", "label"]\n' + "".join(json.dumps(row) + "\n" for row in LISTS),
    ],
)
def test_objects_are_read_however_they_are_laid_out(content: str) -> None:
    """Line breaks and spaces between and inside objects do not count."""
    assert read(content) == COLUMNS


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ('["a", "b", null]', {"text": ["a", "b", None]}),
        ('"a"\n"b"\n', {"text": ["a", "b"]}),
        ('{"id7": {"text": "a"}, "id9": {"text": "b"}}', {"index": ["id7", "id9"], "text": ["a", "b"]}),
        ('{"text": {"x": "a", "y": "b"}}', {"index": ["x", "y"], "text": ["a", "b"]}),
        ('{"columns": ["text"], "index": [3, 5], "data": [["a"], ["b"]]}', {"index": ["3", "5"], "text": ["a", "b"]}),
        ('{"text": "a", "tags": [{"x": 1}]}', {"text": ["a"], "tags": [[{"x": 1}]]}),
        ('{"text": "a", "tags": ["x"]}\n', {"text": ["a"], "tags": [["x"]]}),
        ('{"a": {"text": "x"}}\n{"a": {"text": "y"}}\n', {"a": [{"text": "x"}, {"text": "y"}]}),
        ('{"a": {"text": "x"}}\n', {"a": [{"text": "x"}]}),
        ('{"review": {"text": "x", "stars": 5}}\n', {"review": [{"text": "x", "stars": 5}]}),
        ('{"user": {"id": 1}, "post": {"text": "x"}}\n', {"user": [{"id": 1}], "post": [{"text": "x"}]}),
        ('{"7": {"text": "x", "label": "y"}}', {"index": ["7"], "text": ["x"], "label": ["y"]}),
        ('{"score": {"0": 1.5}}', {"score": [1.5]}),
        ('{"text": ["a"]}\n{"text": ["b"]}\n', {"text": [["a"], ["b"]]}),
        ('{"text": {"0": "a"}}\n{"text": "b"}\n', {"text": [{"0": "a"}, "b"]}),
    ],
)
def test_what_a_shape_means(content: str, columns: dict[str, list[Any]]) -> None:
    """Texts need no names, rows with names of their own keep them, and one object of many is a row."""
    assert read(content) == columns


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[["a", "b"], ["c", "d"]]', r"rows without names \(pandas' orient='values'\).*orient='records', lines=True"),
        ('[["text", "label"], ["a"]]', 'line 1 holds .*"a".*, expected an array of 2 values'),
        ('{"a": {"x": 1}, "b": {"x": 2}}', "objects in an object, 'a' in the outer one and 'x' in those inside"),
        ('{"0": {"1": "a"}, "1": {"1": "b"}}', "it is not clear which are the names of columns"),
        ('{"train": [{"text": "a"}], "test": [{"text": "b"}]}', "line 1 holds 2 tables, 'train', 'test'"),
        ('{"text": ["a", "b"], "label": ["x"]}', "line 1 holds lists of .*, expected equally many"),
        ('{"columns": ["text"], "data": [["a", "b"]]}', "expected a row of 1 values"),
        ('["a", 1]', "line 1 holds 1, expected a text"),
        ('"a"\n{"text": "b"}\n', 'line 2 holds {"text": "b"}, expected a text'),
        ('[{"a": 1}, 2]', "line 1 holds 2, expected an object"),
        ('{"a": 1}\n[1]\n', r"line 2 holds \[1\], expected an object"),
        ("5\n", "line 1 holds 5, expected an object"),
        ('[{"a": 1},\n{"a": 2}\n', "line 3 is not JSON: the array does not end at the end"),
        ('[{"a": 1}\n{"a": 2}]', "line 2 is not JSON: Expecting ',' delimiter at '{\"a\": 2}]'"),
        ('[{"a": 1},\n]', "line 2 is not JSON: .* at ']'"),
        ('{"a": 1},\n{"a": 2}\n', "line 1 is not JSON: Expecting value at ',"),
        ('{\n "a": 1,\n "b": x\n}\n', "line 3 is not JSON: Expecting value at 'x"),
        ('{"a": "x\ny"}\n', "line 1 is not JSON: Invalid control character"),
        ("{'a': 1}\n", "line 1 is not JSON: Expecting property name"),
        ('{"a": 1}\n{"a": "cut', "line 2 is not JSON: Unterminated string"),
        ('{"a": ' + "1" * 5000 + "}", "line 1 holds a number of too many digits"),
        ('{"a": ' * 100_000, "line 1: the JSON value is nested too deeply"),
        ('{"a": 0}\n{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "line 2: the JSON value is nested too deeply"),
    ],
)
def test_other_json_is_refused(content: str, message: str) -> None:
    """What has no meaning or two is refused with its line, its form and what to write instead."""
    with pytest.raises(ValueError, match=message):
        read(content)


@pytest.mark.parametrize("content", ["", "\n \n", "[]", "[\n]"])
def test_nothing_has_no_rows(content: str) -> None:
    """An empty file or array has no rows, and is no error here."""
    assert list(blocks(io.BytesIO(content.encode()), "jsonl", None)) == []


def test_names_that_come_again_are_no_row() -> None:
    """Of arrays that were put together, the names are left out where they come again, and that is said."""
    content = '["text", "label"]\n["a", "b"]\n["text", "label"]\n["c", "d"]\n'
    with pytest.warns(TableWarning, match="the array of names comes again in line 3"):
        assert read(content) == {"text": ["a", "c"], "label": ["b", "d"]}


class Trickle(io.RawIOBase):
    """A stream that gives some bytes at a time, and knows how many it gave."""

    def __init__(self, content: bytes, size: int) -> None:
        self.content, self.size, self.taken = content, size, 0

    def read1(self, size: int = -1, /) -> bytes:
        """Takes the next bytes."""
        found = self.content[self.taken : self.taken + self.size]
        self.taken += len(found)
        return found


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_may_come_in_pieces(shape: str, size: int) -> None:
    """Wherever the text is cut, the rows are the same."""
    content = json.dumps(SHAPES[shape], indent=1).encode()
    assert list(blocks(Trickle(content, size), "jsonl", None)) == [COLUMNS]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "value"), [('[{"a": 1},\n', 1), ('{"a": 1}\n', 1), ('{"a": {"b": {"c": 1}}}\n', {"b": {"c": 1}})]
)
def test_an_object_is_passed_on_as_it_comes(content: str, value: Any) -> None:
    """The rows of a stream do not wait for the end of the next one, of an array either."""
    stream = Trickle((content + '{"a": 2}\n,{"a": 3}').encode(), len(content))
    assert next(blocks(stream, "jsonl", 100)) == {"a": [value]}  # type: ignore[arg-type]
    assert stream.taken <= 2 * len(content)


def test_a_long_array_needs_little_memory() -> None:
    """The objects of an array are parsed one at a time: a block comes long before the end."""
    stream = Trickle(b"[" + b'{"text": "some words of a film"},\n' * 100_000, 1 << 16)
    assert len(next(blocks(stream, "jsonl", 100))["text"]) == 100  # type: ignore[arg-type]
    assert stream.taken <= 1 << 17


@pytest.mark.parametrize(
    "value",
    [
        r'"\ud800"',
        r'"a \uDFFF b"',
        r'"\ude00\ud83d"',
        r'"\ud83d\ud83d\ude00"',
        r'"x", "note": "\udc80"',
        r'"x", "note": ["\ud800"]',
        r'"x", "note": {"a": {"b": "\ud800"}}',
        r'"x", "\ud800": 1',
    ],
)
@pytest.mark.parametrize("layout", ["lines", "array"])
def test_half_a_pair_of_surrogates_is_said(value: str, layout: str) -> None:
    """Text that UTF-8 cannot hold is counted, with the line of the first."""
    objects = ['{"text": "a"}', f'{{"text": {value}}}', f'{{"text": {value}}}']
    content = "\n".join(objects) if layout == "lines" else "[" + ",\n".join(objects) + "]"
    with pytest.warns(TableWarning, match="2 rows hold half of a pair of surrogates.* first in line 2: it is written"):
        assert len(read(content)["text"]) == 3


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\ud800", r"\u00e9", "😀", r"\\\\udc00", r"a \\uDBFF"])
def test_whole_characters_are_no_half(text: str) -> None:
    """Pairs, and the letters of an escape, are read without a word."""
    assert read(f'{{"text": "{text}"}}')["text"] == [json.loads(f'"{text}"')]


@pytest.mark.parametrize(
    "row",
    [
        '{"text": "x", "text": "y"}',
        '{"text": "x", "label": 1, "label": 1}',
        '{"text": "x", "id": null, "id": 2}',
        '{"text": "x", "": 1, "": 2}',
        '{"text": "x", "a": {"id": 1, "id": 2}}',
        '{"text": "x", "a": [{"id": 1}, {"id": 1, "id": 2}]}',
        r'{"text": "x", "te\u0078t": "y"}',
        '{"text": "x",\n "id": 1,\n "id": 2}',
    ],
)
@pytest.mark.parametrize("layout", ["lines", "array"])
def test_a_key_that_comes_twice_is_an_error(row: str, layout: str) -> None:
    """One of its values would be lost; the line and the key are named."""
    content = f'{{"text": "a"}}\n{row}' if layout == "lines" else f'[{{"text": "a"}},\n{row}]'
    with pytest.raises(ValueError, match=r"line 2: an object has the key '(text|label|id|)' twice"):
        read(content)
