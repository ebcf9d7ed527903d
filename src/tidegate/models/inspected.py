"""The verbs of inspection, as methods of a model."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tidegate.inspection.counterfactual import WhatIf, what_if
from tidegate.inspection.explain import Explanation, explain
from tidegate.inspection.gradient_flow import GradientFlow, flows
from tidegate.inspection.units import Units, units
from tidegate.models.predictor import Predictor
from tidegate.ops.trace import Trace
from tidegate.sequences.embedded import Embedded
from tidegate.sequences.padding import batches, pad


class Inspected(Predictor):
    """A network that can be looked into."""

    def explain(self, source: Any) -> Explanation:
        """Accounts for the answer to one sequence: what each step contributes to each logit, exactly.

        Of a regression it is what each step contributes to each of the numbers, which stand in the place of logits.

        Args:
            source: One sequence, as in `embed`.

        Raises:
            TypeError: The source is of another type.
            ValueError: It is several, its vectors are of another size or not finite, or the network is neither
                a classifier nor a regression.
        """
        self.config.aim.need_explained()
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
