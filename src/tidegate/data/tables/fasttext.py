"""fastText's own format: labels with a prefix and a text on each line."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

_LABEL = re.compile(r"(?<!\S)__label__(\S+)[ \t]?")


def rows(lines: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Reads the text and the label of each line that is not blank.

    A line may have several labels, which are a list then; without one, the label is None.
    """
    for line in lines:
        if line.strip():
            labels = _LABEL.findall(line)
            yield _LABEL.sub("", line).strip(), labels[0] if len(labels) == 1 else labels or None
