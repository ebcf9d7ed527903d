"""Pictures by matplotlib, which an extra brings."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        raise ImportError("a picture needs matplotlib: pip install 'tidegate[plot]'") from None
    return Figure(figsize=(width, height), layout="constrained")
