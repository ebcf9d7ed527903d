"""The page on which a model is looked at while one types, and its server on this machine."""

try:
    import fastapi as _fastapi  # noqa: F401 - only to say what is missing
    import uvicorn as _uvicorn  # noqa: F401 - likewise
except ModuleNotFoundError as error:
    if error.name not in {"fastapi", "starlette", "pydantic", "uvicorn"}:
        raise
    raise ImportError(f"the page needs {error.name}: pip install 'tidegate[serve]'") from error

from tidegate.serve.server import HERE, create_app, is_here, listen, serve

__all__ = ["HERE", "create_app", "is_here", "listen", "serve"]
