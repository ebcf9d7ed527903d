"""Characters that cannot be seen, or would steer a terminal."""

JOINERS = "\u200c\u200d"
"""Zero-width non-joiner and joiner: they choose the shapes of letters, and belong to words."""


def visible(text: str) -> str:
    r"""Writes characters that cannot be seen, or would steer a terminal, as escapes.

    >>> print(visible("a\x1b[2J\u202eb"), visible("naïve"))
    a\x1b[2J\u202eb naïve
    """
    return "".join(
        c if c.isprintable() or _joins(text, i) else c.encode("unicode_escape").decode() for i, c in enumerate(text)
    )


def _joins(text: str, i: int) -> bool:
    """Whether a character joins others, of scripts and symbols for which that changes what is seen."""
    return text[i] in JOINERS and i > 0 and not text[i - 1].isascii() and text[i - 1].isprintable()
