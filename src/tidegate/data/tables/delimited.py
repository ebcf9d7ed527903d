"""Rows of CSV, TSV and Markdown, in the dialects that are met: separators, quotes, a header that comes again."""

import csv
import re
from collections.abc import Iterator

from tidegate.data.tables import markdown
from tidegate.data.tables.columns import TEXT_NAMES, plain_name
from tidegate.data.tables.sources.kinds import DELIMITERS, caution, separator_of
from tidegate.data.tables.sources.lines import LONGEST, Lines
from tidegate.data.tables.swallowed import SwallowedRows

_QUOTED = re.compile(r'"[^"]*+(?:""[^"]*+)*+"')  # the + after * keeps no way back, which would fill the memory
_WHOLE = re.compile(r'\s*("[^"]*+(?:""[^"]*+)*+")\s*')
_MOST_LINES = 1 << 20  # of a row, whose texts may have line breaks


class Delimited:
    """The rows of delimited text under a line of names.

    Attributes:
        delimiter: What stands between fields: what Excel's first line `sep=;` says, or what the names are parted by.
        names: The names of the columns; those without a name are called by their place.
        first: Number of the first line of the last row, from 1.
    """

    def __init__(self, lines: Lines, kind: str, name: str) -> None:
        """Reads the names of the columns.

        Args:
            lines: The lines of the file.
            kind: "csv" or "tsv".
            name: Name of the file, for warnings.

        Raises:
            ValueError: There are no names, or two are the same.
        """
        csv.field_size_limit(max(LONGEST, csv.field_size_limit()))  # it is 131,072 characters otherwise
        self.first = 0
        self._lines, self._name = lines, name
        self._separator_line = ""
        self._blank: list[int] = []
        first = lines.first()
        self._markdown = "|" in first and markdown.begins(first, lines.firsts(2)[-1])
        self.delimiter = "|" if self._markdown else self._find_delimiter(kind)
        self._feed = _Feed(lines)
        self._reader = csv.reader(self._feed, delimiter=self.delimiter, strict=True)
        self._spaced_reader = csv.reader(self._feed, delimiter=self.delimiter, strict=True, skipinitialspace=True)
        self._behind = re.compile(rf'(?<!")"[ \t]+(?={re.escape(self.delimiter)}|[\r\n]*$)')
        self._spaced = re.compile(rf'(?:^|{re.escape(self.delimiter)}) +"')
        self._width: int | None = None
        header = next(self._fields(), [])
        self._header = _plain(header)
        self.names = checked_names([field.lstrip("\ufeff") for field in header])
        self._width = len(self.names)

    def __iter__(self) -> Iterator[list[str]]:
        """Passes rows on that have a field for each column, and no header that comes again.

        Raises:
            ValueError: A row has more or fewer fields, quotation marks are wrong, or a field holds rows.
        """
        swallowed = SwallowedRows(self.delimiter, len(self.names))
        names, repeated = set(self._header), list[int]()
        for row in self._fields():
            if len(row) != self._width:
                raise ValueError(self._wrong_width(row))
            alone = len(row) == 1 and not row[0].startswith("\ufeff")  # it may be a text like any other
            if not alone and row[0].strip("\ufeff ").lower() in names:
                if _plain(row) == self._header:
                    repeated.append(self.first)
                    continue
                self._check_order(row)
            swallowed.see(row, self.first, self._lines.number)
            yield row
        swallowed.judge()
        if repeated:
            times = "once more" if len(repeated) == 1 else f"{len(repeated):,} times more"
            caution(f"{self._name}: the line of names comes {times}, first in line {repeated[0]}: it is no row")
        if self._blank:
            what = "a blank line is" if len(self._blank) == 1 else f"{len(self._blank):,} blank lines are"
            caution(f'{self._name}: {what} no row, first line {self._blank[0]}: an empty text is written as ""')
        if swallowed.doubtful:
            caution(f"{self._name}: {swallowed.doubt()}")

    def _find_delimiter(self, kind: str) -> str:
        """Takes the delimiter from a line `sep=;`, or the one that is most frequent outside quotation marks."""
        first = self._lines.first()
        named = separator_of(first)
        if named is not None:
            while self._separator_line != first:
                self._separator_line = next(self._lines)
            if named:
                return named
            first = self._lines.first()
        plain = _QUOTED.sub("", first)
        if kind == "tsv" and ("\t" in plain or not any(map(plain.count, DELIMITERS))):
            return "\t"
        return max(DELIMITERS, key=plain.count)

    def _fields(self) -> Iterator[list[str]]:
        """Parses row after row; blank lines are none, and are noted where one may be meant for an empty text."""
        blank: list[int] = []
        for line in self._lines:
            plain = line.rstrip("\r\n")
            if not plain or (self._width is None and not plain.strip()) or line == self._separator_line:
                blank += [self._lines.number] * (self._width == 1)
                continue
            self._blank += blank  # those at the end are no rows for anybody
            blank = []
            self.first = self._lines.number
            if self._markdown:
                if not markdown.is_rule(line):
                    yield markdown.cells(line)
            elif '"' not in line:
                yield plain.split(self.delimiter)
            elif self.delimiter == "\t":
                yield self._tabbed(line)
            else:
                yield self._quoted(line)

    def _quoted(self, line: str) -> list[str]:
        """Parses a row by the rules of CSV; a quotation mark may stand behind spaces, or before them."""
        try:
            row, taken = self._parsed(line)
        except ValueError:
            closed = self._behind.sub('"', line)
            if closed == line or "\n" in "".join(row := self._parsed(closed, spaces=True)[0]):
                raise
            return row
        if (
            ' "' in line
            and self._spaced.search(line)
            and any(field[:1] == " " and field.lstrip(" ")[:1] == '"' for field in row)
        ):
            self._lines.give_back(taken)
            try:
                return self._parsed(line, spaces=True)[0]
            except ValueError:  # the mark is one of the text
                return self._parsed(line)[0]
        return [_unquoted(field) if field[:1].isspace() else field for field in row]

    def _tabbed(self, line: str) -> list[str]:
        """Parses a row with tabs between fields.

        Many such files are written without quoting, where a quotation mark is a character like any other. Parsed by
        the rules of CSV, one at the start of a field would swallow the records up to the next. So those rules count
        where the line has too many or too few tabs without them.
        """
        fields = line.rstrip("\r\n").split("\t")
        plain = [_unquoted(field) for field in fields]
        opened = [field.startswith('"') and field.count('"') % 2 == 1 for field in fields]
        if not any(opened) or (len(fields) == self._width and not (opened[-1] and self._goes_on())):
            return plain
        try:
            row, taken = self._parsed(line)
        except ValueError:
            return plain
        if self._width in {None, len(row)}:
            return row
        self._lines.give_back(taken)
        return plain

    def _goes_on(self) -> bool:
        """Whether the next line is no row of its own."""
        following = next(self._lines, None)
        if following is None:
            return False
        self._lines.give_back([following])
        return following.count("\t") + 1 != self._width

    def _parsed(self, line: str, *, spaces: bool = False) -> tuple[list[str], list[str]]:
        """Parses a row by the rules of CSV.

        Args:
            line: Its first line.
            spaces: Whether spaces before a field are no part of it.

        Returns:
            Its fields, and the lines after the first that it takes.

        Raises:
            ValueError: A quotation mark is wrong; no line but the first is taken then.
        """
        feed = self._feed
        feed.first, feed.taken = line, []
        try:
            return next(self._spaced_reader if spaces else self._reader), feed.taken
        except csv.Error as error:
            last = self._lines.number
            self._lines.give_back(feed.taken)
            until = f" (a quotation mark opens a field that goes on to line {last})" if feed.taken else ""
            raise ValueError(
                f"line {self.first}: {error}{until}; a quotation mark inside a quoted field is doubled"
            ) from None

    def _wrong_width(self, row: list[str]) -> str:
        """Says what is wrong with a row of more or fewer fields."""
        fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
        message = (
            f"line {self._lines.number} has {fields}, expected {len(self.names)} as in the first line "
            f"({', '.join(self.names)[:60]}): {' '.join(row)[:40]!r}…; "
            f"a field with a delimiter or a line break in it is quoted"
        )
        looked_for = ", ".join(DELIMITERS.values())
        return message if len(self.names) > 1 else f"{message}; delimiters that are looked for: {looked_for}"

    def _check_order(self, row: list[str]) -> None:
        """Checks that a row is no header of a file with the same columns in another order.

        Raises:
            ValueError: It is.
        """
        names = _plain(row)
        if sorted(names) == sorted(self._header) and any(plain_name(name) in TEXT_NAMES[0] for name in names):
            raise ValueError(
                f"line {self.first} names the columns again in another order ({', '.join(names)[:60]}): "
                f"files that are put together need the same one"
            )


class _Feed:
    """Lines for the csv module, the first of a row before those that it goes on to.

    Attributes:
        first: The first line, if it is still to be handed out.
        taken: The lines after it that were handed out.
    """

    def __init__(self, lines: Lines) -> None:
        self.first: str | None = None
        self.taken: list[str] = []
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.first is not None:
            line, self.first = self.first, None
            return line
        if len(self.taken) >= _MOST_LINES:
            raise csv.Error(f"a field has more than {_MOST_LINES:,} lines")
        self.taken.append(next(self._lines))
        return self.taken[-1]


def _plain(names: list[str]) -> list[str]:
    """Returns names of columns as they are compared: without a byte order mark, outer spaces and capitals."""
    return [name.strip("\ufeff \t").lower() for name in names]


def _unquoted(field: str) -> str:
    """Takes quotation marks off that stand around a whole field."""
    whole = _WHOLE.fullmatch(field) if '"' in field else None
    return whole[1][1:-1].replace('""', '"') if whole else field


def checked_names(names: list[str]) -> list[str]:
    """Checks the names of columns; those without a name are called by their place.

    Raises:
        ValueError: There are none, or two are the same.
    """
    if not names:
        raise ValueError("the file is empty, expected a first line with the names of the columns")
    names = [name.strip() or f"column {place}" for place, name in enumerate(names, 1)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two columns have the name {twice!r}, expected different names")
    return names
