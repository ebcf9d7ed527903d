"""Weights that are promised not to change: packed once, and not looked at in each call."""

from typing import TypeVar

import torch

from tidegate.torch.modules import DropIn

Model = TypeVar("Model", bound=torch.nn.Module)


def freeze(model: Model) -> Model:
    """Packs the weights of every drop-in of a model once, for calls without gradients.

    Call it when training is over and the weights will not change any more: it spares a call the packing, and a single
    step the reading of weights that lie as torch wants them. The outputs are the same bits. The model is switched to
    evaluation as by `model.eval()`.

        >>> from tidegate.torch import GRU
        >>> model = freeze(torch.nn.Sequential(GRU(3, 4)))
        >>> with torch.inference_mode():
        ...     y, h_n = model(torch.randn(5, 2, 3))

    **It is a promise.** Calls without gradients do not see a change that is made to the weights afterwards, in place,
    through `data` or by an optimizer. Other tensors in their place are seen: a new parameter, those of
    `torch.nn.utils.prune`, and for its call those of `torch.func.functional_call`. The promise ends by `train()`,
    `load_state_dict` and `reset_parameters`, and by what moves or converts parameters, as `to`, `share_memory` and
    `double` do: for the module on which it is called, and all modules in it. Another `freeze` packs the weights anew.
    Copies of a frozen model, by `copy.deepcopy` or pickle, are not frozen.

    Calls with gradients, of packed sequences, with lengths, episodes, ids or traces, and those that torch transforms,
    read the weights themselves, and so do layers that native kernels do not run.

    Args:
        model: The model, or a drop-in itself; it is changed in place.

    Returns:
        The same model.

    Raises:
        ValueError: The model has no drop-in.
    """
    layers = [module for module in model.modules() if isinstance(module, DropIn)]
    if not layers:
        raise ValueError("freeze was given a model without a layer of tidegate.torch: give it convert(model)")
    model.eval()
    for layer in layers:
        layer.freeze()
    return model
