"""Models as a service over HTTP, and the page on which one is looked at while one types.

`app` puts it together, and `server` runs it. A client asks by one of four doors: `plain` JSON, `inference` by the
Open Inference Protocol, streams over WebSockets in `sessions`, and the `page`. Behind them is a model as it is
`served`, whose requests are read together (`batching`, `queues`), and the `sessions` of streams. Before them are
`layers`, which every request goes through.
"""

try:
    import fastapi as _fastapi  # noqa: F401 - only to say what is missing
    import prometheus_client as _prometheus  # noqa: F401 - likewise
    import uvicorn as _uvicorn  # noqa: F401 - likewise
    import websockets as _websockets  # noqa: F401 - likewise
except ModuleNotFoundError as error:
    if error.name not in {"fastapi", "starlette", "pydantic", "uvicorn", "prometheus_client", "websockets"}:
        raise
    raise ImportError(f"the page needs {error.name}: pip install 'tidegate[serve]'") from error

from tidegate.serve.app import HERE, create_app
from tidegate.serve.limits import Limits
from tidegate.serve.server import compute_with, is_here, listen, serve
from tidegate.serve.sessions.sessions import Sessions
from tidegate.stream.storage import StateFolder

__all__ = ["HERE", "Limits", "Sessions", "StateFolder", "compute_with", "create_app", "is_here", "listen", "serve"]
