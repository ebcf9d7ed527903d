"""A trained network without PyTorch: sequences of vectors in; labels, numbers, probabilities, summary vectors out."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from tidegate.inspection.units import Units, units
from tidegate.models.architecture import Architecture
from tidegate.models.config import NetworkConfig
from tidegate.models.file import write
from tidegate.models.inspected import Inspected
from tidegate.models.metadata import format_object
from tidegate.ops.compressed import Compressed, compress
from tidegate.ops.trace import Trace
from tidegate.sequences.embedded import Embedded, softmax
from tidegate.sequences.padding import as_sequences, batches, pad
from tidegate.sequences.recurrent import Recurrent
from tidegate.sequences.summaries import summarize, summarize_so_far
from tidegate.stream.running import Running, RunningSummary, check_vectors, model_id
from tidegate.stream.session import Session
from tidegate.text.tokenizer import Tokenizer, Words

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.integer[Any]]


class Network(Inspected):
    """A trained network: a recurrent stack or a pooling, a summary, and a linear head, on sequences of vectors.

    It needs numpy and the native kernels only. The result for a sequence does not depend on the others of a call.
    Sequences are a list of arrays [T, I], each with its own T, or one array [B, T, I].

    Example:
        A network that adds up what it sees, made by hand, tells a positive sum from a negative one:

        >>> from tidegate import NetworkConfig
        >>> config = NetworkConfig(cell="compound", labels=("less", "more"), input_size=1, rate=1.0)
        >>> arrays = {"rate": np.ones(1), "head.weight": np.array([[-1], [1]]), "head.bias": np.zeros(2)}
        >>> network = Network(config, {name: array.astype(np.float32) for name, array in arrays.items()})
        >>> network.predict([[[1.0], [2.0], [-1.5]], [[-1.0], [0.5]]]).tolist()
        ['more', 'less']

    Attributes:
        config: Cell, sizes, summary, task and labels.
        arrays: float32 arrays by the names of the torch module that trained them, read-only; those that are kept in
            fewer bits are expanded.
        small: Those that are kept in fewer bits, by name, as they are kept.
        metrics: What training measured, by name.
        versions: The versions of the packages that trained it, by name.
        stack: The recurrent layers; None for a pooling.
        summary: How outputs become a summary vector: that of the configuration, or of the pooling.
        tokenizer: What turns a text into word ids; None for a network that reads vectors.
    """

    config: Architecture
    described: ClassVar[str] = "a network that reads vectors"
    ngrams: Any = None  # texts alone have them
    tokenizer: Tokenizer | None = None

    def __init__(
        self,
        config: Architecture,
        arrays: Mapping[str, npt.NDArray[Any] | Compressed],
        metrics: Mapping[str, Any] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Checks the arrays, copies them, and packs the weights for the kernels.

        Args:
            config: As the attribute, a `NetworkConfig`.
            arrays: `rnn.weight_ih_l0` [G·H, I] and what else the stack has, or `rate` [1] or [I] for compounding, and
                `head.weight` [C, F], `head.bias` [C]; float32, or weights of the stack as `ops.compress` makes them.
            metrics: Anything that JSON holds.
            versions: None for the version of tidegate at hand.

        Raises:
            TypeError: An array is not float32.
            ValueError: An array is missing, left over, of a wrong shape or not finite.
        """
        checked = config.checked(arrays)
        self.config = config
        self.metrics = dict(metrics or {})
        self.versions = dict(versions or {"tidegate": _own_version()})
        self.small = {name: array for name, array in checked.items() if isinstance(array, Compressed)}
        self.arrays = {name: _frozen(name, checked[name]) for name in config.letters()}
        self.stack, self.summary = None, config.summary
        if config.pooling:
            self.summary = config.pooling.summary
        else:
            stack = {name[4:]: array for name, array in self._stored.items() if name.startswith("rnn.")}
            self.stack = Recurrent.of_checked(stack, config.recurrent_cell, config.summary)

    @cached_property
    def _stored(self) -> dict[str, Array | Compressed]:
        """The arrays by name, as they are kept."""
        return self.arrays | self.small

    @classmethod
    def of(cls, stack: Recurrent) -> "Network":
        """Makes a network of a recurrent stack alone, which encodes as the stack does, and can be saved.

        Example:
            >>> weights = {"weight_ih_l0": np.array([[1.0]]), "weight_hh_l0": np.array([[1.0]])}
            >>> network = Network.of(Recurrent(weights, cell="rnn_relu"))
            >>> network.encode([[[1.0], [2.0]]])
            array([[3.]], dtype=float32)

        Args:
            stack: The stack; after `save` and `tidegate.load` it is the attribute `stack` of the network.
        """
        sizes = {name: getattr(stack, name) for name in ("input_size", "hidden_size", "num_layers", "bidirectional")}
        config = NetworkConfig(cell=str(stack.cell), task="encoding", bias=stack.bias, summary=stack.summary, **sizes)
        return Network(config, {f"rnn.{name}": array for name, array in stack.stored.items()})

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the C outputs."""
        return self.config.labels

    @property
    def head_weight(self) -> Array:
        """Weights of the head, float32 [C, F].

        Raises:
            ValueError: There is no head.
        """
        if not self.config.has_head:
            raise ValueError(f"a network of the task {self.config.task!r} has no head, and so no scores to look into")
        return self.arrays["head.weight"]

    @property
    def head_bias(self) -> Array:
        """Bias of the head, float32 [C]."""
        return self.arrays["head.bias"]

    @property
    def rate(self) -> Array | None:
        """Growth factors of compounding, float32 [1] or [I]; None for other cells."""
        return self.arrays.get("rate")

    @property
    def cell_name(self) -> str:
        """The cell, with what was chosen of it, or the pooling."""
        return self.config.cell

    def predict(self, sequences: Any) -> npt.NDArray[Any]:
        """Names the most probable class of each sequence, or computes the numbers of a regression.

        Args:
            sequences: B sequences.

        Returns:
            Classes [B], `str` objects unless the configuration says otherwise; of a regression float32 [B], or [B, C]
            for several numbers.

        Raises:
            TypeError: The sequences are of another type.
            ValueError: A shape does not fit, or the network has no head.
        """
        return self.predictions_of(self.scores(sequences))

    def predictions_of(self, scores: Array) -> npt.NDArray[Any]:
        """Returns the most probable class of each row of scores [B, C], or the numbers of a regression."""
        if self.config.task == "regression":
            return scores[:, 0] if len(self.labels) == 1 else scores
        chosen: npt.NDArray[Any] = self._classes[scores.argmax(axis=1)]
        return chosen

    def predict_proba(self, sequences: Any) -> Array:
        """Computes the probability of each class.

        Args:
            sequences: B sequences.

        Returns:
            Probabilities, float32 [B, C], in the order of `labels`; each row sums to 1.

        Raises:
            TypeError: The sequences are of another type.
            ValueError: A shape does not fit, or the network is not a classifier.
        """
        self._need_classes()
        return self.probabilities_of(self.scores(sequences))

    def probabilities_of(self, scores: Array) -> Array:
        """Returns the probability of each class of scores [B, C].

        Raises:
            ValueError: The network is not a classifier.
        """
        self._need_classes()
        return softmax(scores)

    def scores(self, sequences: Any) -> Array:
        """Computes the outputs of the head: logits, whose softmax are the probabilities, or numbers.

        Args:
            sequences: B sequences.

        Returns:
            Outputs, float32 [B, C].

        Raises:
            TypeError: The sequences are of another type.
            ValueError: A shape does not fit, or the network has no head.
        """
        if not self.config.has_head:
            raise ValueError("this network has no head to predict with: use encode, which gives summary vectors")
        return self.head(self.encode(sequences))

    def encode(self, sequences: Any) -> Array:
        """Summarises each sequence by one vector: what the head sees.

        Args:
            sequences: B sequences.

        Returns:
            Summary vectors, float32 [B, F].

        Raises:
            TypeError: The sequences are no real numbers.
            ValueError: A sequence has another number of axes or features, or is not finite.
        """
        arrays = self._vectors(sequences)
        return self._summarize([len(array) for array in arrays], lambda rows: self._padded([arrays[b] for b in rows]))

    def summaries(self, rows: Sequence[Ids], table: Array) -> Array:
        """Summarises sequences of vectors that are given as rows of a table, in batches of about equal length.

        Args:
            rows: For each of B sequences, the rows that it walks along, ints [T]: word ids, or steps of a sequence.
            table: The vectors, float32 [V, I].

        Returns:
            Summary vectors, float32 [B, F], in the order given.
        """

        def batch(chosen: npt.NDArray[np.intp]) -> tuple[Array, Ids]:
            ids = np.zeros((max(len(rows[b]) for b in chosen), len(chosen)), np.int32)
            for b, row in enumerate(chosen):
                ids[: len(rows[row]), b] = rows[row]
            return table, ids

        return self._summarize([len(row) for row in rows], batch)

    def _summarize(
        self, lengths: Sequence[int], batch: Callable[[npt.NDArray[np.intp]], tuple[Array, Ids | None]]
    ) -> Array:
        """Summarises sequences in batches of about equal length; `batch` returns what `outputs` takes for some rows."""
        result, steps = np.zeros((len(lengths), self.config.summary_size), np.float32), np.array(lengths, np.int64)
        for chosen in batches(steps):
            x, ids = batch(chosen)
            result[chosen] = summarize(*self.outputs(x, steps[chosen], ids=ids), steps[chosen], self.summary)
        return result

    def outputs(
        self, x: Array, lengths: npt.NDArray[np.int64], h0: Array | None = None, *, ids: Ids | None = None
    ) -> tuple[Array, Array]:
        """Runs the stack, or the pooling, over a padded batch.

        Args:
            x: Vectors, float32 [T, B, I]; or, with ids, a table of vectors [V, I].
            lengths: Steps of each row, int [B].
            h0: Initial states, in the shape of the final ones; None for 0.
            ids: The row of the table at each step, int [T, B].

        Returns:
            Outputs [T, B, ·] and final states [L·D, B, ·], of which `summarize` makes the summaries.
        """
        if self.stack:
            return self.stack.outputs(x, lengths, h0, ids=ids)
        pooling: Any = self.config.pooling
        y, h_n = pooling.outputs(x if ids is None else x[ids], self.rate, lengths, h0)
        return y, h_n

    def summaries_so_far(self, x: Array, outputs: Array) -> Array:
        """Summarises every beginning of one sequence.

        A stack in both directions reads every beginning anew, so its time grows with the square of T.

        Args:
            x: Its vectors, float32 [T, 1, I].
            outputs: What `outputs` returned for it, [T, 1, ·].

        Returns:
            Row t is the summary of the first t + 1 steps, float32 [T, F].
        """
        if self.stack and self.stack.bidirectional:
            return self.summaries([np.arange(end) for end in range(1, len(x) + 1)], x[:, 0])
        return summarize_so_far(outputs[:, 0], self.summary)

    def embed(self, source: Any) -> Embedded:
        """Makes a padded batch of sequences.

        Args:
            source: One sequence, an array [T, I]; several, a list of such arrays or one array [B, T, I]; or what
                `embed` returned, which is passed on as it is.

        Raises:
            TypeError: It is none of these.
            ValueError: The vectors are of another size, or not finite.
        """
        if isinstance(source, Embedded):
            return source
        if isinstance(source, str) or not isinstance(source, Iterable):
            raise TypeError(f"source is {source!r:.60}, expected one sequence, an array [T, I], or several")
        if isinstance(source, np.ndarray) and source.ndim != 3:
            return self._embed_vectors(source)
        arrays = self._vectors(source)
        return Embedded(*pad(arrays, self.config.input_size), None)

    def _embed_vectors(self, source: npt.NDArray[Any]) -> Embedded:
        """Embeds one sequence of vectors."""
        x = self.check_vectors("source", source, "T")
        return Embedded(np.ascontiguousarray(x)[:, None], np.array([len(x)]), None)

    def check_vectors(self, name: str, source: Any, axes: str) -> Array:
        """Returns vectors as float32.

        Args:
            name: What errors call them.
            source: The vectors.
            axes: Letters of the axes before the features, such as "T".

        Raises:
            TypeError: They are no numbers.
            ValueError: They are of another size, or not finite.
        """
        return check_vectors(name, source, f"{axes} {self.config.input_letter}", self.config.input_size)

    def stream(self, state: bytes | None = None, *, endless: bool = False) -> Session:
        """Begins a stream: one sequence that is read as it arrives, to the bit as if it came whole.

        Args:
            state: The `state` of an earlier session with this model, to go on from there; None to begin anew.
            endless: Whether to read on where `predict` would not, beyond the `max_length` of a model of texts.

        Raises:
            TypeError: The state is no bytes.
            ValueError: The network reads in both directions, or the state is damaged or of another model.
        """
        return Session(self, state, endless=endless)

    def running(self) -> tuple[Running, ...]:
        """Returns the parts whose scores are added up, each in the form that a stream runs.

        Raises:
            ValueError: The network reads in both directions.
        """
        features = self.config.hidden_size if self.stack else self.config.input_size
        head = self.head if self.config.has_head else None
        return (RunningSummary(self.outputs, self.stack, features, self.summary, head),)

    @property
    def most_steps(self) -> int | None:
        """The steps of a sequence that it reads; None for all."""
        return None

    @cached_property
    def model_id(self) -> bytes:
        """What tells it from other models where the state of a stream is restored, 16 bytes."""
        tokenizer = self.tokenizer.to_json() if self.tokenizer else ""
        gaps = getattr(self.config, "missing", ())
        return model_id(f"{self.cell_name} {self.summary} {gaps} {tokenizer}", self._stored)

    def trace(self, source: Any) -> list[Trace]:
        """Reads sequences and returns every gate of every unit at every step.

        Args:
            source: As in `embed`.

        Returns:
            L·D traces, layer by layer, forward before reverse; they hold the words too if the sequences are texts.

        Raises:
            TypeError: The source is none of these.
            ValueError: The vectors are of another size or not finite, or the model has no recurrent layer.
        """
        if self.stack is None:
            raise ValueError(f"a model with the cell {self.config.cell!r} has no recurrent layer, expected one")
        embedded = self.embed(source)
        traces = self.stack.trace(embedded.x, embedded.lengths)
        return [replace(trace, tokens=embedded.tokens) for trace in traces]

    def vectors_of(self, ids: Ids) -> Array:
        """Returns the vectors of words, float32 [..., I]; a network that reads vectors knows none."""
        raise TypeError(f"this network reads vectors, not words: {ids!r:.60}")

    def read_texts(self, texts: Iterable[str], max_length: int | None = None) -> list[Words]:
        """Cuts texts into the words that its parts read; a network that reads vectors reads none."""
        raise TypeError(f"this network reads vectors, not texts: {texts!r:.60}")

    def head(self, summaries: Array) -> Array:
        """Applies the linear head.

        Args:
            summaries: Summary vectors, float32 [B, F].

        Returns:
            Logits, or the numbers of a regression, float32 [B, C].
        """
        # A matrix product by BLAS rounds differently from one number of rows to another, einsum does not.
        logits: Array = np.einsum("bf,cf->bc", np.ascontiguousarray(summaries), self.head_weight)
        return logits + self.head_bias

    def units(self, sequences: Any, *, layer: int = 0, reverse: bool = False, min_count: int = 10) -> Units:
        """Gathers what the units of one layer and direction do over many sequences.

        Args:
            sequences: B sequences.
            layer: Index of the layer, from 0.
            reverse: Which direction.
            min_count: How often a word must be read for its mean gates to be kept, if the sequences are texts.

        Raises:
            TypeError: The sequences are of another type.
            ValueError: There is no step or no such layer and direction, or the cell has no gates.
        """
        return units(self._traces(sequences), layer=layer, reverse=reverse, min_count=min_count)

    def _traces(self, sequences: Any) -> Iterator[Trace]:
        """Traces sequences in batches of about equal length."""
        arrays = self._vectors(sequences)
        for rows in batches([len(array) for array in arrays]):
            yield from self.trace(Embedded(*pad([arrays[row] for row in rows], self.config.input_size), None))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model to one safetensors file, whole or not at all.

        Args:
            path: Where to write the file; an old one is replaced, a device or a pipe is written to.

        Raises:
            OSError: The file cannot be written, or is write-protected; what was there is as it was.
            TypeError: The metrics or the classes hold something that JSON does not.
        """
        write(path, self._stored, self._texts())

    def compress(self, dtype: str) -> Self:
        """Makes a network with the same weights in fewer bits: a smaller file, and faster steps of wide layers.

        The recurrent weights and, of texts, the word vectors are compressed; biases, rates, head and n-grams are not.

        Args:
            dtype: "int8" or "bfloat16", as in `ops.compress`.

        Raises:
            ValueError: The dtype is another, or there is nothing to compress.
        """
        weights = {
            name: compress(array, dtype)
            for name, array in self.arrays.items()
            if name.startswith(("rnn.weight_", "embedding.")) and array.size
        }
        if not weights:
            raise ValueError("it has neither recurrent weights nor word vectors that could be kept in fewer bits")
        make, parts = self.__reduce__()
        small: Self = make(*(self.arrays | weights if part is self._stored else part for part in parts))
        return small

    def _texts(self) -> dict[str, str]:
        """Returns the metadata of the model file."""
        return {
            "config": self.config.to_json(),
            "metrics": format_object(self.metrics),
            "versions": format_object(self.versions),
        }

    def _vectors(self, sequences: Any) -> list[Array]:
        """Checks sequences of vectors.

        Raises:
            TypeError: They are no real numbers.
            ValueError: A sequence has another number of axes or features, or is not finite.
        """
        arrays, _ = as_sequences(sequences, self.config.input_size)
        return [_finite(f"sequences[{b}]", array.astype(np.float32, copy=False)) for b, array in enumerate(arrays)]

    def _padded(self, arrays: list[Array]) -> tuple[Array, None]:
        x: Array = pad(arrays, self.config.input_size)[0].astype(np.float32, copy=False)
        return x, None

    @property
    def _classes(self) -> npt.NDArray[Any]:
        """What `predict` returns for each label: numbers as numbers, everything else as objects, [C]."""
        values = self.labels if self.config.classes is None else self.config.classes
        if {type(value) for value in values} in ({int}, {float}, {bool}):
            return np.array(values)
        classes = np.empty(len(values), object)
        classes[:] = values
        return classes

    def __reduce__(self) -> tuple[Any, ...]:
        # Packed weights belong to a process: a copy, or a worker that is sent a model, packs its own.
        return type(self), (self.config, self._stored, self.metrics, self.versions)

    def __repr__(self) -> str:
        parameters = sum(array.size for array in self.arrays.values())
        labels = f"labels={list(self.labels)!r:.200}" if self.config.has_head else self.config.task
        return f"{type(self).__name__}({self.config.cell!r}, {labels}, {parameters:,} parameters)"


def _own_version() -> str:
    # Rarely needed, and a fifth of the time that importing tidegate takes.
    from importlib.metadata import version  # noqa: PLC0415

    return version("tidegate")


def _finite(name: str, array: Array) -> Array:
    """Returns an array whose numbers are all finite.

    Raises:
        ValueError: It holds a number that is not.
    """
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds {np.count_nonzero(~np.isfinite(array))} numbers that are not finite")
    return array


def _frozen(name: str, array: npt.NDArray[Any] | Compressed) -> Array:
    """Expands or copies an array, so that later changes of the original do not reach the model.

    One that nobody can change, and that is no view of another, is taken as it is: arrays that were read from a file.

    Raises:
        ValueError: It holds a number that is not finite.
    """
    numbers = array.expand() if isinstance(array, Compressed) else array
    flags = numbers.flags
    if numbers.dtype == np.float32 and flags.owndata and flags.c_contiguous and not flags.writeable:
        return _finite(name, numbers)
    copy: Array = _finite(name, np.array(numbers, np.float32, order="C"))
    copy.flags.writeable = False
    return copy
