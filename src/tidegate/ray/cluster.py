"""How this process reaches a Ray cluster; Ray is imported when it is needed."""

from importlib import import_module
from typing import Any

LOCAL = "local"
"""The address of a cluster that is started on this machine, and ends with this process."""


def ray_module(name: str = "ray") -> Any:
    """Imports Ray, or a part of it.

    Raises:
        ImportError: It is missing.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError("a cluster needs Ray: pip install 'tidegate[ray]'") from error


def connected(address: str) -> Any:
    """Connects this process to a cluster, unless it is connected already.

    Args:
        address: Of the cluster, as Ray takes it: "auto", "ray://HOST:PORT"; or `LOCAL`.

    Returns:
        Ray.

    Raises:
        ConnectionError: There is no cluster.
        ImportError: Ray is missing.
    """
    ray = ray_module()
    here = {"include_dashboard": False} if address == LOCAL else {}
    ray.init(address=address, ignore_reinit_error=True, logging_level="warning", log_to_driver=False, **here)
    return ray
