"""Rows that a stray quotation mark has made part of a field."""

from dataclasses import dataclass

_SAMPLE = 500  # rows that show what the columns hold, fewer of a wide table
_VALUES = 1 << 18  # of them
_LONGEST_CLASS = 40  # characters
_MOST_CLASSES = 20
_MOST_SUSPECTS = 100


@dataclass(frozen=True)
class _Suspect:
    """A row with a field that spans lines, one of which has as many delimiters as rows do, or more.

    Attributes:
        first: Number of its first line.
        last: Number of its last line.
        place: The column of that field.
        pieces: What may be rows: the fields of each, None for those that stand outside the field that spans lines.
        all: Whether all lines of the field may be rows.
    """

    first: int
    last: int
    place: int
    pieces: list[list[str | None]]
    all: bool


class SwallowedRows:
    """Looks for quoted fields that hold whole rows.

    A field that begins with a quotation mark ends at the next one, even if both are characters of their texts and stand
    in rows far apart. Nothing in the syntax tells such a field from one that spans lines on purpose. What tells is that
    its lines have as many fields as a row and, in the columns of few values such as labels, values that other rows have
    there.

    Attributes:
        doubtful: The first and the last line of each row that may be several, where no column has few values.
    """

    def __init__(self, delimiter: str, width: int) -> None:
        self.doubtful: list[tuple[int, int]] = []
        self._delimiter, self._width = delimiter, width
        self._sample: list[list[str]] = []
        self._enough = min(_SAMPLE, max(20, _VALUES // width))
        self._suspects: list[_Suspect] = []

    def see(self, row: list[str], first: int, last: int) -> None:
        """Looks at a row.

        Args:
            row: Its fields.
            first: Number of its first line.
            last: Number of its last line.

        Raises:
            ValueError: It holds other rows.
        """
        if last > first:
            for place, field in enumerate(row):
                suspect = self._suspect(row, place, first, last) if "\n" in field or "\r" in field else None
                if suspect and len(self._suspects) < _MOST_SUSPECTS:
                    self._suspects.append(suspect)
        elif len(self._sample) < self._enough:
            self._sample.append([field if len(field) <= _LONGEST_CLASS else "" for field in row])
            return
        if self._suspects and len(self._sample) == self._enough:
            self.judge()

    def judge(self) -> None:
        """Compares what may be rows with the rows so far.

        Raises:
            ValueError: They are rows.
        """
        known = self._classes() if self._suspects else {}
        for suspect in self._suspects:
            classes = {place: values for place, values in known.items() if place != suspect.place}
            rows = [piece for piece in suspect.pieces if _fits(piece, classes)]
            if rows:
                text = self._delimiter.join(field for field in rows[0] if field is not None)
                raise ValueError(
                    f"lines {suspect.first} to {suspect.last} are one row with a quoted field that holds what looks "
                    f"like rows, such as {text[:60]!r}: a stray quotation mark opens it; double a mark that belongs to "
                    f"a text, and quote the field"
                )
            if suspect.all and not classes:
                self.doubtful.append((suspect.first, suspect.last))
        self._suspects = []

    def doubt(self) -> str:
        """Says which rows may be several."""
        first, last = self.doubtful[0]
        count = f"{len(self.doubtful)} rows span" if len(self.doubtful) > 1 else "a row spans"
        return (
            f"{count} lines that have as many separators as rows, first lines {first} to {last}: "
            f"if a stray quotation mark opens a field there, the rows in it are lost"
        )

    def _suspect(self, row: list[str], place: int, first: int, last: int) -> _Suspect | None:
        """Splits a field into what may be rows.

        The first line follows the fields before it in its row, and the last one precedes those behind it.
        """
        if row[place].count(self._delimiter) < min(place, self._width - place - 1):
            return None
        lines = row[place].replace("\r\n", "\n").replace("\r", "\n").split("\n")
        before, after = [None] * place, [None] * (self._width - place - 1)
        pieces: list[list[str | None]] = [[*line.split(self._delimiter)] for line in lines]
        pieces[0] = [*before, *pieces[0]] if after else []
        pieces[-1] = [*pieces[-1], *after] if before else []
        pieces = [piece for piece in pieces if piece]
        rows = [self._joined(piece, place) for piece in pieces if len(piece) >= self._width > 1]
        exact = all(len(piece) == self._width for piece in pieces)
        tight = all(not field or not field.startswith(" ") for piece in pieces for field in piece)
        return _Suspect(first, last, place, rows[:_MOST_SUSPECTS], exact and tight) if rows else None

    def _joined(self, piece: list[str | None], place: int) -> list[str | None]:
        """Makes one field of those that a text with delimiters in it falls into."""
        end = len(piece) - (self._width - place - 1)
        text = self._delimiter.join(field or "" for field in piece[place:end])
        return [*piece[:place], text, *piece[end:]]

    def _classes(self) -> dict[int, set[str]]:
        """Returns the values of the columns that have few."""
        found = {}
        for place, values in enumerate(zip(*self._sample, strict=True)):
            distinct = set(values)
            if "" not in distinct and len(distinct) <= min(_MOST_CLASSES, len(values) // 2):
                found[place] = distinct
        return found


def _fits(piece: list[str | None], classes: dict[int, set[str]]) -> bool:
    """Whether what may be a row has known values in the columns of few values, and there is such a column."""
    known = [field in classes[place] for place, field in enumerate(piece) if place in classes and field]
    return bool(known) and all(known)
