"""What is said of the rows of a padded batch beside their numbers: lengths, episodes, the table that they read."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import Embedding, RNNBase
from torch.nn.functional import embedding
from torch.nn.utils.rnn import PackedSequence

from tidegate.ops.batch import EPISODE_STATES
from tidegate.ops.checks import Sizes, check_choice, check_episode_starts, check_ids, check_lengths
from tidegate.torch.transforms import jit_traces, unfit_tensor

UNFIT = "the shapes do not fit: torch's own checks say how"
Lengths = Sequence[int] | npt.NDArray[np.integer[Any]] | Tensor
EpisodeStarts = npt.NDArray[np.bool_] | Tensor
Ids = Sequence[Any] | npt.NDArray[np.integer[Any]] | Tensor


class Rows(NamedTuple):
    """What is said of the rows, checked.

    Attributes:
        lengths: Steps of each row, an int64 array [B], or a tensor; None for T everywhere.
        episode_starts: Marks of the first steps of episodes, bytes [T, B], or a bool tensor; None for none.
        episode_state: What an episode starts from, "zeros" or "h0".
    """

    lengths: Any = None
    episode_starts: Any = None
    episode_state: str = "zeros"


def check_rows(
    data: Tensor | PackedSequence,
    lengths: Lengths | None,
    episode_starts: EpisodeStarts | None,
    episode_state: str,
    batch_first: bool,
    *,
    as_tensors: bool,
) -> Rows:
    """Checks lengths and episode starts against the input that they belong to.

    Args:
        data: The input.
        lengths: Steps of each row, integers [B] in 0..T.
        episode_starts: True on the first steps of episodes, bool [T, B], or [B, T] with batch_first.
        episode_state: What an episode starts from.
        batch_first: Whether the input is [B, T, I].
        as_tensors: Whether to return tensors, whose numbers are left for the operation to check that gets them.

    Raises:
        TypeError: Lengths are no integers, or episode_starts no booleans.
        ValueError: They do not fit the input, which may be one that takes none.
    """
    check_choice("episode_state", episode_state, EPISODE_STATES)
    for name, given in (("lengths", lengths), ("episode_starts", episode_starts)):
        if given is not None:
            _check_padded(name, data)
            if jit_traces():
                raise ValueError(
                    f"{name} given while torch.jit traces, which takes them for constants: use torch.export"
                )
    if as_tensors:
        steps = None if lengths is None else _tensor("lengths", lengths, "integers")
        marks = None if episode_starts is None else _tensor("episode_starts", episode_starts, "bool")
        return Rows(steps, marks.T if batch_first and marks is not None else marks, episode_state)

    sizes: Sizes = {}
    if isinstance(data, Tensor) and data.dim() == 3:
        sizes = {letter: (data.shape[axis ^ batch_first], "input") for axis, letter in enumerate("TB")}
    numbers = None if lengths is None else check_lengths(_on_cpu(lengths), sizes)
    found = (
        None
        if episode_starts is None
        else check_episode_starts(_on_cpu(episode_starts), "B T" if batch_first else "T B", sizes)
    )
    return Rows(numbers, np.ascontiguousarray(found.T) if batch_first and found is not None else found, episode_state)


class Lookup(NamedTuple):
    """Inputs that are rows of a table.

    Attributes:
        table: The table [V, I].
        ids: The row that each step reads, int64 [T, B], [B, T] or [T], as the input would be laid out.
    """

    table: Tensor
    ids: Tensor

    def gathered(self) -> Tensor:
        """Returns the input, [T, B, I], [B, T, I] or [T, I]."""
        return embedding(self.ids.to(self.table.device), self.table)


def look_up(table: Any, ids: Ids, *, transformed: bool) -> tuple[Tensor, Lookup | None]:
    """Checks a table and the rows that are read of it.

    Args:
        table: What is given as input.
        ids: The row that each step reads.
        transformed: Whether torch transforms the call, which then sees the input itself, and numbers that cannot be
            looked at.

    Returns:
        The input; or what has its shape and kind and no numbers, with what native kernels look them up by.

    Raises:
        TypeError: The input is no tensor, or the ids are no integers.
        ValueError: The input is no table, or the ids have another number of axes or are outside of 0..V-1.
        IndexError: They are outside, under a transform.
    """
    if not isinstance(table, Tensor):
        hint = "its weight" if isinstance(table, Embedding) else "a tensor"
        raise TypeError(f"ids given with input a {type(table).__name__}, expected {hint}: a table [V, I]")
    if table.dim() != 2:
        raise ValueError(f"ids given with an input of {table.dim()} axes, expected 2: a table [V, I]")
    if isinstance(ids, PackedSequence):
        raise TypeError("ids is a PackedSequence, expected integers [T, B], with lengths")
    if transformed or jit_traces():
        return Lookup(table, _tensor("ids", ids, "integers").long()).gathered(), None
    values, (V, I) = np.asarray(_on_cpu(ids)), table.shape
    if values.ndim not in {1, 2}:
        raise ValueError(f"ids has {values.ndim} axes, expected 2, or 1 for a single sequence")
    numbers = torch.from_numpy(check_ids(values, "T B" if values.ndim == 2 else "T", {"V": (V, "input")}))
    lookup = Lookup(table, numbers)
    if unfit_tensor("input", table) or table.is_inference():  # which autograd does not keep
        return lookup.gathered(), None
    return table.new_empty(1, I).expand(*numbers.shape, I), lookup


def check_traceable(data: Tensor | PackedSequence, transform: str | None) -> None:
    """Checks that the gates of a call can be returned.

    Raises:
        ValueError: The input is packed, or torch transforms the call.
    """
    if isinstance(data, PackedSequence):
        raise ValueError(  # noqa: TRY004 - it is the combination that is wrong
            "return_trace given with a packed sequence, expected a padded tensor with lengths: traces are padded"
        )
    if transform:
        raise ValueError("return_trace given under a transform of torch, expected a call outside of it")


def misfit(module: RNNBase, data: Any, hx: Tensor | None) -> str | None:
    """Returns what keeps an input of these shapes off the native route, or None."""
    batch_sizes = None
    if isinstance(data, PackedSequence):
        data, batch_sizes = data.data, data.batch_sizes
    shape: tuple[int, ...] = data.shape
    axes, rows = 2, shape[:0]
    if batch_sizes is not None:
        rows = (int(batch_sizes[0]),)
    elif len(shape) == 3:
        axes, rows = 3, (shape[0 if module.batch_first else 1],)
    states = (module.num_layers * 2 if module.bidirectional else module.num_layers, *rows, module.hidden_size)
    fits = len(shape) == axes and shape[-1] == module.input_size and (hx is None or hx.shape == states)
    if not fits:
        return UNFIT
    return "input is empty" if 0 in shape else None


def _check_padded(name: str, data: Tensor | PackedSequence) -> None:
    if isinstance(data, PackedSequence):
        raise ValueError(  # noqa: TRY004 - it is the combination that is wrong
            f"{name} given with a packed sequence, expected a padded tensor: a packed sequence has its own rows"
        )
    if data.dim() != 3:
        raise ValueError(f"{name} given with an input of {data.dim()} axes, expected 3: several rows of steps")


def _on_cpu(values: Any) -> Any:
    return values.cpu() if isinstance(values, Tensor) else values


def _tensor(name: str, values: Any, kind: str) -> Tensor:
    tensor = values if isinstance(values, Tensor) else torch.as_tensor(values)
    is_bool = tensor.dtype is torch.bool
    if not (is_bool if kind == "bool" else not (is_bool or tensor.is_floating_point() or tensor.is_complex())):
        raise TypeError(f"{name} has dtype {str(tensor.dtype).removeprefix('torch.')}, expected {kind}")
    return tensor
