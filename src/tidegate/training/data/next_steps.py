"""Sequences whose next steps are to be predicted: what is held out of them, and what follows each step."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tidegate.ops.checks import check_count
from tidegate.sequences.ahead import are_binary, names_ahead, steps_ahead
from tidegate.sequences.features import LAYOUTS, Features, steps_first
from tidegate.sequences.padding import Sequences, as_sequences
from tidegate.training.data.corpus import Corpus
from tidegate.training.data.examples import VALIDATION, SequenceExamples
from tidegate.training.data.labelled import Labelled
from tidegate.training.data.sampling import hold_out

Array = npt.NDArray[np.floating[Any]]
Steps = TypeVar("Steps", Array, str)

LONGEST = 200  # steps of a part: a few long sequences would make a few steps of training, and gradients of long walks


def prepare_steps(
    sequences: Sequences,
    *,
    task: str = "next",
    horizon: int = 1,
    validation: float | Sequences = VALIDATION,
    layout: str = LAYOUTS[0],
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> SequenceExamples:
    """Holds out a part of sequences of numbers, scales the features, and lays beside each step what follows it.

    Features that are all 0 or 1 are not scaled, and the task is "next-binary" then. Sequences of more than 200 steps
    are trained on in parts, each of which starts anew, and judged whole.

    Args:
        sequences: Numbers [T, K] for each of B sequences, or one array [B, T, K], without gaps. Those of `horizon`
            steps or fewer are left out, as nothing follows.
        task: "next", or "next-binary" to refuse anything else than 0 and 1.
        horizon: How many steps to predict after each step.
        validation: The share to hold out: of the sequences, or, if they are too few, the end of each; or other
            sequences to judge by; 0 to train on all, and to judge by the same.
        layout: As in `prepare_sequences`.
        names: Names of the K features; None for "0", "1", ….
        seed: Seed of the choice of what is held out.

    Raises:
        TypeError: The sequences are no real numbers.
        ValueError: A number is missing or infinite, a sequence has another number of features, or none is longer than
            the horizon.
    """
    horizon = check_count("horizon", horizon)
    arrays, width = as_sequences(steps_first(sequences, layout))
    _check_whole(arrays, "sequences")
    if isinstance(validation, int | float):
        kept, held, rows = hold_out_steps(arrays, validation, horizon, seed)
    else:
        kept, rows = arrays, np.arange(len(arrays))
        held = as_sequences(steps_first(validation, layout), width)[0]
        _check_whole(held, "validation")
    binary = are_binary(kept) and are_binary(held)
    if task == "next-binary" and not binary:
        raise ValueError("the task is 'next-binary', but the sequences have other numbers than 0 and 1, or one feature")
    features = Features.of(kept)
    if binary:
        features = Features(np.zeros(width, np.float32), np.ones(width, np.float32))
    return SequenceExamples(
        labels=names_ahead(tuple(names or map(str, range(width))), horizon),
        task="next-binary" if binary else "next",
        train=_labelled(_cut(kept, horizon), features, horizon),
        validation=_labelled(held, features, horizon),
        rows=rows,
        features=features,
        layout=layout,
        wholes=np.cumsum([0, *(len(x) - horizon for x in kept if len(x) > horizon)], dtype=np.int64),
    )


def hold_out_steps(
    arrays: list[Steps], share: float, horizon: int, seed: int
) -> tuple[list[Steps], list[Steps], npt.NDArray[np.int64]]:
    """Holds out sequences, or the ends of them if they are too few, and says which sequences are trained on.

    Args:
        arrays: Sequences that can be cut, arrays [T, K] or texts.
        share: The share to hold out; 0 to train on all, and to judge by the same.
        horizon: The steps that are foreseen, which each part needs beside one to read; 0 where each has a label.
        seed: Of the choice.

    Raises:
        ValueError: The share is no such number, or a sequence is too short.
    """
    rows = np.arange(len(arrays))
    if share == 0:
        return arrays, arrays, rows
    if share * len(arrays) >= 1:
        chosen = hold_out(np.zeros(len(arrays), np.int64), share, np.random.default_rng(seed))
        kept, held = ([arrays[b] for b in each] for each in chosen)
        return kept, held, chosen[0]
    if not 0 < share < 1:
        raise ValueError(f"the validation share is {share}, expected a number above 0 and below 1")
    ends = [len(x) - max(horizon + 1, round(share * len(x))) for x in arrays]
    if min(ends) <= horizon:
        shortest = min(map(len, arrays))
        raise ValueError(
            f"the shortest of {len(arrays)} sequences has {shortest} steps, of which {share:.0%} cannot be held out at "
            f"the end: give longer ones, a larger share, or others to judge by"
        )
    pairs = [(x[:end], x[end:]) for x, end in zip(arrays, ends, strict=True)]
    return [first for first, _ in pairs], [last for _, last in pairs], rows


def _cut(arrays: list[Array], horizon: int) -> list[Array]:
    """Cuts long sequences into parts, which overlap by what is foreseen, so that each step is read once."""
    starts = ((x, start) for x in arrays for start in range(0, max(1, len(x) - horizon), LONGEST))
    return [x[start : start + LONGEST + horizon] for x, start in starts]


def _labelled(arrays: list[Array], features: Features, horizon: int) -> Labelled:
    """Scales what is read, and lays beside it what follows, in the units in which it was given."""
    longer = [x for x in arrays if len(x) > horizon]
    if not longer:
        longest = max(map(len, arrays), default=0)
        raise ValueError(f"the longest sequence has {longest} steps, expected more than the horizon, {horizon}")
    corpus = Corpus.from_rows(features.read("sequences", x[: len(x) - horizon]) for x in longer)
    targets = np.concatenate([steps_ahead(x, horizon) for x in longer]).astype(np.float32)
    return Labelled(corpus, targets, ahead=True)


def _check_whole(arrays: list[Array], name: str) -> None:
    """Checks that no number is missing or infinite.

    Raises:
        ValueError: One is.
    """
    for b, array in enumerate(arrays):
        wrong = ~np.isfinite(array)
        if wrong.any():
            step, feature = map(int, np.argwhere(wrong)[0])
            raise ValueError(
                f"{name}[{b}] has {array[step, feature]} at step {step}, feature {feature}, expected a number: to "
                f"predict steps, fill gaps before"
            )
