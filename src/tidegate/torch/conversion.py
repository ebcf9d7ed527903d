"""Swaps the recurrent modules of a model for drop-ins, and back."""

from typing import TypeVar
from warnings import warn

import torch
from torch.nn.utils.parametrize import is_parametrized

from tidegate.ops.checks import check_choice
from tidegate.torch.cells import torch_function
from tidegate.torch.modules import GRU, LSTM, RNN, DropIn

Model = TypeVar("Model", bound=torch.nn.Module)

DROP_INS: dict[type[torch.nn.Module], type[torch.nn.Module]] = {
    torch.nn.GRU: GRU,
    torch.nn.LSTM: LSTM,
    torch.nn.RNN: RNN,
}
"""The drop-in for each recurrent module of torch."""


def convert(model: Model, *, to: str = "tidegate") -> Model:
    """Turns every `torch.nn.GRU`, `LSTM` and `RNN` of a model into a drop-in, or every drop-in back.

    The modules stay the same objects with the same parameters: optimizers, hooks, parametrizations and whatever else
    refers to them go on working. Instances of your own subclasses, and cells that torch has not, are left as they are,
    with a warning.

        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.GRU(3, 4))
        >>> convert(model)
        Sequential(
          (0): Linear(in_features=2, out_features=3, bias=True)
          (1): GRU(3, 4)
        )
        >>> type(model[1]) is GRU
        True
        >>> type(convert(model, to="torch")[1]) is torch.nn.GRU
        True

    Args:
        model: The model, or a recurrent module itself; it is changed in place.
        to: "tidegate" or "torch".

    Returns:
        The same model.

    Raises:
        ValueError: `to` is something else.
    """
    check_choice("to", to, ("tidegate", "torch"))
    classes = DROP_INS if to == "tidegate" else {ours: theirs for theirs, ours in DROP_INS.items()}
    for name, module in model.named_modules():
        kind = type(module)
        if to == "torch" and isinstance(module, DropIn) and torch_function(module.cell) is None:
            warn(f"{name or 'the model'} is {module}, which torch has not: it is left as it is", stacklevel=2)
        elif kind in classes:
            module.__class__ = classes[kind]
        elif is_parametrized(module) and kind.__base__ in classes:
            kind.__bases__ = (classes[kind.__base__],)  # this class is the module's own, made by torch
        elif isinstance(module, tuple(classes)) and isinstance(module, DropIn) == (to == "torch"):
            warn(
                f"{name or 'the model'} is a {kind.__qualname__}, a class of its own: it is left as it is", stacklevel=2
            )
    return model
