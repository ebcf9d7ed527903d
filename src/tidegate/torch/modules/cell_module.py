"""The base of drop-ins whose cell torch has no module of."""

from typing import Any, ClassVar

import torch
from torch.nn import Parameter
from torch.nn.utils.rnn import PackedSequence

from tidegate.ops.cells import Cell
from tidegate.torch.modules.drop_in import DropIn


class _Shaped(torch.nn.RNNBase):
    """The parameters and checks of torch's recurrent modules, for a cell of any number of blocks."""

    name: ClassVar[str]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__("RNN_TANH", *args, **options)  # torch knows the shapes of its own cells only
        self.mode = self.name.upper()
        rows = Cell.of(self.name).G * self.hidden_size
        for name in self._flat_weights_names:
            weight = getattr(self, name)
            setattr(self, name, Parameter(weight.new_empty(rows, *weight.shape[1:])))
        self._init_flat_weights()
        self.reset_parameters()

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 - torch's name
        """Says what is wrong with arguments that do not fit, in torch's words."""
        data, batch_sizes = (input.data, input.batch_sizes) if isinstance(input, PackedSequence) else (input, None)
        if batch_sizes is None and data.dim() == 2:
            data = data.unsqueeze(0 if self.batch_first else 1)
            hx = [state.unsqueeze(1) for state in _states(hx)]
        self.check_input(data, batch_sizes)
        for state in _states(hx):
            self.check_hidden_size(state, self.get_expected_hidden_size(data, batch_sizes))
        count = len(Cell.of(self.name).states)
        raise ValueError(f"input has shape {tuple(data.shape)}, expected 1 step or more; hx is None or {count} tensors")


class CellModule(DropIn, _Shaped):
    """A recurrent module with the constructor and the parameters of torch's: `class MGU(CellModule): name = "mgu"`.

    Attributes:
        name: The name of the cell.
    """

    def __init__(
        self, *args: Any, recompute_every: int | None = None, chrono: float | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._choose(recompute_every, chrono)


def _states(hx: Any) -> list[Any]:
    return [] if hx is None else list(hx) if isinstance(hx, tuple | list) else [hx]
