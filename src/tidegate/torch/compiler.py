"""Lets torch.compile trace the drop-ins, which it would refuse because they are instances of `torch.nn.GRU` and others.

torch.compile (torch 2.13, `VariableBuilder.wrap_module`) breaks its graph at every instance of `torch.nn.RNN`, `GRU`
and `LSTM`, as their own code unrolls over time there, unless `torch._dynamo.config.allow_rnn` is set. A drop-in is one
operation in a graph, so the setting is made while one is looked at, and for nothing else: torch's own modules are
treated as ever. torch's compiler is imported late, so this waits for its import.
"""

import functools
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

from tidegate.torch.modules import DropIn

_BUILDER = "torch._dynamo.variables.builder"


def admit_drop_ins() -> None:
    """Makes torch.compile trace drop-ins, now or once its code is imported."""
    if _BUILDER in sys.modules:
        _admit(sys.modules[_BUILDER])
    else:
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds one module of torch, as ever, and sees to it when it has been imported."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _BUILDER:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        _admit(module)


def _admit(module: ModuleType) -> None:
    """Wraps the method that looks at a module of a model."""
    builder: Any = getattr(module, "VariableBuilder", None)
    wrap_module = getattr(builder, "wrap_module", None)
    if wrap_module is None or hasattr(wrap_module, "__wrapped__"):  # another version of torch, or done already
        return

    @functools.wraps(wrap_module)
    def wrap(self: Any, value: Any) -> Any:
        if not isinstance(value, DropIn):
            return wrap_module(self, value)
        with module.config.patch(allow_rnn=True):
            return wrap_module(self, value)

    builder.wrap_module = wrap
