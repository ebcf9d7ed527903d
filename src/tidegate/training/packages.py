"""What training needs besides numpy, looked for early and imported late: PyTorch alone takes seconds to start."""

from importlib import import_module
from importlib.util import find_spec


def look_for(package: str, module: str) -> None:
    """Raises at once what a module raises without a package; with it, nothing is imported before it is needed.

    What cannot be read is so refused in the time that it takes to read it.

    Args:
        package: Name of the package.
        module: The module of tidegate that imports it, and says how to install it.

    Raises:
        ImportError: The package is not installed.
    """
    if find_spec(package) is None:
        import_module(module)
