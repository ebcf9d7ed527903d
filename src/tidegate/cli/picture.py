"""Pictures by matplotlib, which an extra brings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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


def show_colours(axes: "Axes", name: str, colour: Callable[[float], Any]) -> None:
    """Says above a panel which colour counts for a class or number, and which against it.

    Args:
        axes: The panel.
        name: Of the class or number.
        colour: Of what counts −1..1.
    """
    from matplotlib.patches import Patch  # noqa: PLC0415 - an extra, which new_figure has checked

    handles = [Patch(facecolor=colour(strength)) for strength in (-1, 1)]
    names = [f"{word} {name}" for word in ("against", "for")]
    axes.legend(handles, names, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize=9)


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
