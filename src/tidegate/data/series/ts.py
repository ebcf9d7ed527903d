"""Files of the UEA and UCR archives (`.ts`), read as they are written: labels are texts, lengths may differ.

A header of lines that begin with @, then a line for each sequence: its dimensions with colons between them, the numbers
of each with commas, and the label behind the last colon (Bagnall et al. 2018, "The UEA multivariate time series
classification archive"). A number that is missing is `?` or NaN. Where the header says that there are time stamps, each
number is written as (time,number), and the steps of a sequence are all the times at which a dimension has one.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.series.cells import numbers_of, times_of

Array = npt.NDArray[np.float64]

_PAIR = re.compile(r"\(([^()]*),([^(),]*)\)")
_MARK = re.compile(r"[():]")


def read_ts(path: Path) -> tuple[list[Array], list[str] | None]:
    """Reads a file.

    Returns:
        Arrays [T, K], NaN where a number is missing; and the labels as they are written, None if the header says that
        there are none.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not in this format; the message names the line.
    """
    header: dict[str, str] = {}
    sequences: list[Array] = []
    labels: list[str] = []
    with path.open(encoding="utf-8-sig") as file:
        lines = ((number, line.strip()) for number, line in enumerate(file, 1))
        _read_header(lines, header)
        labelled = any(header.get(name, "false").split()[:1] == ["true"] for name in ("classlabel", "targetlabel"))
        timed, classes = header.get("timestamps", "false") == "true", header.get("classlabel", "").split()[1:]
        for number, line in lines:
            if not line or line.startswith("#"):
                continue
            try:
                parts = _parts(line, header.get("dimensions"), labelled=labelled, timed=timed)
                label = parts.pop().strip() if labelled else ""
                if classes and label not in classes:
                    raise ValueError(f"the label is {label!r:.40}, expected one of {', '.join(classes[:8])}")  # noqa: TRY301
                sequences.append(_timed(parts) if timed else _steps(parts))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
            labels.append(label)
    return sequences, labels if labelled else None


def _read_header(lines: Iterator[tuple[int, str]], header: dict[str, str]) -> None:
    """Reads the lines up to @data.

    Raises:
        ValueError: There is no such line, or one before it is no header.
    """
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        name, _, value = line.partition(" ")
        if name.lower() == "@data":
            return
        if not name.startswith("@"):
            raise ValueError(
                f"line {number}: it begins with {line[:40]!r}, expected a line of the header such as @data"
            )
        name = name[1:].lower()
        header[name] = value.strip() if name == "classlabel" else value.strip().lower()
        if name == "classlabel":
            first, *rest = header[name].split() or ["false"]
            header[name] = " ".join([first.lower(), *rest])
    raise ValueError("there is no line @data, expected one above the sequences")


def _parts(line: str, dimensions: str | None, *, labelled: bool, timed: bool) -> list[str]:
    """Cuts a line at its colons, those of times aside: a label may have some too if the dimensions are counted."""
    count = int(dimensions) if dimensions and dimensions.isdecimal() else 0
    most = count if labelled and count else -1
    parts = _split_timed(line, most) if timed else line.split(":", most)
    if len(parts) <= labelled or (count and len(parts) != count + labelled):
        expected = f"{count or 'some'} dimensions" + " and a label" * labelled
        raise ValueError(f"it has {len(parts)} parts with colons between them, expected {expected}")
    return parts


def _split_timed(line: str, most: int) -> list[str]:
    """Cuts a line at its colons but those in brackets, as times of day have them; at most so often, unless it is -1."""
    parts: list[str] = []
    begin, inside = 0, False
    for mark in _MARK.finditer(line):
        if len(parts) == most:
            break
        if mark[0] != ":":
            inside = mark[0] == "("
        elif not inside:
            parts.append(line[begin : mark.start()])
            begin = mark.end()
    return [*parts, line[begin:]]


def _steps(parts: list[str]) -> Array:
    """Reads dimensions without times: [T, K]."""
    rows = [
        numbers_of(part.split(","), f"dimension {k}") if part.strip() else np.empty(0) for k, part in enumerate(parts)
    ]
    lengths = [len(row) for row in rows]
    if len(set(lengths)) > 1:
        raise ValueError(f"the dimensions have {lengths} numbers, expected equally many")
    return np.stack(rows, axis=1)


def _timed(parts: list[str]) -> Array:
    """Reads dimensions with times: a step for each time that occurs, and NaN where a dimension has no number."""
    found: list[dict[Any, float]] = []
    kinds: set[str] = set()
    for k, part in enumerate(parts):
        rest = _PAIR.sub("", part).strip(" ,")
        if rest:
            raise ValueError(f"dimension {k} has {rest!r:.40}, expected (time,number)")
        pairs = _PAIR.findall(part)
        numbers = numbers_of([number for _, number in pairs], f"dimension {k}")
        times = times_of([time for time, _ in pairs], f"dimension {k}")
        kinds |= {times.kind} if pairs else set()
        found.append({})
        for time, number, (text, _) in zip(times.values.tolist(), numbers.tolist(), pairs, strict=True):
            if time in found[-1]:
                raise ValueError(f"dimension {k} has several numbers at the time {text.strip()!r:.40}, expected one")
            found[-1][time] = number
    if len(kinds) > 1:
        raise ValueError(f"its times are {' and '.join(sorted(kinds))}, expected times of one kind")
    steps = sorted(set().union(*found))
    return np.array([[numbers.get(time, np.nan) for numbers in found] for time in steps]).reshape(
        len(steps), len(found)
    )
