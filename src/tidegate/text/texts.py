"""Texts as they are given: what is none is refused, and what UTF-8 cannot hold is replaced."""

from collections.abc import Iterable, Iterator


def check_texts(texts: Iterable[str]) -> Iterator[str]:
    """Passes texts on.

    Raises:
        TypeError: It is one text alone, which would be read letter by letter, or one of them is no text.
    """
    if isinstance(texts, str):
        raise TypeError(f"texts is one text, expected several: pass [text] for {texts[:40]!r}")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] is {text!r:.60}, expected a text (str)")
        yield text


def encodable(texts: Iterable[str]) -> Iterator[str]:
    """Passes texts on, with lone surrogates, which JSON escapes can smuggle in and UTF-8 cannot hold, as "?"."""
    for text in check_texts(texts):
        # str caches its UTF-8 form for the native code and the library, so the check costs little
        yield text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
