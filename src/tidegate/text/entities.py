"""HTML character references, such as `&eacute;` and `&#39;`, as the characters that they stand for."""

import re
from collections.abc import Iterator
from html import unescape
from html.entities import html5

import numpy as np
import numpy.typing as npt

# With a semicolon: HTML knows some without, but "this&that", "?a=1&copy=2" and "AT&T" are no references. Bounded,
# because Python refuses to read endless numbers.
_REFERENCE = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,7}|[a-zA-Z][a-zA-Z0-9]{1,31});")


def decode(text: str) -> str:
    """Replaces references by their characters; those that HTML does not know stay.

    >>> decode("caf&eacute; &amp; tea &#8212; wasn&#39;t AT&T &c &unknown;")
    "café & tea — wasn't AT&T &c &unknown;"
    """
    return _REFERENCE.sub(_characters, text) if "&" in text else text


def places(text: str) -> npt.NDArray[np.int64]:
    """Tells where the characters of the decoded text stand in the original.

    Args:
        text: A text of N characters, of which `decode` makes M.

    Returns:
        The first and the end of the characters that each was decoded from, int64 [M, 2].
    """
    return np.array(list(_places(text)), np.int64).reshape(-1, 2)


def _places(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    for reference in _REFERENCE.finditer(text):
        yield from ((i, i + 1) for i in range(position, reference.start()))
        characters, position = _characters(reference), reference.end()
        if characters == reference[0]:
            yield from ((i, i + 1) for i in range(*reference.span()))
        else:
            yield from [reference.span()] * len(characters)
    yield from ((i, i + 1) for i in range(position, len(text)))


def _characters(reference: re.Match[str]) -> str:
    found = reference[0]
    return unescape(found) if found[1] == "#" else html5.get(found[1:], found)
