"""The verbs of inspection, as methods of a model."""

from typing import Any

from tidegate.inspection.counterfactual import WhatIf, what_if
from tidegate.inspection.explain import Explanation, explain
from tidegate.inspection.gradient_flow import GradientFlow, flows
from tidegate.models.architecture import Architecture


class Inspected:
    """A network that can be looked into.

    Attributes:
        config: Cell, sizes, summary, task and labels.
    """

    config: Architecture

    def explain(self, source: Any) -> Explanation:
        """Accounts for the answer to one sequence: what each step contributes to each logit, exactly.

        Args:
            source: One sequence, as in `embed`.

        Raises:
            TypeError: The source is of another type.
            ValueError: It is several, its vectors are of another size or not finite, or the network is not
                a classifier.
        """
        self._need_classes()
        network: Any = self
        return explain(network, source)

    def what_if(
        self, source: Any, *, step: int, unit: int, layer: int = 0, reverse: bool = False, **values: float
    ) -> WhatIf:
        """Sets gates of one unit at one step by hand, and reads on.

        Args:
            source: One sequence, as in `embed`.
            step: Index of the step, from 0.
            unit: Index of the unit, from 0.
            layer: Index of the layer, from 0.
            reverse: Whether it is the layer that walks from the end to the start.
            values: New values by the names of gates, such as `update=1.0`.

        Raises:
            TypeError: The source is of another type.
            ValueError: The network is not a classifier, the cell has no such gate, or a value is out of its range.
        """
        self._need_classes()
        network: Any = self
        return what_if(network, source, step=step, unit=unit, layer=layer, reverse=reverse, **values)

    def gradient_flow(self, source: Any, *, spectral: bool = True) -> list[GradientFlow]:
        """Computes how much the end of one sequence still depends on each of its steps, layer by layer.

        Args:
            source: One sequence, as in `embed`.
            spectral: Whether to compute spectral norms too, which takes most of the time.

        Returns:
            One for each layer and direction, in the order of `trace`.

        Raises:
            FloatingPointError: A state is not finite.
            TypeError: The source is of another type.
            ValueError: The model has no recurrent layer, or the vectors do not fit.
        """
        network: Any = self
        return flows(network, source, spectral=spectral)

    def _need_classes(self) -> None:
        if self.config.task != "classification":
            raise ValueError(f"this is a network for {self.config.task}, expected one for classification")
