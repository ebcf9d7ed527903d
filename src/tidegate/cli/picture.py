"""Pictures by matplotlib, which an extra brings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MISSING = "a picture needs matplotlib: pip install 'tidegate[plot]'"


def new_figure(width: float, height: float) -> "Figure":
    """Makes an empty figure that belongs to no window.

    Args:
        width: Inches.
        height: Inches.

    Raises:
        ImportError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise ImportError(_MISSING) from None
    return Figure(figsize=(width, height), layout="constrained")


@contextmanager
def plain_texts() -> Iterator[None]:
    """Has texts drawn as they are: a dollar sign begins a formula elsewhere, and most texts of users are none.

    Raises:
        ImportError: matplotlib is missing.
    """
    try:
        from matplotlib import rc_context  # noqa: PLC0415
    except ImportError:
        raise ImportError(_MISSING) from None
    with rc_context({"text.parse_math": False}):
        yield
