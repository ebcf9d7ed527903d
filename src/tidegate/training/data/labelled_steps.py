"""Sequences with a label at each step: what is held out of them, and what is said of them without a memory."""

from collections.abc import Callable, Collection, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.sequences.features import LAYOUTS, Features, steps_first
from tidegate.sequences.padding import Sequences, as_sequences
from tidegate.training.data.corpus import Corpus, Integers
from tidegate.training.data.examples import VALIDATION, SequenceExamples
from tidegate.training.data.labelled import Labelled
from tidegate.training.data.labels import Targets, targets_for
from tidegate.training.data.next_steps import LONGEST, hold_out_steps

Array = npt.NDArray[np.floating[Any]]


def prepare_labelled_steps(
    sequences: Sequences,
    labels: Sequence[Sequence[Any]],
    *,
    task: str = "labelling",
    validation: float | tuple[Sequences, Sequence[Sequence[Any]]] = VALIDATION,
    layout: str = LAYOUTS[0],
    seed: int = 0,
) -> SequenceExamples:
    """Holds out a part of sequences whose steps have a label each, and scales the features.

    Sequences of more than 200 steps are trained on in parts, each of which starts anew, and judged whole.

    Example:
        >>> steps = np.arange(12.0).reshape(4, 3, 1)
        >>> examples = prepare_labelled_steps(steps, [["low", "low", "high"]] * 4, validation=0.25)
        >>> examples.labels, examples.train.targets.tolist()
        (('high', 'low'), [1, 1, 0, 1, 1, 0, 1, 1, 0])

    Args:
        sequences: Numbers [T, K] for each of B sequences, or one array [B, T, K]; NaN where a value is missing.
        labels: Of each sequence the labels of its T steps.
        task: "labelling".
        validation: The share to hold out: of the sequences, or, if they are too few, the end of each; or other
            sequences and labels to judge by; 0 to train on all, and to judge by the same.
        layout: As in `prepare_sequences`, and so is the seed.
        seed: See there.

    Raises:
        TypeError: The sequences are no real numbers, the labels of one are no list, or a label is not hashable.
        ValueError: As in `prepare_sequences`, or a sequence has more labels than steps, or fewer.
    """
    arrays, width = as_sequences(steps_first(sequences, layout))
    _check(labels, arrays, "the training part")
    named = targets_for(list(chain.from_iterable(labels)), task)
    targets = _numbers(named, arrays, labels, "the training part")
    if isinstance(validation, tuple):
        held = as_sequences(steps_first(validation[0], layout), width)[0]
        pairs = list(zip(arrays, targets, strict=True))
        _check(validation[1], held, "the validation part")
        others = list(zip(held, _numbers(named, held, validation[1], "the validation part"), strict=True))
        rows = np.arange(len(arrays))
    else:
        pairs, others, rows = _held_out(arrays, targets, validation, seed)
    features = Features.of([x for x, _ in pairs])
    facts = vars(named) | {"rows": rows, "features": features, "layout": layout}
    train = _labelled(pairs, features, LONGEST)
    counts = np.bincount(train.targets, minlength=len(named.labels))
    if not counts.all():
        raise ValueError(
            f"the label {named.labels[int(counts.argmin())]!r:.60} is in the validation part only, expected a step to "
            f"train on: leave it out, or give a file or sequences to judge by"
        )
    return SequenceExamples(**facts, train=train, validation=_labelled(others, features, None))


def _check(labels: Sequence[Sequence[Any]], arrays: list[Array], source: str) -> None:
    """Checks that each sequence has labels, as many as steps.

    Raises:
        TypeError: The labels of a sequence are one label, or no collection.
        ValueError: They are more than its steps, or fewer.
    """
    if len(labels) != len(arrays):
        raise ValueError(f"{source}: found labels of {len(labels)} sequences, expected {len(arrays)}")
    for b, (each, steps) in enumerate(zip(labels, map(len, arrays), strict=True)):
        if isinstance(each, str) or not isinstance(each, Collection):
            wanted = f"a list, a tuple or an array of {steps} labels, one for each step"
            raise TypeError(f"{source}: the labels of sequence {b + 1} are {each!r:.60}, expected {wanted}")
        if len(each) != steps:
            there = f"sequence {b + 1} has {len(each)} labels for {steps} steps"
            raise ValueError(f"{source}: {there}, expected one for each")


def _numbers(named: Targets, arrays: list[Array], labels: Sequence[Sequence[Any]], source: str) -> list[Integers]:
    """Turns the labels of steps into indices of classes, int64 [T] of each sequence.

    Raises:
        ValueError: One is no class.
    """
    lengths = [len(x) for x in arrays]
    numbers = named.numbers_of_steps(list(chain.from_iterable(labels)), source, lengths)
    return np.split(numbers, np.cumsum(lengths)[:-1])


def _held_out(
    arrays: list[Array], targets: list[Integers], share: float, seed: int
) -> tuple[list[Any], list[Any], Integers]:
    """Holds out sequences with their labels, or the ends of them."""
    bounds = np.cumsum([0, *map(len, arrays)])
    places = [np.arange(first, last) for first, last in pairwise(bounds)]
    steps, labels = np.concatenate(arrays), np.concatenate(targets)
    kept, held, rows = hold_out_steps(places, share, 0, seed)
    parts = [[(steps[place], labels[place]) for place in part] for part in (kept, held)]
    return parts[0], parts[1], rows


def _labelled(pairs: list[Any], features: Features, longest: int | None) -> Labelled:
    """Scales what is read, fills its gaps, and cuts it into parts of the longest length."""
    corpus = Corpus.from_rows([features.read(f"sequences[{b}]", x) for b, (x, _) in enumerate(pairs)])
    if not corpus.lengths.any():
        raise ValueError("there is no step, expected one or more with a label")
    parts = corpus.cut(longest or int(corpus.lengths.max()))
    return Labelled(parts, np.concatenate([y for _, y in pairs]), ahead=True)


def without_memory(examples: SequenceExamples, lagged: Callable[[Corpus], Array]) -> dict[str, Any]:
    """Judges what is said of steps without a network: the frequency of each label, and a linear model of some steps.

    The linear model is Fisher's: labels are normal distributions of what it reads, with one covariance.

    Args:
        examples: What to fit to, and what to judge by.
        lagged: Lays steps beside each other that it reads, [N, F].

    Returns:
        The report of each by its name.
    """
    y, C = examples.train.targets, len(examples.labels)
    counts = np.bincount(y, minlength=C)
    prior = np.log(counts / counts.sum())
    x, held = lagged(examples.train.corpus).astype(np.float64), lagged(examples.validation.corpus).astype(np.float64)
    means = np.stack([x[y == c].mean(axis=0) for c in range(C)])
    inside = x - means[y]
    covariance = inside.T @ inside / len(x)
    covariance[np.diag_indices(len(covariance))] += 1e-3 * np.diag(covariance).mean() + 1e-9
    weights = np.linalg.solve(covariance, means.T)
    scores = held @ weights - np.einsum("cf,fc->c", means, weights) / 2 + prior
    found = {"frequency": np.broadcast_to(prior, scores.shape), "linear": scores}
    judged, aim = examples.validation.targets, examples.aim
    return {name: aim.score(judged, aim.values(each, examples.labels), examples.labels) for name, each in found.items()}
