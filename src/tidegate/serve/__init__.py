"""The page on which a model is looked at while one types, and its server on this machine."""

from tidegate.serve.server import HERE, create_app, is_here, listen, serve

__all__ = ["HERE", "create_app", "is_here", "listen", "serve"]
