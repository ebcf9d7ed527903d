"""CSV and TSV in the dialects that are met."""

import io
import warnings
from pathlib import Path
from typing import Any

import pytest

from tidegate.data.tables.rows import blocks
from tidegate.data.tables.sources.kinds import TableWarning

Columns = dict[str, list[Any]]

PLAIN = {"text": ["fine film", "bad film"], "label": ["pos", "neg"]}
COMMA = {"text": ["fine, really", "bad; film"], "label": ["pos", "neg"]}


def read(kind: str | None, content: str) -> Columns:
    """All columns of a table."""
    [found] = blocks(io.BytesIO(content.encode()), kind, None)
    return found


@pytest.mark.parametrize("kind", ["csv", "tsv"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ":", "^", "~", "\x01"])
@pytest.mark.parametrize(
    "line",
    ["sep={}\n", "sep= {}\n", "sep={}\r\n", '"sep={}"\r\n', "SEP={}\n", "\ufeffsep={}\n", "\nsep={}\n"],
)
def test_the_separator_line_of_excel(kind: str, delimiter: str, line: str) -> None:
    """Excel's first line `sep=;` says what stands between fields, and is no row."""
    table = "".join(f"{delimiter.join(row)}\r\n" for row in [("text", "label"), *zip(*PLAIN.values(), strict=True)])
    assert read(kind, line.format(delimiter) + table) == PLAIN


@pytest.mark.parametrize(
    "content",
    [
        "sep=;;\ntext;label\nfine film;pos\nbad film;neg\n",
        "sep=\\t\ntext\tlabel\nfine film\tpos\nbad film\tneg\n",
        "sep=\ntext;label\nfine film;pos\nbad film;neg\n",
        'sep=;\n"text";"label"\n"fine film";"pos"\n"bad film";neg\n',
    ],
)
def test_other_separator_lines(content: str) -> None:
    """The line may be padded, may write the tab out, or may name nothing."""
    assert read("csv", content) == PLAIN


@pytest.mark.parametrize("kind", ["csv", "tsv"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_usual_delimiters_are_found(kind: str, delimiter: str) -> None:
    """Comma, semicolon, tab and vertical bar are told by the line of names, whatever the name of the file says."""
    rows = [("text", "label"), ('"fine, really"', "pos"), ('"bad; film"', '"neg"')]
    assert read(kind, "".join(f"{delimiter.join(row)}\n" for row in rows)) == COMMA


def test_delimiters_in_quoted_names_do_not_count() -> None:
    """What stands inside quotation marks parts no fields."""
    assert read("csv", '"text, of a, film";label\nx, y;1\n') == {"text, of a, film": ["x, y"], "label": ["1"]}


def test_the_delimiters_are_listed() -> None:
    """Who uses another one is told which are looked for."""
    with pytest.raises(ValueError, match="looked for: comma, semicolon, tab, vertical bar"):
        read("csv", "text~label\nfine, really~pos\n")


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("csv", 'text, label\n"fine, really", "pos"\n"bad; film", "neg"\n', COMMA),
        ("csv", '"text",  "label"\n"fine, really",  "pos"\n"bad; film",   "neg"\n', COMMA),
        (
            "csv",
            'label, text\npos, "fine, really"\nneg, "bad; film"\n',
            {"label": COMMA["label"], "text": COMMA["text"]},
        ),
        ("csv", 'text; label\n"fine, really"; "pos"\n"bad; film"; "neg"\n', COMMA),
        ("csv", 'text| label\n"fine, really"| "pos"\n "bad; film"| "neg"\n', COMMA),
        ("tsv", 'text\t label\n"fine, really"\t "pos"\n"bad; film"\t "neg"\n', COMMA),
        ("csv", 'id, text\n1, "two\nlines, yes"\n2, "x"\n', {"id": ["1", "2"], "text": ["two\nlines, yes", "x"]}),
        ("csv", 'text,n\n"he said, ""hi, you"", twice",1\n', {"text": ['he said, "hi, you", twice'], "n": ["1"]}),
        ("csv", 'text,n\n "Great" film,1\n', {"text": [' "Great" film'], "n": ["1"]}),
        ("csv", "text,n\n  kept ,1\n", {"text": ["  kept "], "n": ["1"]}),
        ("csv", 'n,text\n1,"a, "" b"\n2, "c"\n', {"n": ["1", "2"], "text": ['a, " b', "c"]}),
        ("csv", 'text , label\n"fine, really" , "pos"\n"bad; film" ,neg\n', COMMA),
        ("csv", 'text,label\n"fine, really","pos" \n"bad; film"\t,"neg" \n', COMMA),
        ("csv", 'text | label\n"fine, really" | "pos"\n"bad; film" | "neg"\n', COMMA),
        ("csv", 'text,\tlabel\n"fine, really",\t"pos"\n"bad; film",\u00a0"neg"\n', COMMA),
        ("csv", 'text,n\n"he said "" , ok","1" \n', {"text": ['he said " , ok'], "n": ["1"]}),
    ],
)
def test_spaces_around_quotation_marks(kind: str, content: str, expected: Columns) -> None:
    """Spaces around a quoted field are no part of it; spaces elsewhere, and inside of quoted texts, stay."""
    assert read(kind, content) == expected


@pytest.mark.parametrize(
    ("kind", "content", "times"),
    [
        ("csv", "text,label\nfine film,pos\ntext,label\nbad film,neg\n", "once more, first in line 3"),
        ("csv", "text,label\r\nfine film,pos\r\ntext,label\r\nbad film,neg\r\n", "once more, first in line 3"),
        ("csv", "text,label\nfine film,pos\n\ufefftext,label\nbad film,neg\n", "once more, first in line 3"),
        ("csv", 'text,label\nfine film,pos\n"text","label"\nbad film,neg\n', "once more, first in line 3"),
        ("csv", "text,label\ntext,label\nfine film,pos\nbad film,neg\ntext,label\n", "2 times more, first in line 2"),
        ("csv", "text, label\nfine film,pos\ntext, label\nbad film,neg\n", "once more, first in line 3"),
        ("csv", "sep=;\ntext;label\nfine film;pos\nsep=;\ntext;label\nbad film;neg\n", "once more, first in line 5"),
        ("csv", "text,label\nfine film,pos\ntext,label \nbad film,neg\n", "once more, first in line 3"),
        ("csv", "text,label\nfine film,pos\nText,LABEL\nbad film,neg\n", "once more, first in line 3"),
        ("tsv", "text\tlabel\nfine film\tpos\ntext\tlabel\nbad film\tneg\n", "once more, first in line 3"),
        ("csv", "text|label\nfine film|pos\n\ntext|label\nbad film|neg\n", "once more, first in line 4"),
    ],
)
def test_a_header_that_comes_again_is_no_row(kind: str, content: str, times: str) -> None:
    """Files that were put together have a line of names each; it is left out, and how often is said."""
    with pytest.warns(TableWarning, match=rf"^standard input: the line of names comes {times}"):
        assert read(kind, content) == PLAIN


def test_a_header_in_another_order_is_refused() -> None:
    """Rows of a second file whose columns have another order would go to the wrong columns."""
    with pytest.raises(ValueError, match=r"line 3 names the columns again in another order \(label, text\)"):
        read("csv", "text,label\nfine film,pos\nlabel,text\nneg,bad film\n")


def test_values_that_are_names_are_rows() -> None:
    """A row may have the name of a column as its value."""
    columns = {"message": ["x", "spam", "message"], "spam": ["spam", "ham", "message"]}
    assert read("csv", "message,spam\nx,spam\nspam,ham\nmessage,message\n") == columns


ROWS = "".join(f"film number {i},{['pos', 'neg'][i % 2]}\n" for i in range(20))
STRAY = '"Oh no, said the cat{0}neg\nfilm one{0}pos\nfilm two{0}neg\nand that was it"{0}pos\n'


@pytest.mark.parametrize(
    ("header", "rows", "stray", "lines"),
    [
        ("text,label\n", ROWS, '"Oh no said\nfilm one,pos\nand that was it",pos\n', "22 to 24"),
        ("text,label\n", ROWS, '"Oh no said,neg\nthat was it",pos\n', "22 to 23"),
        ("text,label\n", ROWS, '"Oh no, said the cat, twice,neg\nthat was it",pos\n', "22 to 23"),
        ("text;label\n", ROWS.replace(",", ";"), STRAY.format(";"), "22 to 25"),
        ("text|label\n", ROWS.replace(",", "|"), STRAY.format("|"), "22 to 25"),
        ("text,label\r\n", ROWS.replace("\n", "\r\n"), '"Oh no\r\nfilm one,pos\r\nthat was it",pos\r\n', "22 to 24"),
        (
            "label,text\n",
            "".join(f"pos,film {i}\n" for i in range(20)),
            'pos,"Oh no\npos,film one\npos,it was"\n',
            "22 to 24",
        ),
        (
            "id,text,label\n",
            "".join(f"{i},film {i},pos\n" for i in range(9)),
            '9,"Oh no\n10,one,pos\n11,it was",pos\n',
            "11 to 13",
        ),
        ("text,label\n", "", '"Oh no,neg\nfilm one,pos\nthat was it",pos\n' + ROWS, "2 to 4"),
    ],
)
@pytest.mark.parametrize("size", [None, 5])
def test_swallowed_rows_are_an_error(header: str, rows: str, stray: str, lines: str, size: int | None) -> None:
    """A quoted field that holds whole rows, with labels that others have, is refused with its lines."""
    content = (header + rows + stray).encode()
    with pytest.raises(
        ValueError, match=f"lines {lines} are one row with a quoted field that holds what looks like rows"
    ):
        list(blocks(io.BytesIO(content), "csv", size))


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("text,id\na film,1\n" + '"Oh no,2\nfilm one,3\nit was",4\n', "3 to 5"),
        ("text;url\na film;u1\n" + '"Oh no;u2\nfilm one;u3\nit was";u4\n', "3 to 5"),
        ("id,text,url\n1,a film,u1\n" + '2,"Oh no,u2\n3,film one,u3\n4,it was",u4\n', "3 to 5"),
    ],
)
def test_what_may_be_swallowed_is_said(content: str, lines: str) -> None:
    """Where no column has values that come again, lines inside a field that have the form of rows are pointed out."""
    with pytest.warns(TableWarning, match=f"as many separators as rows, first lines {lines}"):
        assert len(read("csv", content)["text"]) == 2


@pytest.mark.parametrize(
    "text",
    [
        "A fine film.\nI liked it, really.",
        "First paragraph, with a comma\n\nSecond, and last",
        "Well, yes\nWell, no\nWell, perhaps",
        "it cost 1,000\nand not 2",
        "a list:\n- one, two\n- three",
        "line\r\nline\r\nline",
        'she said "no, never"\nand left, pos',
        "pos\nneg\npos",
        "I like it, really, pos\nand not, neg",
    ],
)
def test_fields_that_span_lines_on_purpose(text: str) -> None:
    """Well-formed texts of several lines are read without a word."""
    quoted = text.replace('"', '""')
    content = "text,label\n" + ROWS + f'"{quoted}",pos\n' * 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read("csv", content)["text"][-3:] == [text] * 3


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        (STRAY.format("\t"), ['"Oh no, said the cat', "film one", "film two", 'and that was it"']),
        (
            STRAY.format("\t") + '"a\ttab"\tneg\n',
            ['"Oh no, said the cat', "film one", "film two", 'and that was it"', "a\ttab"],
        ),
        ('"two\nlines"\tpos\n"three\n\nlines"\tneg\n', ["two\nlines", "three\n\nlines"]),
        ('"say ""hi"""\tpos\n5" nails\tneg\n"\tpos\n', ['say "hi"', '5" nails', '"']),
        ('"a\ttab, a\ttab and\ntwo lines"\tpos\n', ["a\ttab, a\ttab and\ntwo lines"]),
        ('x\t"pos\ny\tneg\n', ["x", "y"]),
        ('""\tpos\n', [""]),
    ],
)
def test_tabs_with_and_without_quoting(rows: str, texts: list[str]) -> None:
    """In TSV a quotation mark is one of the text where a line is a row without it, from a pipe as from a file."""
    assert read("tsv", "text\tlabel\n" + rows)["text"] == texts


def test_the_last_field_may_span_lines_in_tsv() -> None:
    """A quoted text at the end of a row goes on to the next line if that is no row of its own."""
    assert read("tsv", 'n\ttext\n1\t"two\nlines"\n2\t"open\n3\tx\n') == {
        "n": ["1", "2", "3"],
        "text": ["two\nlines", '"open', "x"],
    }


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("csv", 'text,label\n"a\nb\nc,1\n', r"line 2: unexpected end of data \(.*goes on to line 4\)"),
        ("csv", 'text,label\n"a\nb"c,1\n', r"line 2: ',' expected after '\"' \(.*goes on to line 3\)"),
        ("tsv", 'text\tlabel\n"a\tb\tc\nd\te\n', "line 2 has 3 fields, expected 2"),
    ],
)
def test_quotation_marks_without_a_partner(kind: str, content: str, message: str) -> None:
    """The error names the line where the quoted field begins, and where it ends."""
    with pytest.raises(ValueError, match=message):
        read(kind, content)


@pytest.mark.parametrize(
    ("content", "rows", "said"),
    [
        ("text\na\n\nb\n", 2, "a blank line is no row, first line 3"),
        ("text\n\na\n", 1, "a blank line is no row, first line 2"),
        ("text\na\n\n\nb\n\nc", 3, "3 blank lines are no row, first line 3"),
        ("text\r\na\r\n\r\nb\r\n", 2, "a blank line is no row, first line 3"),
        ('text\n"a\n\nb"\n\nc\n', 2, "a blank line is no row, first line 5"),
        ("\n\ntext\na\n\nb\n", 2, "a blank line is no row, first line 5"),
        ("text\na\nb\n\n\n", 2, ""),
        ('text\na\n""\nb\n', 3, ""),
        ("\n\ntext\na\n", 1, ""),
        ('text\n"a\n\nb"\n', 1, ""),
        ("text,label\na,x\n\nb,y\n", 2, ""),
    ],
)
def test_blank_lines_that_may_be_empty_texts_are_said(content: str, rows: int, said: str) -> None:
    """In a table of one column a blank line between rows may be meant for a row, and is counted."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(read("csv", content)["text"]) == rows
    assert [said in str(warning.message) for warning in caught] == [True] * bool(said)


@pytest.mark.parametrize("kind", [None, "csv", "tsv", "lines"])
def test_the_name_of_the_only_column_may_be_a_text(tmp_path: Path, kind: str | None) -> None:
    """Where it comes again it is read, from a file and from a pipe; behind a second mark of the encoding it is none."""
    content = b"text\ntext\na fine film\nText\n"
    expected = ["text", "a fine film", "Text"] if kind != "lines" else ["text", "text", "a fine film", "Text"]
    (tmp_path / "t.csv").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error" if kind else "ignore")
        assert list(blocks(tmp_path / "t.csv", kind, None)) == [{"text": expected}]
        assert list(blocks(io.BytesIO(content), kind, None)) == [{"text": expected}]
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbftext\na\n\xef\xbb\xbftext\nb\n")
    with pytest.warns(UserWarning, match="the line of names comes once more, first in line 3"):
        assert list(blocks(tmp_path / "t.csv", "csv", None)) == [{"text": ["a", "b"]}]
