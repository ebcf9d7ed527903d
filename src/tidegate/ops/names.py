"""The parameters of a recurrent stack: their names, as torch has them, and their shapes in letters."""

import re
from collections.abc import Collection


def suffix(layer: int, reverse: bool) -> str:
    """Returns what the names of one layer's parameters in one direction end in: "_l0", "_l0_reverse", …."""
    return f"_l{layer}_reverse" if reverse else f"_l{layer}"


def parameter_names(layer: int, reverse: bool, bias: bool) -> list[str]:
    """Lists the parameters of one layer in one direction: w_ih, w_hh, and with a bias b_ih, b_hh."""
    return [
        kind + suffix(layer, reverse) for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if bias else 2]
    ]


def parameter_letters(num_layers: int, bidirectional: bool, bias: bool) -> dict[str, str]:
    """Names every parameter of a stack with its shape in letters, D being the number of directions.

    >>> parameter_letters(num_layers=1, bidirectional=False, bias=False)
    {'weight_ih_l0': 'G·H I', 'weight_hh_l0': 'G·H H'}
    """
    letters: dict[str, str] = {}
    for layer in range(num_layers):
        shapes = ("G·H D·H" if layer else "G·H I", "G·H H", "G·H", "G·H")
        for reverse in (False, True)[: 1 + bidirectional]:
            letters.update(zip(parameter_names(layer, reverse, bias), shapes, strict=False))
    return letters


def layout(names: Collection[str]) -> tuple[int, bool, bool]:
    """Reads a stack's layout off the names of its parameters.

    Args:
        names: Parameter names of `torch.nn.GRU` or `torch.nn.RNN`.

    Returns:
        The number of layers, whether there are two directions, and whether there are biases.

    Raises:
        ValueError: A parameter is missing, or one is left over.
    """
    num_layers = max(1, sum(re.fullmatch(r"weight_ih_l\d+", name) is not None for name in names))
    bidirectional, bias = "weight_ih_l0_reverse" in names, "bias_ih_l0" in names
    expected = parameter_letters(num_layers, bidirectional, bias)
    stack = f"a stack of {num_layers} layers" + ", both directions" * bidirectional + ", without bias" * (not bias)
    check_names("weights", names, expected, stack)
    return num_layers, bidirectional, bias


def check_names(argument: str, names: Collection[str], expected: Collection[str], reason: str) -> None:
    """Checks that the arrays of a collection are those expected.

    Raises:
        ValueError: One is missing, or one is left over.
    """
    missing = [name for name in expected if name not in names]
    unknown = [name for name in names if name not in expected]
    if missing:
        found = f", found {_some(unknown)} instead" if unknown else ""
        raise ValueError(f"{argument} lacks {_some(missing)}, expected for {reason}{found}")
    if unknown:
        raise ValueError(f"{argument} has {_some(unknown)}, not expected for {reason}")


def _some(names: list[str]) -> str:
    """Lists the first few names."""
    more = len(names) - 4
    return ", ".join(map(repr, names[:4])) + (f" and {more} more" if more > 0 else "")
