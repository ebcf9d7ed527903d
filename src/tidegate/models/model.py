"""A trained text classifier without PyTorch: texts in, labels, probabilities and summary vectors out."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.models.config import Config, format_object, parse_object
from tidegate.models.file import reading, write
from tidegate.ops.checks import Sizes, check
from tidegate.ops.trace import Trace
from tidegate.sequences.embedded import Embedded, softmax
from tidegate.sequences.recurrent import Recurrent
from tidegate.sequences.summaries import batches, compounded, pad, summarize, summarize_so_far
from tidegate.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int32]

TEXTS_PER_PART = 2048


class Model:
    """A trained text classifier: embedding, recurrent stack, summary, linear head.

    It needs numpy and the native kernels only. The result for a text does not depend on the other texts of a call.
    What takes texts takes any collection of them, and raises TypeError for one text alone and for what is no text.

    Example:
        A model that averages its words, one number each, made by hand:

        >>> tokenizer = Tokenizer.train(["a fine film", "a dull film"], vocab_size=100, min_frequency=1)
        >>> config = Config(cell="average", labels=("bad", "good"), vocab_size=len(tokenizer), embedding_size=1)
        >>> feelings = {"fine": 2.0, "dull": -2.0}
        >>> arrays = {
        ...     "embedding.weight": np.array([[feelings.get(word, 0)] for word in tokenizer.vocab], np.float32),
        ...     "head.weight": np.array([[-1], [1]], np.float32),
        ...     "head.bias": np.zeros(2, np.float32),
        ... }
        >>> model = Model(config, tokenizer, arrays)
        >>> model.predict(["fine, fine!", "What a dull film."]).tolist()
        ['good', 'bad']

    Attributes:
        config: Cell, sizes, summary and labels.
        tokenizer: What turns a text into word ids.
        arrays: float32 arrays by the names of the torch module that trained them, read-only.
        metrics: What training measured, by name.
        versions: The versions of the packages that trained it, by name.
        stack: The recurrent layers; None for the summaries without weights.
        summary: How outputs become a summary vector: that of the configuration; for the cells "average" and "compound"
            it is the mean and the last of theirs.
    """

    def __init__(
        self,
        config: Config,
        tokenizer: Tokenizer,
        arrays: Mapping[str, npt.NDArray[Any]],
        metrics: Mapping[str, Any] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Checks the parts against each other, copies the arrays, and packs the weights for the kernels.

        Args:
            config: As the attribute, and so is the tokenizer.
            arrays: `embedding.weight` [V, E], `rnn.weight_ih_l0` [G·H, E] and what else the stack has, `rate` [1] or
                [E] for "compound", `head.weight` [C, F], `head.bias` [C]; float32.
            metrics: Anything that JSON holds.
            versions: None for the version of tidegate at hand.

        Raises:
            TypeError: An array is not float32.
            ValueError: An array is missing, left over, of a wrong shape or not finite, or the tokenizer has another
                number of words than the embedding.
        """
        config.check_arrays(arrays)
        if len(tokenizer) != config.vocab_size:
            raise ValueError(f"the tokenizer has {len(tokenizer)} words, expected vocab_size = {config.vocab_size}")
        self.config, self.tokenizer = config, tokenizer
        self.metrics = dict(metrics or {})
        self.versions = dict(versions or {"tidegate": _own_version()})
        self.arrays = {name: _frozen(name, arrays[name]) for name in config.letters()}
        stack = {name.removeprefix("rnn."): array for name, array in self.arrays.items() if name.startswith("rnn.")}
        self.stack = Recurrent(stack, config.recurrent_cell, config.summary) if stack else None
        self.summary = {"average": "mean", "compound": "last"}.get(config.cell, config.summary)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.config.labels

    @property
    def head_weight(self) -> Array:
        """Weights of the head, float32 [C, F]."""
        return self.arrays["head.weight"]

    @property
    def head_bias(self) -> Array:
        """Bias of the head, float32 [C]."""
        return self.arrays["head.bias"]

    @property
    def rate(self) -> Array | None:
        """Growth factors of "compound", float32 [1] or [E]; None for other cells."""
        return self.arrays.get("rate")

    @property
    def cell_name(self) -> str:
        """The cell, "average" or "compound"."""
        return self.config.cell

    @property
    def vocabulary(self) -> list[str]:
        """The words that it knows."""
        return self.tokenizer.vocab

    def predict(self, texts: Iterable[str]) -> npt.NDArray[np.object_]:
        """Names the most probable class of each text.

        Args:
            texts: B texts.

        Returns:
            Labels, an array of `str` objects [B].
        """
        labels = np.array(self.config.labels, dtype=object)
        chosen: npt.NDArray[np.object_] = labels[self.scores(texts).argmax(axis=1)]
        return chosen

    def predict_proba(self, texts: Iterable[str]) -> Array:
        """Computes the probability of each class.

        Args:
            texts: B texts.

        Returns:
            Probabilities, float32 [B, C], in the order of `config.labels`; each row sums to 1.
        """
        return softmax(self.scores(texts))

    def scores(self, texts: Iterable[str]) -> Array:
        """Computes the logits, whose softmax are the probabilities.

        Args:
            texts: B texts.

        Returns:
            Logits, float32 [B, C].
        """
        return self.head(self.encode(texts))

    def encode(self, texts: Iterable[str]) -> Array:
        """Summarises each text by one vector: what the head sees.

        Args:
            texts: B texts.

        Returns:
            Summary vectors, float32 [B, F].
        """
        return self.summaries(self._ids(_as_texts(texts)), self.arrays["embedding.weight"])

    def summaries(self, rows: Sequence[npt.NDArray[np.integer[Any]]], table: Array) -> Array:
        """Summarises sequences of vectors that are given as rows of a table, in batches of about equal length.

        Args:
            rows: For each of B sequences, the rows that it walks along, ints [T]: word ids, or some steps of one text.
            table: The vectors, float32 [V, E].

        Returns:
            Summary vectors, float32 [B, F], in the order given.
        """
        result = np.zeros((len(rows), self.config.summary_size), np.float32)
        for chosen in batches([len(row) for row in rows]):
            lengths = np.array([len(rows[b]) for b in chosen])
            padded = np.zeros((lengths.max(), len(chosen)), np.int32)
            for b, row in enumerate(chosen):
                padded[: lengths[b], b] = rows[row]
            result[chosen] = summarize(*self.outputs(table, lengths, ids=padded), lengths, self.summary)
        return result

    def outputs(self, x: Array, lengths: npt.NDArray[np.int64], *, ids: Ids | None = None) -> tuple[Array, Array]:
        """Runs the cell over a padded batch.

        Args:
            x: Vectors, float32 [T, B, E]; or, with ids, a table of vectors [V, E].
            lengths: Steps of each row, int [B].
            ids: The row of the table at each step, int [T, B].

        Returns:
            Outputs [T, B, ·] and final states [L·D, B, ·], of which `summarize` makes the summaries.
        """
        if self.stack:
            return self.stack.outputs(x, lengths, ids=ids)
        x = x if ids is None else x[ids]
        if self.config.cell == "compound":
            x, h_n = compounded(x, self.arrays["rate"], lengths)
            return x, h_n[None]
        return x, np.zeros((1, *x.shape[1:]), np.float32)

    def probability_after(self, text: str) -> tuple[list[str], Array]:
        """Computes the probabilities after each word, exactly as if the text ended there.

        A stack in both directions reads every beginning of the text anew, so its time grows with the square of T.

        Args:
            text: One text of T words.

        Returns:
            The words, those beyond `max_length` left out, and the probabilities after each, float32 [T, C].
        """
        x, lengths, tokens = self.embed(_as_texts([text]))
        assert tokens is not None  # noqa: S101 - for mypy: it is a text
        summaries = self.summaries_so_far(x, self.outputs(x, lengths)[0])
        return list(tokens[0]), softmax(self.head(summaries))

    def summaries_so_far(self, x: Array, outputs: Array) -> Array:
        """Summarises every beginning of one sequence.

        Args:
            x: Its vectors, float32 [T, 1, E].
            outputs: What `outputs` returned for it, [T, 1, ·].

        Returns:
            Row t is the summary of the first t + 1 steps, float32 [T, F].
        """
        if self.stack and self.stack.bidirectional:
            return self.summaries([np.arange(end) for end in range(1, len(x) + 1)], x[:, 0])
        return summarize_so_far(outputs[:, 0], self.summary)

    def embed(self, source: "str | Iterable[str] | npt.NDArray[Any] | Embedded") -> Embedded:
        """Makes sequences of vectors from texts.

        Args:
            source: One text, several, or vectors [T, E] of numbers in the place of the words of one text. What `embed`
                returned is passed on as it is.

        Raises:
            TypeError: It is none of these.
            ValueError: The vectors are of another size, or not finite.
        """
        if isinstance(source, Embedded):
            return source
        if not isinstance(source, Iterable):
            raise TypeError(f"source is {source!r:.60}, expected one text (str), several, or vectors, an array [T, E]")
        if isinstance(source, np.ndarray):
            sizes: Sizes = {"E": (self.config.embedding_size, "the model")}
            x = check("source", np.asarray(source, np.float32), "T E", sizes)
            if not np.isfinite(x).all():
                raise ValueError(f"source holds {np.count_nonzero(~np.isfinite(x))} numbers that are not finite")
            return Embedded(np.ascontiguousarray(x)[:, None], np.array([len(x)]), None)
        texts = _as_texts([source] if isinstance(source, str) else source)
        x, lengths = pad([self.arrays["embedding.weight"][ids] for ids in self._ids(texts)], self.config.embedding_size)
        return Embedded(x, lengths, tuple(tuple(self.tokenizer.words(t, self.config.max_length)) for t in texts))

    def trace(self, source: str | Iterable[str] | npt.NDArray[Any] | Embedded) -> list[Trace]:
        """Reads sequences and returns every gate of every unit at every step.

        Args:
            source: As in `embed`.

        Returns:
            L·D traces, layer by layer, forward before reverse; they hold the words too.

        Raises:
            TypeError: The source is none of these.
            ValueError: The vectors are of another size or not finite, or the model has no recurrent layer.
        """
        if self.stack is None:
            raise ValueError(f"a model with the cell {self.config.cell!r} has no recurrent layer, expected one")
        embedded = self.embed(source)
        traces = self.stack.trace(embedded.x, embedded.lengths)
        return [replace(trace, tokens=embedded.tokens) for trace in traces]

    def head(self, summaries: Array) -> Array:
        """Applies the linear head.

        Args:
            summaries: Summary vectors, float32 [B, F].

        Returns:
            Logits, float32 [B, C].
        """
        # A matrix product by BLAS rounds differently from one number of rows to another, einsum does not.
        logits: Array = np.einsum("bf,cf->bc", np.ascontiguousarray(summaries), self.arrays["head.weight"])
        return logits + self.arrays["head.bias"]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model to one safetensors file, whole or not at all.

        Args:
            path: Where the file shall be; an old file is replaced.

        Raises:
            OSError: The file cannot be written.
            TypeError: The metrics hold something that JSON does not.
        """
        texts = {
            "config": self.config.to_json(),
            "tokenizer": self.tokenizer.to_json(),
            "metrics": format_object(self.metrics),
            "versions": format_object(self.versions),
        }
        write(path, self.arrays, texts)

    def __reduce__(self) -> tuple[Any, ...]:
        # Packed weights belong to a process: a copy, or a worker that is sent a model, packs its own.
        return Model, (self.config, self.tokenizer, self.arrays, self.metrics, self.versions)

    def __repr__(self) -> str:
        parameters = sum(array.size for array in self.arrays.values())
        return f"Model({self.config.cell!r}, labels={list(self.config.labels)!r:.200}, {parameters:,} parameters)"

    def _ids(self, texts: list[str]) -> list[Ids]:
        """Turns texts into word ids, part by part: the tokenizer's own records take kilobytes a text."""
        parts = (texts[start : start + TEXTS_PER_PART] for start in range(0, len(texts), TEXTS_PER_PART))
        return [ids for part in parts for ids in self.tokenizer.encode_batch(part, self.config.max_length)]


def load(path: str | os.PathLike[str]) -> Model:
    """Reads a model that `Model.save` wrote; nothing in the file is executed.

    Args:
        path: A safetensors file.

    Returns:
        The model.

    Raises:
        OSError: There is no such file, or it may not be read.
        ModelFileError: The file is no model, or it is truncated, edited or too large; a ValueError.
    """
    with reading(path) as contents:
        texts = contents.metadata
        config = Config.from_json(texts["config"])
        # Arrays of these shapes that take no memory: the file's own are read only when they fit.
        config.check_arrays({name: np.broadcast_to(np.float32(0), shape) for name, shape in contents.shapes.items()})
        arrays = contents.arrays()
        metrics, versions = parse_object("metrics", texts["metrics"]), parse_object("versions", texts["versions"])
        return Model(config, Tokenizer.from_json(texts["tokenizer"]), arrays, metrics, versions)


def _as_texts(texts: Iterable[str]) -> list[str]:
    """Lists texts.

    Raises:
        TypeError: It is one text, or one of them is no text.
    """
    if isinstance(texts, str):
        raise TypeError(f"texts is one text, expected several: pass [text] for {texts[:40]!r}")
    listed = list(texts)
    for i, text in enumerate(listed):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] is {text!r:.60}, expected a text (str)")
    return listed


def _own_version() -> str:
    # Rarely needed, and a fifth of the time that importing tidegate takes.
    from importlib.metadata import version  # noqa: PLC0415

    return version("tidegate")


def _frozen(name: str, array: npt.NDArray[Any]) -> Array:
    """Copies an array, so that later changes of the original do not reach the model.

    Raises:
        ValueError: It holds a number that is not finite.
    """
    copy: Array = np.array(array, np.float32, order="C")
    if not np.isfinite(copy).all():
        raise ValueError(f"{name} holds {np.count_nonzero(~np.isfinite(copy))} numbers that are not finite")
    copy.flags.writeable = False
    return copy
