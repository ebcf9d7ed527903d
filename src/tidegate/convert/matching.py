"""The model that computes what a source computes: found by trying, and so proved by numbers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.convert import words
from tidegate.convert.certificate import REFERENCE, Certificate, ConversionError, distance
from tidegate.convert.found import Found, Head, Wishes, model_of, stack
from tidegate.convert.samples import LENGTHS, id_sequences, results_of, results_of_vectors, sequences
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel
from tidegate.ops import reference
from tidegate.ops.cells import Cell
from tidegate.ops.cells.activations import sigmoid
from tidegate.ops.names import parameter_names
from tidegate.sequences.embedded import softmax
from tidegate.sequences.features import LIMIT
from tidegate.sequences.padding import pad
from tidegate.sequences.recurrent import Recurrent
from tidegate.sequences.summaries import SUMMARIES, summarize

Array = npt.NDArray[Any]

Run = Callable[[Array], "Array | None"]
"""What a source computes of one sequence, numbers [T, I] or ids [T]: [C], or [T, C] at every step; None if it can't."""


class NotRunError(ConversionError):
    """What runs a source did not take sequences as they were given to it."""


class Runtime(NamedTuple):
    """What runs a source.

    Attributes:
        name: Its name with its version.
        run: What it computes of a sequence.
        lengths: Those that it takes; None for any.
        missing: Why it is not the source's own, as `Certificate.missing`.
    """

    name: str
    run: Run
    lengths: tuple[int, ...] | None = None
    missing: str = ""


def match(found: Found, runtime: Runtime, wishes: Wishes) -> tuple[Network, Certificate]:
    """Makes the model of a source, and compares it with what the source computes.

    Where the source does not say what becomes of the outputs over time, each kind of summary is tried.

    Returns:
        The model, and the proof.

    Raises:
        ConversionError: No model computes the same.
    """
    drawn = _drawn(found, runtime.lengths)
    theirs = [(sequence, result) for sequence in drawn if (result := runtime.run(sequence)) is not None]
    if not theirs:
        raise NotRunError(f"{runtime.name} ran none of the sequences, so nothing could be compared")
    if missing := {len(sequence) for sequence in drawn} - {len(sequence) for sequence, _ in theirs} - {0}:
        # Of one step, all summaries are the same, and so are the axes of rows and steps.
        raise NotRunError(f"{runtime.name} ran sequences, but none of {min(missing)} steps")
    errors: dict[str, float | str] = {}
    for summary in SUMMARIES if found.summary is None else (found.summary,):
        try:
            model = model_of(found, summary, wishes)
        except ConversionError as error:
            errors[summary] = str(error)
            continue
        ours = results(found, model, [sequence for sequence, _ in theirs], wishes, theirs[0][1].ndim)
        pairs = [("outputs", own, other) for own, (_, other) in zip(ours, theirs, strict=True)]
        try:
            return model, Certificate.of(pairs, runtime.name, runtime.missing)
        except ConversionError as error:
            same = all(own.shape == other.shape for _, own, other in pairs)
            errors[summary] = max(distance(own, other) for _, own, other in pairs) if same else str(error)
    raise ConversionError(_nearest(errors, runtime.name))


def _nearest(errors: dict[str, float | str], name: str) -> str:
    """Says how far every summary was from the source."""
    numbers = {summary: error for summary, error in errors.items() if isinstance(error, float)}
    if not numbers:
        return next(iter(errors.values()), "")  # type: ignore[return-value]
    tried = ", ".join(f"{summary}: {error:.1e}" for summary, error in numbers.items())
    return (
        f"the layers, with what becomes of their outputs ({tried}), do not compute what {name} does: the source has "
        "operations besides; its recurrent layers alone can be converted (part='layers')"
    )


def results(
    found: Found, model: Network, drawn: Sequence[Array], wishes: Wishes, axes: int = 1
) -> list[npt.NDArray[np.floating[Any]]]:
    """Computes what a source should compute of sequences: after its own activation, at the end or at every step."""
    read = [*drawn]
    if found.embedding is not None:
        places = words.places(found.embedding, wishes.words, found.padding)
        read = [places[ids[ids != found.padding] if found.padding is not None else ids] for ids in drawn]
    if axes == 1:
        return [*_activated(found, results_of(model, read))]
    return [_activated(found, results_of_vectors(model, _vectors_so_far(model, sequence))) for sequence in read]


def _vectors_so_far(model: Network, sequence: Array) -> Array:
    """Computes the vectors of a sequence [T, I] or [T] as if it ended at each step, [T, F]."""
    x = (model.vectors_of(sequence) if isinstance(model, TextModel) else sequence).astype(np.float32, copy=False)
    y, _ = model.outputs(x[:, None], np.array([len(x)]))
    return model.summaries_so_far(x[:, None], y) if len(x) else np.zeros((0, model.config.summary_size), np.float32)


def _activated(found: Found, ours: Mapping[str, Array]) -> Array:
    """Chooses what a source returns among what a model computes."""
    if found.head is None:
        return ours["vectors"]
    if not found.head.activation:
        return ours["scores"]
    if found.head.activation == "log_softmax":
        return np.log(ours["probabilities"])
    one = found.head.activation == "sigmoid" and len(found.head.weight) == 1
    return ours["probabilities"][:, 1:] if one else ours["probabilities"]


def _drawn(found: Found, lengths: Iterable[int] | None) -> list[Array]:
    lengths = LENGTHS if lengths is None else lengths
    if found.embedding is not None:
        padded_steps_show = found.every and found.padding == 0
        return [*id_sequences(len(found.embedding), lengths, first=int(padded_steps_show))]
    drawn = sequences(found.input_size, lengths)
    if found.scaled is None:
        return [*drawn]
    center, scale = found.scaled
    return [center + 2 * scale * sequence for sequence in drawn]


def rows_of(out: Array, steps: int, width: int, batch: int = 1, batch_first: bool = True) -> Array | None:
    """Takes the results of one sequence, [C] or [T, C], out of what a source returned for copies of it.

    Args:
        out: The result, in any shape with the C last.
        steps: T.
        width: C.
        batch: How many copies were given.
        batch_first: Whether they are on the first axis.

    Returns:
        The results of the first copy; None if the array is of another size.
    """
    if out.dtype.kind != "f" or not out.size or out.size not in {batch * width, batch * steps * width}:
        return None
    rows = out.reshape(-1, width)
    first: Array = rows[:steps] if batch_first else rows[::batch]
    return rows[0] if len(rows) == batch and (steps > 1 or out.ndim == 2) else first


def certify_states(found: Found) -> Certificate:
    """Compares outputs and states of the recurrent layers, from random states on, with the reference in float64."""
    cell, weights, _ = stack(found)
    drawn, layers = sequences(found.input_size), Recurrent(weights, cell)
    x, lengths = pad(drawn, found.input_size)
    both = 1 + layers.bidirectional
    shape = (layers.num_layers * both, len(drawn), layers.hidden_size)
    rng = np.random.default_rng(1)
    h0 = rng.standard_normal(shape if cell.S == 1 else (cell.S, *shape)).astype(np.float32)
    y, h_n = layers.outputs(x, lengths, h0)
    other, finals = run_reference(cell, weights, x, lengths, h0)
    return Certificate.of([("outputs", y, other), ("states", h_n, finals)], REFERENCE)


def reference_runtime(found: Found, missing: str = "") -> Runtime:
    """Computes what was read of a source, by `ops.reference`: where its own runtime cannot be asked, and why."""
    cell, weights, places = stack(found)
    D, H = 1 + ("weight_ih_l0_reverse" in weights), weights["weight_hh_l0"].shape[1]
    summary = found.summary or "last"
    columns = np.concatenate([part * D * H + places for part in range(summary.count("+") + 1)])
    states = () if cell.S == 1 else (cell.S,)

    def run(sequence: Array) -> Array | None:
        x = sequence if found.embedding is None else found.embedding[sequence[sequence != found.padding]]
        if not len(x):
            return None
        if found.scaled is not None:
            center, scale = found.scaled
            x = np.clip((x.astype(np.float64) - center) / scale, -LIMIT, LIMIT)
        lengths, h0 = np.array([len(x)]), np.zeros((*states, len(found.layers) * D, 1, H))
        y, h_n = run_reference(cell, weights, x[:, None], lengths, h0)
        vectors = y[:, 0] if found.every else summarize(y, h_n, lengths, summary)
        rows = _applied(found.head, vectors[:, columns])
        result: Array = rows if found.every else rows[0]
        return result

    return Runtime(f"{REFERENCE} alone" if missing else REFERENCE, run, missing=missing)


def _applied(head: Head | None, vectors: Array) -> Array:
    """Computes what a head says, in float64."""
    if head is None:
        return vectors
    scores: Array = vectors @ head.weight.T + head.bias
    if head.activation == "sigmoid":
        return sigmoid(scores)
    if not head.activation:
        return scores
    probabilities = softmax(scores)
    return np.log(probabilities) if head.activation == "log_softmax" else probabilities


def run_reference(
    cell: Cell, weights: dict[str, Array], x: Array, lengths: Array, h0: Array
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Runs a stack by `ops.reference`: outputs [T, B, D·H] and final states in the shape of h0, float64."""
    both, bias = ("weight_ih_l0_reverse" in weights), "bias_ih_l0" in weights
    finals, y, row = np.zeros_like(h0, np.float64), np.asarray(x, np.float64), 0
    for layer in range(h0.shape[-3] // (1 + both)):
        outs = []
        for reverse in (False, True)[: 1 + both]:
            own = [weights[name] for name in parameter_names(layer, reverse, bias)]
            out = reference.Layer(cell, *own).forward(y, h0[..., row, :, :], lengths, reverse)
            finals[..., row, :, :] = out.h_n
            outs.append(out.y)
            row += 1
        y = np.concatenate(outs, axis=-1)
    return y, finals
