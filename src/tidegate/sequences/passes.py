"""Passes over a recurrent stack: its outputs, its traces, gradients by its inputs."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate import ops
from tidegate.ops._kernels import empty
from tidegate.ops.checks import Sizes, check, check_ids, check_lengths
from tidegate.ops.streaming import step_streams
from tidegate.ops.trace import Trace, outputs_of
from tidegate.sequences.layers import Layers

Array = npt.NDArray[np.float32]


class Passes(Layers):
    """Layers that are run, forward and backward, whole or step by step."""

    def outputs(
        self,
        x: Array,
        lengths: npt.ArrayLike | None = None,
        h0: Array | None = None,
        *,
        ids: npt.NDArray[np.integer[Any]] | None = None,
    ) -> tuple[Array, Array]:
        """Runs the stack over a padded batch and returns every output.

        Args:
            x: Input, float32 [T, B, I]; or, with ids, a table [V, I].
            lengths: Steps of each row, int [B] in any order, or None for T everywhere.
            h0: Initial states, float32 [L·D, B, H], or [S, L·D, B, H] for a cell of several; None for 0.
            ids: The row of the table that each step reads, int [T, B] in 0..V-1. The result is that of x[ids], but each
                row is multiplied with the weights once, however many steps read it.

        Returns:
            y: Outputs of the last layer, float32 [T, B, D·H], forward first; 0 beyond a row's length.
            h_n: Final states in the shape of h0, layer by layer, forward first; h0 for rows of length 0.

        Raises:
            TypeError: x or h0 is no float32 array, or ids are no integers.
            ValueError: A shape, a length or an id does not fit.
        """
        return self._run(x, lengths, h0, None, ids)

    def step(self, x: Array, h: Array, *, out: Array | None = None) -> Array:
        """Takes one step of a stream, or of several.

            >>> from tidegate import Recurrent
            >>> layer = Recurrent(
            ...     {"weight_ih_l0": np.array([[1.0]]), "weight_hh_l0": np.array([[1.0]])}, cell="rnn_relu"
            ... )
            >>> h = np.zeros((1, 1), np.float32)
            >>> for x in np.array([[1], [2], [3]], np.float32):
            ...     h = layer.step(x, h, out=h)
            >>> h
            array([[6.]], dtype=float32)

        Args:
            x: Input, float32 [I], or [B, I] for several streams.
            h: State of each layer, float32 [L, H] or [L, B, H], with an axis S before these for a cell of several
                states; 0 at the start of a stream.
            out: As in `ops.step`; h itself may be given.

        Returns:
            The new states: `out`, or a new array. The last layer's, `[-1]` or `[0, -1]`, is the output.

        Raises:
            TypeError: An array is not float32.
            ValueError: A shape does not fit, `out` can't be written to, or the stack walks in both directions.
        """
        if self.bidirectional:
            raise ValueError("a stack in both directions takes no steps: it reads a sequence from its end too")
        return ops.step([layer for layer, *_ in self._layers], x, h, out=out)

    def step_streams(self, x: Array, states: Array, places: npt.NDArray[np.int64]) -> None:
        """Takes one step of many streams in their places, see `ops.streaming.step_streams`; for one direction only."""
        step_streams([layer for layer, *_ in self._layers], x, states, places)

    def trace(self, x: Array, lengths: npt.ArrayLike | None = None, h0: Array | None = None) -> list[Trace]:
        """Runs the stack as `outputs` does, and keeps every gate of every unit at every step.

        Args:
            x: Input, float32 [T, B, I].
            lengths: As in `outputs`, and so is h0.

        Returns:
            L·D traces, layer by layer, forward first.

        Raises:
            TypeError: As in `outputs`.
            ValueError: As in `outputs`.
        """
        traces: list[Trace] = []
        self._run(x, lengths, h0, traces)
        return traces

    def input_gradient(
        self, x: Array, traces: Sequence[Trace], dy: Array | None = None, dh_n: Array | None = None
    ) -> Array:
        """Carries gradients of a loss from the outputs back to the inputs.

        Args:
            x: Input, float32 [T, B, I].
            traces: What `trace` returned for it.
            dy: Gradient by the outputs of the last layer, float32 [T, B, D·H]; None for 0.
            dh_n: Gradient by the final states, in their shape; None for 0.

        Returns:
            Gradient by x, float32 [T, B, I]; 0 beyond a row's length.

        Raises:
            TypeError: An array is not float32.
            ValueError: A shape does not fit.
        """
        D, H = 1 + self.bidirectional, self.hidden_size
        for index in reversed(range(self.num_layers)):
            inputs: Array = outputs_of(traces, index - 1) if index else x
            dx: Array = np.zeros_like(inputs)
            for d, layer in enumerate(self._differentiable[index]):
                trace = traces[index * D + d]
                states = [trace.values[name] for name in self.cell.states[1:]]
                kept = np.stack(states, axis=2) if states else None
                by_direction: Any = ops.backward(
                    *(layer, inputs, ops.Forward(trace.y, trace.h0, kept)),
                    None if dy is None else dy[:, :, d * H : (d + 1) * H],
                    None if dh_n is None else dh_n[..., index * D + d, :, :],
                    trace.h0,
                    lengths=trace.lengths,
                    reverse=trace.reverse,
                    recompute_every=max(1, len(x)),  # the gates are computed again, from the states
                ).dx
                dx += by_direction
            dy = dx
        return dx

    def resume(self, x: Array, traces: Sequence[Trace], changed: Trace, step: int) -> list[Trace]:
        """Walks on from a step of one layer that has been changed by hand; the layers above read what comes of it.

        Args:
            x: Input of sequences that are all of length T, float32 [T, B, I].
            traces: What `trace` returned for it.
            changed: Takes the place of the trace of its layer and direction. It is right from the first step walked to
                the one changed, and the later ones are overwritten here.
            step: The step that has been changed, by its place in time.

        Returns:
            L·D traces; those below the layer, or beside it, are the same objects.
        """
        D, results, reverse = 1 + self.bidirectional, list(traces), changed.reverse
        results[changed.layer * D + reverse] = changed
        inputs = outputs_of(results, changed.layer - 1) if changed.layer else x
        later = slice(0, step) if reverse else slice(step + 1, None)
        layer = self._layers[changed.layer][reverse]
        out = ops.forward(layer, inputs[later], changed.states_at(step), reverse=reverse, trace=True)
        changed.write(
            later, Trace.of(self.cell, out.y, _taken_apart(out.trace), h0=changed.h0, lengths=changed.lengths)
        )

        y, above = outputs_of(results, changed.layer), results[: (changed.layer + 1) * D]
        h0 = np.stack([trace.h0 for trace in traces], axis=-3)
        for index in range(changed.layer + 1, self.num_layers):
            y = self._run_layer(index, y, None, h0, np.empty_like(h0), above)
        return above

    def _run(
        self,
        x: Array,
        lengths: npt.ArrayLike | None,
        h0: Array | None,
        traces: list[Trace] | None,
        ids: npt.NDArray[np.integer[Any]] | None = None,
    ) -> tuple[Array, Array]:
        """Runs the stack; appends the traces to a list if there is one."""
        D, H = 1 + self.bidirectional, self.hidden_size
        sizes: Sizes = {"I": (self.input_size, "weight_ih_l0"), "H": (H, "weight_hh_l0")}
        sizes |= {"L": (self.num_layers, "the weights"), "D": (D, "the weights")}
        check("x", x, "T B I" if ids is None else "V I", sizes)
        if ids is not None:
            ids = check_ids(ids, "T B", sizes)
        if lengths is not None:
            lengths = check_lengths(lengths, sizes)
        if h0 is not None:
            sizes["S"] = (self.cell.S, "the cell")
            check("h0", h0, self.cell.state_letters.replace("B", "L·D B"), sizes)

        states = () if self.cell.S == 1 else (self.cell.S,)
        h_n = np.empty((*states, self.num_layers * D, sizes["B"][0], H), np.float32)
        for index in range(self.num_layers):
            x = self._run_layer(index, x, lengths, h0, h_n, traces, None if index else ids)
        return x, h_n

    def _run_layer(
        self,
        index: int,
        x: Array,
        lengths: Any,
        h0: Array | None,
        h_n: Array,
        traces: list[Trace] | None,
        ids: npt.NDArray[np.int64] | None = None,
    ) -> Array:
        """Runs one layer in its directions, from its rows of h0 into those of h_n; appends their traces to the list."""
        D, H, (T, B) = 1 + self.bidirectional, self.hidden_size, x.shape[:2] if ids is None else ids.shape
        y = empty(T, B, D * H)
        for d, layer in enumerate(self._layers[index]):
            row, reverse = index * D + d, d == 1
            start = None if h0 is None else h0[..., row, :, :]
            part = y[:, :, d * H : (d + 1) * H]
            keep = traces is not None
            out = ops.forward(layer, x, start, lengths=lengths, reverse=reverse, ids=ids, trace=keep, y=part)
            h_n[..., row, :, :] = out.h_n
            if traces is not None:
                facts = {
                    "h0": np.zeros_like(out.h_n) if start is None else start,
                    "lengths": np.full(B, T) if lengths is None else lengths,
                }
                traces.append(Trace.of(self.cell, part, _taken_apart(out.trace), layer=index, reverse=reverse, **facts))
        return y


def _taken_apart(trace: Array | None) -> Iterable[Array]:
    """Returns views of what a forward pass kept, K arrays [T, B, H] of one [T, B, K, H]."""
    assert trace is not None  # noqa: S101 - for mypy: it was asked for
    return np.moveaxis(trace, 2, 0)
