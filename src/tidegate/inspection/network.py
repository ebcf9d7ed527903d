"""What inspection asks of a network, which the classes of `tidegate.models` have, and one sequence as it reads it."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from tidegate.ops.trace import Trace
from tidegate.sequences.embedded import Embedded
from tidegate.sequences.recurrent import Recurrent
from tidegate.text.tokenizer import UNKNOWN, Words

Array = npt.NDArray[np.float32]


class Reading(NamedTuple):
    """One sequence as a network has read it. Whoever asks several questions about it reads it once.

    Attributes:
        embedded: Its vectors, and its words if it is a text.
        traces: The gates of every step, layer by layer, forward before reverse; none for a network without layers.
    """

    embedded: Embedded
    traces: tuple[Trace, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The T words, or "1", "2", … where the sequence is no text."""
        return words_of(self.embedded)


Source = str | npt.NDArray[Any] | Embedded | Reading
"""One sequence: a text, or vectors [T, I]; or what `embed` or `read` has made of it."""


class Part(Protocol):
    """A part of a model whose logits are added to those of the network, and shared among words by itself."""

    @property
    def title(self) -> str: ...  # noqa: D102 - what readers call it

    def logits(self, texts: Sequence[Words]) -> npt.NDArray[np.float64]:
        """Computes what it adds to the logits of texts, [B, C]."""
        ...

    def credits(self, text: Words) -> npt.NDArray[np.float64]:
        """Shares what it adds among the words of one text, [T, C]."""
        ...

    def logits_so_far(self, text: Words) -> npt.NDArray[np.float64]:
        """Computes what it adds after each word of one text, [T, C]."""
        ...


class Inspectable(Protocol):
    """A network that can be looked into: vectors, a recurrent stack, a summary and a linear head.

    Attributes:
        stack: The recurrent layers; None for the summaries without weights.
        summary: How outputs become a summary vector, see `summarize`.
        labels: Names of the C logits.
        head_weight: Of the head, float32 [C, F].
        head_bias: Of the head, float32 [C].
        rate: Growth factors of a compounding summary, [1] or [I]; None for others.
        cell_name: What the summary is called: a cell, "average" or "compound".
        has_probabilities: Whether the C outputs are logits of classes, and not numbers.
        ngrams: What adds to the logits beside the network; None if nothing does.
    """

    @property
    def stack(self) -> Recurrent | None: ...  # noqa: D102 - see above, and so below
    @property
    def summary(self) -> str: ...  # noqa: D102
    @property
    def labels(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def head_weight(self) -> Array: ...  # noqa: D102
    @property
    def head_bias(self) -> Array: ...  # noqa: D102
    @property
    def rate(self) -> Array | None: ...  # noqa: D102
    @property
    def cell_name(self) -> str: ...  # noqa: D102
    @property
    def has_probabilities(self) -> bool: ...  # noqa: D102
    @property
    def ngrams(self) -> Part | None: ...  # noqa: D102

    def embed(self, source: Any) -> Embedded:
        """Makes sequences of vectors from what the network reads."""
        ...

    def trace(self, source: Any) -> list[Trace]:
        """Returns every gate of every unit at every step, layer by layer, forward before reverse."""
        ...

    def outputs(self, x: Array, lengths: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """Runs the cell over a padded batch."""
        ...

    def summaries(self, rows: Sequence[npt.NDArray[np.integer[Any]]], table: Array) -> Array:
        """Summarises sequences that are given as rows of a table, [B, F]."""
        ...

    def summaries_so_far(self, x: Array, outputs: Array) -> Array:
        """Summarises every beginning of one sequence, [T, F]."""
        ...

    def head(self, summaries: Array) -> Array:
        """Applies the head, [B, C]."""
        ...

    def values_of(self, scores: Array) -> Array:
        """Turns outputs of the head into probabilities or numbers, [B, C]."""
        ...

    def order_of(self, scores: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """Says which of the outputs of one sequence each of the C answers is, [C]."""
        ...


class Reader(Inspectable, Protocol):
    """A network that reads texts."""

    @property
    def vocabulary(self) -> Iterable[str]: ...  # noqa: D102 - the words that it knows


def embed_single(model: Inspectable, source: Any) -> Embedded:
    """Embeds one sequence.

    Raises:
        TypeError: It is neither a text nor vectors.
        ValueError: It is several, or the vectors are of another size or not finite.
    """
    if isinstance(source, Reading):
        return source.embedded
    if not isinstance(source, str | np.ndarray | Embedded):
        raise TypeError(f"source is {source!r:.60}, expected one text (str) or vectors, an array [T, E]")
    embedded = model.embed(source)
    if len(embedded.lengths) != 1:
        raise ValueError(f"source has {len(embedded.lengths)} texts, expected one")
    return embedded


def read(model: Inspectable, source: Any) -> Reading:
    """Reads one sequence.

    Args:
        model: The network.
        source: One text, or vectors [T, E]; or what `read` has returned, which is passed on as it is.

    Raises:
        TypeError: It is neither a text nor vectors.
        ValueError: It is several, or the vectors are of another size or not finite.
    """
    if isinstance(source, Reading):
        return source
    embedded = embed_single(model, source)
    return Reading(embedded, tuple(model.trace(embedded)) if model.stack else ())


def stack_of(model: Inspectable) -> Recurrent:
    """Returns the recurrent layers of a network.

    Raises:
        ValueError: It has none.
    """
    if model.stack is None:
        raise ValueError(f"a model with the cell {model.cell_name!r} has no recurrent layer, expected one")
    return model.stack


def words_of(embedded: Embedded) -> tuple[str, ...]:
    """Names the steps of one sequence: by its words, or by their numbers from 1."""
    if embedded.tokens is None:
        return tuple(str(t + 1) for t in range(len(embedded.x)))
    return embedded.tokens[0]


def beside(
    model: Inspectable, embedded: Embedded, rows: Sequence[npt.NDArray[np.intp]] | None = None
) -> npt.NDArray[np.float64]:
    """Computes what is added to the logits of the network: 0 by a model that has no other part, or for vectors.

    Args:
        model: The network.
        embedded: One sequence.
        rows: The steps of it that are read, for each of B texts; None for one text of all steps.

    Returns:
        Logits, float64 [B, C].
    """
    text = _part_of(model, embedded)
    if text is None:
        return np.zeros((1 if rows is None else len(rows), len(model.labels)))
    part, words = text
    return part.logits([words] if rows is None else [words.take(row) for row in rows])


def beside_so_far(model: Inspectable, embedded: Embedded) -> npt.NDArray[np.float64]:
    """Computes what is added to the logits of the network after each word of one text, float64 [T, C]."""
    text = _part_of(model, embedded)
    return text[0].logits_so_far(text[1]) if text else np.zeros((len(embedded.x), len(model.labels)))


def credits_beside(model: Inspectable, embedded: Embedded) -> npt.NDArray[np.float64] | None:
    """Shares what is added to the logits of the network among words, float64 [T, C]; None if nothing is."""
    text = _part_of(model, embedded)
    return text[0].credits(text[1]) if text else None


def _part_of(model: Inspectable, embedded: Embedded) -> tuple[Part, Words] | None:
    """Returns what counts beside the network, and the one text as it reads it."""
    if model.ngrams is None or embedded.ids is None or embedded.tokens is None:
        return None
    (ids,), (words,) = embedded.ids, embedded.tokens
    unknown = (word.lower() for word, i in zip(words, ids, strict=True) if i == UNKNOWN)
    return model.ngrams, Words(ids, tuple(unknown))
