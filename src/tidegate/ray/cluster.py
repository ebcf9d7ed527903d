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


def fetched(ray: Any, made: Any, what: str) -> Any:
    """Waits for what is made on the cluster.

    Args:
        ray: Ray.
        made: The reference to it.
        what: What is lost if it is lost, for the message.

    Raises:
        Exception: What the work has raised, as it does without a cluster.
        RuntimeError: It has ended the processes that worked on it, or the cluster is lost.
    """
    errors = ray_module("ray.exceptions")
    try:
        return ray.get(made)
    except errors.RayTaskError as error:
        raise error.cause from None
    except errors.RayError as error:
        raise RuntimeError(f"the cluster has lost {what}: {str(error).strip().splitlines()[0]}") from error
