"""Gradient norms on a few held-out texts, measured while a model is trained, on the weights of the moment."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tidegate.inspection.gradient_flow import flows, loss_gradients
from tidegate.inspection.gradient_flow.growth import describe, fitted_rate
from tidegate.models.config import Config
from tidegate.models.model import Model
from tidegate.training.examples import Examples
from tidegate.training.settings import Gradients, LayerGradients

Array = npt.NDArray[np.float64]

TEXTS = 4
TROUBLE = 3.0  # decades by which gradients of the loss may differ along a walk


class Watch:
    """A few held-out texts to measure gradients on, all about as long as three texts in four are at most."""

    def __init__(self, examples: Examples, config: Config) -> None:
        """Chooses the texts.

        Args:
            examples: What is trained on; the texts are from its validation part.
            config: What is trained, with recurrent layers.
        """
        held = examples.validation
        usual = np.quantile(held.corpus.lengths, 0.75)
        rows = np.argsort(np.abs(held.corpus.lengths - usual), kind="stable")[:TEXTS]
        self.config, self.tokenizer = config, examples.tokenizer
        self.classes = held.classes[rows]
        self.ids = [held.corpus.ids[held.corpus.offsets[row] : held.corpus.offsets[row + 1]] for row in rows]

    def measure(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> Gradients:
        """Measures gradients with the weights of the moment: medians over the texts, cut to the shortest.

        Args:
            weights: Arrays by the names of the model file.
        """
        model = Model(self.config, self.tokenizer, weights)
        texts = [model.arrays["embedding.weight"][ids] for ids in self.ids]
        steps = min(map(len, texts)) + 1
        flow = [[one.by_distance[:steps] for one in flows(model, text)] for text in texts]
        losses = [loss_gradients(model, text, int(c)).log_hidden for text, c in zip(texts, self.classes, strict=True)]
        loss = [[log[::-1][:steps] for log in one] for one in losses]
        curves = zip(self._places(), zip(*flow, strict=True), zip(*loss, strict=True), strict=True)
        return Gradients(
            tuple(_sum_up(place, np.median(one, axis=0), np.median(two, axis=0)) for place, one, two in curves)
        )

    def _places(self) -> list[tuple[int, bool]]:
        """Lists layers and directions in the order of their traces."""
        directions = (False, True)[: 1 + self.config.bidirectional]
        return [(layer, reverse) for layer in range(self.config.num_layers) for reverse in directions]


def _sum_up(place: tuple[int, bool], flow: Array, loss: Array) -> LayerGradients:
    """Sums up what was measured of one layer in one direction.

    Args:
        place: Index of the layer, and whether it walks in reverse.
        flow: log10 ‖∂h_T/∂h_t‖ at the distances 0..n, over that at distance 0, float64 [n + 1].
        loss: log10 ‖∂loss/∂h_t‖ there.
    """
    n = len(flow) - 1
    rate = fitted_rate(flow) if n else 1.0
    faded = np.flatnonzero(loss < loss.max() - TROUBLE)
    trouble, distance = "", n
    if loss[n] < loss.max() - TROUBLE:
        trouble, distance = "vanish", int(faded[0])
    elif loss.max() > (first := loss[np.isfinite(loss)][0]) + TROUBLE:  # a maximum may not read the last states
        trouble, distance = "explode", int(np.flatnonzero(loss > first + TROUBLE)[0])
    shown = [d for d in (0, 1, 3, 10, 30, 100, 300, 1000) if d < n] + [n]
    layer, reverse = place
    return LayerGradients(
        layer=layer,
        reverse=reverse,
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
