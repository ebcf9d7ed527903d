"""The configuration of a model of Keras: which layers there are, and which reads which."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tidegate.convert.certificate import ConversionError

MOST_LAYERS = 10_000
"""The most layers, folders or arrays that a file is read with."""


class Chain(NamedTuple):
    """The layers that read each other, and all layers with the names of their classes, in the file's order."""

    chain: list[tuple[str, Mapping[str, Any]]]
    every: list[tuple[str, str]]


def chain_of(model: Mapping[str, Any]) -> Chain:
    """Reads the configuration of a model.

    Raises:
        ConversionError: It is none of a Sequential or a functional model, or the layers form no chain.
    """
    inner = model.get("config")
    entries = inner.get("layers") if isinstance(inner, Mapping) else inner  # Keras 2.2 had the list alone
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_LAYERS:
        raise ConversionError("it has no list of layers: only Sequential and functional models can be read")
    named = {}
    for entry in entries:
        own = entry["config"]
        named[str(own.get("name") or entry.get("name"))] = (str(entry["class_name"]), own, entry.get("inbound_nodes"))
    every = [(name, kind) for name, (kind, _, _) in named.items()]
    if model.get("class_name") == "Sequential":
        return Chain([(kind, own | {"name": name}) for name, (kind, own, _) in named.items()], every)
    assert isinstance(inner, Mapping)  # noqa: S101 - a functional model's has names of its ends
    outputs = [*_histories(inner.get("output_layers"), named)]
    if len(outputs) != 1:
        raise ConversionError(f"the model has {len(outputs)} outputs, expected one")
    chain, (name,) = [], outputs
    while True:
        kind, own, inbound = named[name]
        chain.append((kind, own | {"name": name}))
        before = [*dict.fromkeys(_histories(_tensors(inbound), named))]
        if not before:
            return Chain(chain[::-1], every)
        if len(before) > 1 or len(chain) > len(named):
            raise ConversionError(f"the layer {name!r:.60} reads {', '.join(before):.100}, expected a chain of layers")
        (name,) = before


def _tensors(inbound: Any) -> Any:
    """Leaves of the inbound nodes what a layer reads itself; masks are given by keyword."""
    if isinstance(inbound, list) and inbound and isinstance(inbound[0], Mapping):
        return [node.get("args") for node in inbound]
    return inbound


def _histories(value: Any, named: Mapping[str, Any]) -> Iterator[str]:
    """Finds the layers in nested lists of [name, node, tensor, …], as both versions write what a layer reads."""
    if isinstance(value, Mapping):
        value = [*value.values()]
    if isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and value[0] in named and isinstance(value[1], int):
            yield value[0]
        else:
            for inner in value:
                yield from _histories(inner, named)
