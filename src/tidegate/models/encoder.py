"""Sequences to summary vectors: the recurrent stack or the pooling of a trained network."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.models.architecture import Architecture
from tidegate.models.stored import Stored, finite
from tidegate.ops.compressed import Compressed
from tidegate.sequences.embedded import Embedded
from tidegate.sequences.padding import as_sequences, batches, pad
from tidegate.sequences.recurrent import Recurrent
from tidegate.sequences.summaries import summarize, summarize_so_far
from tidegate.stream.vectors import check_vectors

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.integer[Any]]


class Encoder(Stored):
    """What reads sequences, and how its outputs become one vector for each.

    Attributes:
        stack: The recurrent layers; None for a pooling.
        summary: How outputs become a summary vector: that of the configuration, or of the pooling.
    """

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
        super().__init__(config, arrays, metrics, versions)
        self.stack, self.summary = None, config.summary
        if config.pooling:
            self.summary = config.pooling.summary
        else:
            stack = {name[4:]: array for name, array in self._stored.items() if name.startswith("rnn.")}
            self.stack = Recurrent.of_checked(stack, config.recurrent_cell, config.summary)

    @property
    def rate(self) -> Array | None:
        """Growth factors of compounding, float32 [1] or [I]; None for other cells."""
        return self.arrays.get("rate")

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
        for chosen in batches(steps) if self.config.summary_size else ():
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

    def _vectors(self, sequences: Any) -> list[Array]:
        """Checks sequences of vectors.

        Raises:
            TypeError: They are no real numbers.
            ValueError: A sequence has another number of axes or features, or is not finite.
        """
        arrays, _ = as_sequences(sequences, self.config.input_size)
        return [finite(f"sequences[{b}]", array.astype(np.float32, copy=False)) for b, array in enumerate(arrays)]

    def _padded(self, arrays: list[Array]) -> tuple[Array, None]:
        x: Array = pad(arrays, self.config.input_size)[0].astype(np.float32, copy=False)
        return x, None
