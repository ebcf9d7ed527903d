"""A trained text classifier without PyTorch: texts in, labels, probabilities and summary vectors out."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate import model_file
from tidegate.config import Config, format_object, parse_object
from tidegate.recurrent import Recurrent
from tidegate.summaries import batches, compounded, summarize, summarize_so_far
from tidegate.text import Tokenizer

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
        self._stack = Recurrent(stack, config.cell, config.summary) if stack else None

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
        return self._head(self.encode(texts))

    def encode(self, texts: Iterable[str]) -> Array:
        """Summarises each text by one vector: what the head sees.

        Args:
            texts: B texts.

        Returns:
            Summary vectors, float32 [B, F].
        """
        return self._summaries(self._ids(_as_texts(texts)))

    def probability_after(self, text: str) -> tuple[list[str], Array]:
        """Computes the probabilities after each word, exactly as if the text ended there.

        A stack in both directions reads every beginning of the text anew, so its time grows with the square of T.

        Args:
            text: One text of T words.

        Returns:
            The words, those beyond `max_length` left out, and the probabilities after each, float32 [T, C].
        """
        (ids,) = self._ids(_as_texts([text]))
        if self._stack and self._stack.bidirectional:
            summaries = self._summaries([ids[:end] for end in range(1, len(ids) + 1)])
        else:
            outputs, _ = self._outputs(ids[:, None], np.array([len(ids)]))
            summaries = summarize_so_far(outputs[:, 0], self._summary)
        return self.tokenizer.words(text, self.config.max_length), softmax(self._head(summaries))

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
        model_file.write(path, self.arrays, texts)

    def __reduce__(self) -> tuple[Any, ...]:
        # Packed weights belong to a process: a copy, or a worker that is sent a model, packs its own.
        return Model, (self.config, self.tokenizer, self.arrays, self.metrics, self.versions)

    def __repr__(self) -> str:
        parameters = sum(array.size for array in self.arrays.values())
        return f"Model({self.config.cell!r}, labels={list(self.config.labels)!r:.200}, {parameters:,} parameters)"

    @property
    def _summary(self) -> str:
        """How outputs become a summary: the two summaries without order are the mean and the last of theirs."""
        return {"average": "mean", "compound": "last"}.get(self.config.cell, self.config.summary)

    def _ids(self, texts: list[str]) -> list[Ids]:
        """Turns texts into word ids, part by part: the tokenizer's own records take kilobytes a text."""
        parts = (texts[start : start + TEXTS_PER_PART] for start in range(0, len(texts), TEXTS_PER_PART))
        return [ids for part in parts for ids in self.tokenizer.encode_batch(part, self.config.max_length)]

    def _summaries(self, ids: Sequence[Ids]) -> Array:
        """Summarises word ids [T] of B texts, in batches of about equal length: [B, F] in the order given."""
        result = np.zeros((len(ids), self.config.summary_size), np.float32)
        for rows in batches([len(row) for row in ids]):
            lengths = np.array([len(ids[row]) for row in rows])
            padded = np.zeros((lengths.max(), len(rows)), np.int32)
            for b, row in enumerate(rows):
                padded[: lengths[b], b] = ids[row]
            result[rows] = summarize(*self._outputs(padded, lengths), lengths, self._summary)
        return result

    def _outputs(self, ids: Ids, lengths: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """Runs the cell over padded word ids [T, B]: outputs [T, B, ·] and final states [L·D, B, ·]."""
        x: Array = self.arrays["embedding.weight"][ids]
        if self._stack:
            return self._stack.outputs(x, lengths)
        if self.config.cell == "compound":
            x, h_n = compounded(x, self.arrays["rate"], lengths)
            return x, h_n[None]
        return x, np.zeros((1, *x.shape[1:]), np.float32)

    def _head(self, summaries: Array) -> Array:
        """Applies the linear head to summaries [B, F].

        A matrix product by BLAS rounds differently from one number of rows to another, einsum does not.
        """
        logits: Array = np.einsum("bf,cf->bc", np.ascontiguousarray(summaries), self.arrays["head.weight"])
        return logits + self.arrays["head.bias"]


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
    with model_file.reading(path) as contents:
        texts = contents.metadata
        config = Config.from_json(texts["config"])
        # Arrays of these shapes that take no memory: the file's own are read only when they fit.
        config.check_arrays({name: np.broadcast_to(np.float32(0), shape) for name, shape in contents.shapes.items()})
        arrays = contents.arrays()
        metrics, versions = parse_object("metrics", texts["metrics"]), parse_object("versions", texts["versions"])
        return Model(config, Tokenizer.from_json(texts["tokenizer"]), arrays, metrics, versions)


def softmax(scores: Array) -> Array:
    """Turns logits [B, C] into probabilities; the largest is taken off first, so that none overflows."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: Array = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


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
