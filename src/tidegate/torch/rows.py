"""What is said of the rows of a call beside their numbers, checked against the input: lengths, episodes, a table."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import Embedding
from torch.nn.functional import embedding
from torch.nn.utils.rnn import PackedSequence

from tidegate.ops.batch import EPISODE_STATES, Batch, check_batch, dense_batch
from tidegate.ops.checks import Sizes, check_choice, check_episode_starts, check_ids, check_lengths
from tidegate.torch.transforms import jit_traces, unfit_tensor

Lengths = Sequence[int] | npt.NDArray[np.integer[Any]] | Tensor
EpisodeStarts = npt.NDArray[np.bool_] | Tensor
Ids = Sequence[Any] | npt.NDArray[np.integer[Any]] | Tensor


class RowArguments(NamedTuple):
    """What a caller says of the rows, as it was given.

    Attributes:
        lengths: Steps of each row, integers [B] in 0..T.
        episode_starts: True on the first steps of episodes, bool [T, B], or [B, T] with batch_first.
        episode_state: What an episode starts from.
    """

    lengths: Lengths | None
    episode_starts: EpisodeStarts | None
    episode_state: str


def check_rows(data: Tensor | PackedSequence, rows: RowArguments, batch_first: bool, *, as_tensors: bool) -> Batch:
    """Checks what is said of the rows of a call.

    Args:
        data: The input [T, B, I], [B, T, I] with batch_first, [T, I], or packed.
        rows: What is said of its rows.
        batch_first: Whether the input is [B, T, I].
        as_tensors: Whether the batch is to hold tensors, whose numbers are left for the operation to check that gets
            them: torch transforms the call.

    Raises:
        TypeError: Lengths are no integers, or episode_starts no booleans.
        ValueError: They do not fit the input, which may be one that takes none; or the batch sizes of a packed sequence
            increase or do not sum to the rows of its data.
    """
    lengths, episode_starts, episode_state = rows
    check_choice("episode_state", episode_state, EPISODE_STATES)
    if lengths is not None:
        _check_padded("lengths", data)
    if episode_starts is not None:
        _check_padded("episode_starts", data)
    if isinstance(data, PackedSequence):
        if as_tensors:  # torch's own code takes it as it is
            return Batch(0, 0)
        return check_batch({"N": (data.data.shape[0], "input")}, batch_sizes=data.batch_sizes.numpy())
    T, B = (*data.shape, 1, 1)[:2]  # if that is too short, torch's own checks say so
    if data.dim() == 2:  # one sequence is a batch of one
        B = 1
    elif batch_first:
        T, B = B, T
    if lengths is None and episode_starts is None:
        kept = not (as_tensors or torch.compiler.is_compiling())  # which takes no notice of the cache, and warns
        return dense_batch(T, B, episode_state) if kept else Batch(T, B, episode_state=episode_state)
    if as_tensors:
        steps = None if lengths is None else _tensor("lengths", lengths, "integers")
        marks = None if episode_starts is None else _tensor("episode_starts", episode_starts, "bool")
        marks = marks.T if batch_first and marks is not None else marks
        return Batch(T, B, steps, None, marks, episode_state)  # type: ignore[arg-type]

    sizes: Sizes = {"T": (T, "input"), "B": (B, "input")}
    numbers = None if lengths is None else check_lengths(_on_cpu(lengths), sizes)
    starts = None
    if episode_starts is not None:
        starts = check_episode_starts(_on_cpu(episode_starts), "B T" if batch_first else "T B", sizes)
        starts = np.ascontiguousarray(starts.T) if batch_first else starts
    return Batch(T, B, numbers, None, starts, episode_state)


class Lookup(NamedTuple):
    """Inputs that are rows of a table.

    Attributes:
        table: The table [V, I].
        ids: The row that each step reads, int64 [T, B], [B, T] or [T], as the input would be laid out.
        V: Rows of the table when the ids were checked: another thread may give it other ones.
    """

    table: Tensor
    ids: Tensor
    V: int

    def gathered(self) -> Tensor:
        """Returns the input, [T, B, I], [B, T, I] or [T, I]."""
        return embedding(self.ids.to(self.table.device), self.table)

    def add_to(self, batch: Batch, batch_first: bool) -> Batch:
        """Returns the batch with the ids in it."""
        ids = self.ids.numpy().ravel("F" if batch_first else "C")
        return Batch(batch.T, batch.B, batch.lengths, None, batch.episode_starts, batch.episode_state, ids, self.V)


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
        return Lookup(table, _tensor("ids", ids, "integers").long(), table.shape[0]).gathered(), None
    values, (V, I) = np.asarray(_on_cpu(ids)), table.shape
    if values.ndim not in {1, 2}:
        raise ValueError(f"ids has {values.ndim} axes, expected 2, or 1 for a single sequence")
    numbers = torch.from_numpy(check_ids(values, "T B" if values.ndim == 2 else "T", {"V": (V, "input")}))
    lookup = Lookup(table, numbers, V)
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


def _check_padded(name: str, data: Tensor | PackedSequence) -> None:
    if isinstance(data, PackedSequence):
        raise ValueError(  # noqa: TRY004 - it is the combination that is wrong
            f"{name} given with a packed sequence, expected a padded tensor: a packed sequence has its own rows"
        )
    if data.dim() != 3:
        raise ValueError(f"{name} given with an input of {data.dim()} axes, expected 3: several rows of steps")
    if jit_traces():
        raise ValueError(f"{name} given while torch.jit traces, which takes them for constants: use torch.export")


def _on_cpu(values: Any) -> Any:
    return values.cpu() if isinstance(values, Tensor) else values


def _tensor(name: str, values: Any, kind: str) -> Tensor:
    tensor = values if isinstance(values, Tensor) else torch.as_tensor(values)
    is_bool = tensor.dtype is torch.bool
    if not (is_bool if kind == "bool" else not (is_bool or tensor.is_floating_point() or tensor.is_complex())):
        raise TypeError(f"{name} has dtype {str(tensor.dtype).removeprefix('torch.')}, expected {kind}")
    return tensor
