"""Gradient norms on a few held-out sequences, measured while a model is trained, on the weights of the moment."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tidegate.inspection.gradient_flow import flows, loss_gradients
from tidegate.inspection.gradient_flow.growth import describe, fitted_rate
from tidegate.models.architecture import Architecture
from tidegate.ops.trace import Trace
from tidegate.sequences.embedded import Embedded
from tidegate.training.data.examples import Examples
from tidegate.training.events import Gradients, LayerGradients

Array = npt.NDArray[np.float64]

SEQUENCES = 4
TROUBLE = 3.0  # decades by which gradients of the loss may differ along a walk


class Watch:
    """A few held-out sequences to measure gradients on, all about as long as three in four are at most."""

    def __init__(self, examples: Examples, config: Architecture) -> None:
        """Chooses the sequences.

        Args:
            examples: What is trained on; the sequences are from its validation part.
            config: What is trained, a classifier with recurrent layers.
        """
        held = examples.validation
        usual = np.quantile(held.corpus.lengths, 0.75)
        rows = np.argsort(np.abs(held.corpus.lengths - usual), kind="stable")[:SEQUENCES]
        self.config, self.examples, self.classes = config, examples, held.targets[rows]
        self.sequences = [held.corpus.row(row) for row in rows]

    def measure(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> Gradients:
        """Measures gradients with the weights of the moment: medians over the sequences, cut to the shortest.

        Args:
            weights: Arrays by the names of the model file.
        """
        model = self.examples.model(self.config, weights)
        table = weights.get("embedding.weight")
        vectors = [_embedded(steps if table is None else table[steps]) for steps in self.sequences]
        steps = min(map(len, self.sequences)) + 1
        flow = [[walk.by_distance[:steps] for walk in flows(model, x)] for x in vectors]
        losses = [loss_gradients(model, x, int(c)).log_hidden for x, c in zip(vectors, self.classes, strict=True)]
        loss = [[log[::-1][:steps] for log in walks] for walks in losses]
        curves = zip(model.trace(vectors[0]), zip(*flow, strict=True), zip(*loss, strict=True), strict=True)
        return Gradients(
            tuple(_sum_up(trace, np.median(one, axis=0), np.median(two, axis=0)) for trace, one, two in curves)
        )


def _embedded(vectors: npt.NDArray[np.float32]) -> Embedded:
    """Hands vectors [T, I] to a model as what it has made of a sequence."""
    return Embedded(vectors[:, None], np.array([len(vectors)]), None)


def _sum_up(trace: Trace, flow: Array, loss: Array) -> LayerGradients:
    """Sums up what was measured of one layer in one direction.

    Args:
        trace: A trace of it.
        flow: log10 ‖∂h_T/∂h_t‖ at the distances 0..n, over that at distance 0, float64 [n + 1].
        loss: log10 ‖∂loss/∂h_t‖ there.
    """
    n = len(flow) - 1
    rate = fitted_rate(flow) if n else 1.0
    faded = np.flatnonzero(loss < loss.max() - TROUBLE)
    trouble, distance = "", n
    if loss[n] < loss.max() - TROUBLE:
        trouble, distance = "vanish", int(faded[0])
    elif (
        len(arrives := loss[np.isfinite(loss)]) and loss.max() > arrives[0] + TROUBLE
    ):  # a maximum may not read the end
        trouble, distance = "explode", int(np.flatnonzero(loss > arrives[0] + TROUBLE)[0])
    shown = [d for d in (0, 1, 3, 10, 30, 100, 300, 1000) if d < n] + [n]
    return LayerGradients(
        layer=trace.layer,
        reverse=trace.reverse,
        rate=rate,
        verdict=describe(flow, rate),
        trouble=trouble,
        distance=distance,
        distances=tuple(shown),
        log_flow=_plain(flow[shown]),
        log_loss=_plain(loss[shown]),
    )


def _plain(logs: Array) -> tuple[float | None, ...]:
    """Returns plain numbers, None in the place of −inf, which JSON does not hold."""
    return tuple(float(log) if np.isfinite(log) else None for log in logs)
