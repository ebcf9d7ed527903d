"""Data frames and data sets of other libraries as examples: in memory if they fit, otherwise on a disk."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from tidegate.data.series.apart import Apart, TableApart
from tidegate.data.series.listed import sequences_of
from tidegate.data.series.long import LongTable
from tidegate.data.series.roles import Asked, Roles, find_roles, reads_as_series
from tidegate.data.series.table import looks_of_block, whole
from tidegate.data.tables.columns import column_of, guess_columns
from tidegate.data.tables.rows import Block
from tidegate.data.tables.values import plain_values, text_of
from tidegate.models.tasks import TASKS
from tidegate.training.data.examples import Examples, prepare_sequences, prepare_texts
from tidegate.training.data.memory import memory_of
from tidegate.training.data.spooled.gathered import Part, Plan
from tidegate.training.data.spooled.preparing import spool_sequences, spool_texts
from tidegate.training.data.vocabulary import HasVector, vocabulary_limits

OPTIONS = ("text", "key", "time", "features", "memory")
"""Settings of `fit` that say what a frame holds, and how much of it may be in memory."""

_OF_ARRAYS = ("layout", "frontend")  # settings of `fit` that say what arrays hold

_ROWS = 4096  # of a block
_GROWS = 10  # bytes in memory for one of Arrow, most of them of what a training makes of it
_PARTS = 64  # of a long table that does not fit into memory


def blocks_of(data: Any) -> Iterator[Block] | None:
    """Reads a data frame block by block; None if it is none.

    Args:
        data: A frame of polars, also a lazy one, of pandas, or of any library that has Arrow's protocol and columns; or
            a `Dataset` or `IterableDataset` of Hugging Face's `datasets`.

    Raises:
        ImportError: pyarrow is missing.
    """
    if hasattr(data, "collect_batches"):  # a lazy frame of polars
        return _columns(batch for batch in data.collect_batches(chunk_size=_ROWS, maintain_order=True))
    if type(data).__module__.partition(".")[0] == "datasets":
        return _columns(data.with_format("arrow").iter(batch_size=_ROWS))
    if hasattr(data, "__arrow_c_stream__") and (hasattr(data, "columns") or hasattr(data, "column_names")):
        return _columns([data])
    return None


def _columns(frames: Iterable[Any]) -> Iterator[Block]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - only who has data frames needs it
    except ImportError as error:
        raise ImportError("data frames need pyarrow: pip install 'tidegate[train]'") from error
    for frame in frames:
        for batch in pa.table(frame).to_batches(max_chunksize=_ROWS):
            if batch.num_rows:
                # pandas hands over the index of some rows as a column, which is none of the user's
                names = [name for name in batch.schema.names if not name.startswith("__index_level_")]
                yield {name: batch.column(name) for name in names}


class _Meant(NamedTuple):
    """What the columns of a frame are: texts, or sequences of numbers.

    Attributes:
        labels: The columns of what is to be predicted.
        text: The column of texts; None for sequences.
        roles: Of the columns of sequences; None for texts.
    """

    labels: tuple[str, ...]
    text: str | None
    roles: Roles | None

    def parts(self, blocks: Iterable[Block], apart: Apart | None) -> Iterator[Part]:
        """Takes sequences and labels out of blocks; those of a long table at the end.

        Raises:
            ValueError: A cell holds something else.
        """
        if self.roles and self.roles.long:
            table = LongTable(self.roles) if apart is None else TableApart(self.roles, apart)
            for block in blocks:
                table.add(block)
            for found in table.parts() if isinstance(table, TableApart) else [whole(table)]:
                yield found.sequences, self._labels(found.labels)
            return
        first = 1
        for block in blocks:
            if self.roles:
                sequences: Sequence[Any] = sequences_of(block, self.roles.features, first)
            else:
                sequences = [text_of(value) for value in self._column(block, self.text or "")]
            yield sequences, self._labels({name: self._column(block, name) for name in self.labels})
            first += len(sequences)

    def _column(self, block: Block, name: str) -> Sequence[Any]:
        found = column_of(
            {column: plain_values(block[column]) for column in {name, name.partition(".")[0]} & set(block)}, name
        )
        if found is None:
            raise ValueError(f"there is no column {name!r}, only {', '.join(map(repr, block))}")
        return found

    def _labels(self, columns: Mapping[str, Sequence[Any]]) -> Any:
        [first, *others] = (columns[name] for name in self.labels)
        return np.stack([first, *others], axis=1) if others else list(first)


def frame_examples(
    blocks: Iterator[Block],
    labels: Any,
    settings: dict[str, Any],
    options: dict[str, Any],
    limits: Mapping[str, Any],
    has_vector: HasVector | None,
) -> Examples:
    """Makes examples of a data frame.

    Args:
        blocks: What `blocks_of` reads.
        labels: The column of labels, or several columns of numbers; None to guess it.
        settings: Of `fit`; those of `OPTIONS` are taken out, and what columns hold is put in, see `columns_of`.
        options: The task, the seed, and the validation: a share, another frame, or (frame, labels).
        limits: Of the vocabulary, for texts.
        has_vector: As in `vocabulary_limits`.

    Raises:
        TypeError: The labels are no names of columns.
        ValueError: A column is not there or cannot be guessed, a cell holds something else, the task or a setting is
            not for frames, or not for those that do not fit into memory, or as for `prepare_texts`.
    """
    _check(options["task"], settings)
    asked = {name: settings.pop(name, None) for name in OPTIONS}
    memory = memory_of(asked.pop("memory"))
    first = next(blocks, None)
    if first is None:
        raise ValueError("the frame has no rows")
    meant = _meaning(first, _names(labels, "labels", first), asked)
    others = _others(options["validation"], meant)
    start, ended = _gathered(chain([first], blocks), memory)
    sizes: Mapping[str, Any] = vocabulary_limits(limits, has_vector) if meant.text else {}
    if ended:
        if others is not None:
            options = options | {"validation": _joined(others(None))}
        prepare: Any = prepare_texts if meant.text else prepare_sequences
        examples: Examples = prepare(*_joined(meant.parts(start, None)), **sizes, **options)
    else:
        apart = Apart(_PARTS)
        _check_large(options["task"], settings, memory)
        if others is not None:
            options = options | {"validation": others(apart)}
        plan = Plan(**options, memory=memory)
        spool: Any = spool_texts if meant.text else spool_sequences
        examples = spool(meant.parts(chain(start, blocks), apart), plan, **sizes)
    if meant.roles:
        settings |= {**limits, **columns_of(meant.roles)}  # limits, which no sequence has, are refused by name
    named = examples.task == "regression" and len(examples.labels) == len(meant.labels)
    return replace(examples, labels=meant.labels) if named else examples


def columns_of(roles: Roles) -> dict[str, Any]:
    """Says for the model where a table has its sequences and labels, as `SequenceConfig` does."""
    target = roles.labels[0] if len(roles.labels) == 1 else None
    return {"columns": roles.features, "key": roles.key, "time": roles.time, "target": target}


def _check(task: str, settings: Mapping[str, Any]) -> None:
    """Refuses what is not for frames."""
    if TASKS[task].each_step:
        taken = "takes sequences of numbers as arrays and texts as a list"
        raise ValueError(f"the task is {task!r}, which {taken}, but the data is a frame")
    for name in _OF_ARRAYS:
        if settings.get(name) is not None:
            raise ValueError(f"{name} is given, which says what arrays hold, but the data is a frame")


def _check_large(task: str, settings: Mapping[str, Any], memory: int) -> None:
    """Refuses what is not for frames that do not fit into memory."""
    what = f"the task is {task!r}" if TASKS[task].truth not in {"class", "numbers"} else ""
    what = what or "sample_weight is given" * (settings.get("sample_weight") is not None)
    if what:
        raise ValueError(
            f"{what}, for which a frame has to fit into memory, but it needs more than the {memory / 1e9:.1f} GB that "
            f"may be used: allow more with memory="
        )


def _names(labels: Any, what: str, block: Block | None = None) -> tuple[str, ...]:
    """Reads the names of columns; none for None."""
    if labels is None or isinstance(labels, str):
        return () if labels is None else (labels,)
    if not isinstance(labels, list | tuple) or not all(isinstance(name, str) for name in labels):
        kind = type(labels).__name__
        raise TypeError(f"{what} is of type {kind}, expected the name of a column of the frame, or a list of names")
    known = tuple(block or labels)
    for name in labels:
        if not {name, name.partition(".")[0]} & set(known):
            columns = ", ".join(map(repr, known))
            raise ValueError(f"{what} is a list with {name!r:.60}, expected names of columns of the frame: {columns}")
    return tuple(labels)


def _others(held: Any, meant: _Meant) -> Callable[[Apart | None], Iterator[Part]] | None:
    """Finds the frame to judge by, whose labels may have other names; None for a share.

    Raises:
        TypeError: Its labels are no names of columns.
        ValueError: It is no frame, or the number of its columns of labels is another.
    """
    if isinstance(held, int | float):
        return None
    frame, names = held if isinstance(held, tuple) and len(held) == 2 else (held, None)
    blocks = blocks_of(frame)
    if blocks is None:
        raise ValueError("validation holds data of another kind: give a share, or a frame with the same columns")
    labels = _names(names, "the second of validation") or meant.labels
    if len(labels) != len(meant.labels):
        raise ValueError(f"validation names {len(labels)} columns of labels, but there are {len(meant.labels)}")
    judged = meant._replace(labels=labels, roles=meant.roles and replace(meant.roles, labels=labels))
    return lambda apart: judged.parts(blocks, apart)


def _meaning(block: Block, names: tuple[str, ...], asked: Mapping[str, Any]) -> _Meant:
    """Finds out what the columns are by the first rows."""
    numbers = asked["key"] or asked["time"] or asked["features"]
    looks = looks_of_block(block)
    if numbers or (asked["text"] is None and reads_as_series(looks)):
        features = asked["features"] or ()
        features = (features,) if isinstance(features, str) else tuple(features)
        known = Asked(features=features, key=asked["key"], time=asked["time"], labels=names)
        roles = find_roles(looks, known, need_label=True)
        return _Meant(roles.labels, None, roles)
    sample = {name: plain_values(values) for name, values in block.items()}
    text, label = guess_columns(sample, asked["text"], names[0] if names else None, need_label=True)
    return _Meant((label or "", *names[1:]), text, None)


def _gathered(blocks: Iterable[Block], memory: int) -> tuple[list[Block], bool]:
    """Reads as many blocks as fit into memory, and says whether these are all."""
    found: list[Block] = []
    size = 0
    for block in blocks:
        found.append(block)
        size += sum(column.nbytes for column in block.values())
        if _GROWS * size > memory:
            return found, False
    return found, True


def _joined(parts: Iterable[Part]) -> tuple[list[Any], Any]:
    """Puts parts behind each other."""
    sequences: list[Any] = []
    labels: list[Any] = []
    for some, theirs in parts:
        sequences += some
        labels += list(theirs)
    return sequences, np.array(labels) if labels and isinstance(labels[0], np.ndarray) else labels
