"""The numbers of the page's pictures: one method for each question, from a trained model."""

from base64 import b64encode
from typing import Any

import numpy as np

from tidegate.characters import visible
from tidegate.inspection import ledger
from tidegate.inspection.counterfactual import check_change, what_if
from tidegate.inspection.explain import Explanation, explain
from tidegate.inspection.gradient_flow import flow
from tidegate.inspection.gradient_flow.jacobian import products_of, steps_of
from tidegate.inspection.network import stack_of
from tidegate.inspection.units import memory
from tidegate.models.text_model import TextModel
from tidegate.ops.names import parameter_names
from tidegate.ops.trace import Trace, outputs_of
from tidegate.sequences.recurrent import Recurrent
from tidegate.sequences.summaries import summary_weights
from tidegate.serve.page import declared, messages
from tidegate.serve.page.messages import (
    Array,
    GateQuestion,
    Place,
    Question,
    QuestionError,
    UnitQuestion,
    WhatIfQuestion,
)
from tidegate.serve.page.readings import Readings

TOP_WORDS = 8


class Page:
    """Answers the questions of the page about one model."""

    def __init__(self, model: TextModel, name: str = "model") -> None:
        """Starts with nothing read.

        Args:
            model: What answers.
            name: What the page calls it.
        """
        self.model, self.name, self.readings = model, name, Readings(model)

    def facts(self) -> messages.Facts:
        """Describes the model to the page."""
        model, stack = self.model, self.model.stack
        return messages.Facts(
            name=self.name,
            kind=declared.kind_of(model),
            title=declared.title_of(model),
            labels=list(model.labels),
            layers=stack.num_layers if stack else 0,
            directions=1 + stack.bidirectional if stack else 1,
            units=stack.hidden_size if stack else 0,
            embedding_size=model.config.embedding_size,
            summary=model.summary,
            longest=model.config.max_length,
            parameters=sum(array.size for array in model.arrays.values()),
            values=declared.values_of(stack.cell) if stack else [],
            maps=declared.maps_of(stack.cell) if stack else [],
            term=declared.term_of(model),
        )

    def words(self, question: Question) -> messages.Words:
        """Shares the score of each class among the words."""
        reading, unknown, left_out = self.readings.of(question)
        explanation = explain(self.model, reading)
        arrays = ("contributions", "probability_after", "probabilities", "logits", "bias", "initial", "kept")
        return messages.Words(
            words=list(map(visible, explanation.words)),
            unknown=unknown,
            left_out=left_out,
            leading=self._leading(explanation),
            error=explanation.error,
            remark=explanation.remark,
            **{name: _rounded(getattr(explanation, name)) for name in arrays},
        )

    def heat_map(self, question: GateQuestion) -> messages.HeatMap:
        """Lays out one kind of values of all units, those with the longest memory first.

        Raises:
            QuestionError: The cell has no such values.
        """
        trace = self._trace(question)
        known = {value.name: value for value in declared.values_of(trace.cell)}
        if question.gate not in known:
            raise QuestionError(
                f"gate is {question.gate!r}, expected one of {', '.join(known)}: the cell is {trace.cell}"
            )
        values = _kept(trace) if question.gate == "kept" else np.asarray(trace.values[question.gate])[:, 0]
        shares = question.gate in {*trace.cell.gates, "kept"}
        low, high = (0.0, 1.0) if shares else _range(values)
        scaled = ((values - low) * (65535 / (high - low))).round().clip(0, 65535).astype("<u2")
        kept = trace.cell.kept(trace.walk().values)
        means = kept.mean(axis=0) if len(kept) else np.zeros(values.shape[1])
        return messages.HeatMap(
            steps=len(values),
            units=values.shape[1],
            low=low,
            high=high,
            order=np.argsort(-means, kind="stable").tolist(),
            memory=_rounded(memory(means).clip(max=1e6)),
            values=b64encode(scaled.tobytes()).decode(),
        )

    def stream(self, question: Place) -> messages.Stream:
        """Follows the deposits of the words through the steps after them.

        Raises:
            QuestionError: The cell keeps no deposits.
        """
        trace = self._trace(question)
        if trace.cell.keeps is None:
            raise QuestionError(
                f"a {trace.cell.title} writes its state anew at every step: there are no deposits to follow"
            )
        followed, walk = ledger.stream(trace, TOP_WORDS), trace.walk()
        own = _in_time(trace, np.abs(trace.cell.deposits(walk.values)).sum(axis=1))
        return messages.Stream(top=followed.steps.tolist(), amounts=_rounded(followed.amounts), own=_rounded(own))

    def flow(self, question: Place) -> messages.Flow:
        """Measures how strongly the end of a layer's walk depends on its earlier states.

        Beside a cell whose gates can all be off stands the layer without gates, a vanilla RNN, with the same weights on
        the same input.
        """
        trace, weights, vanilla = self._trace(question), self._weights(question), None
        if twin := declared.twin_of(trace.cell):
            names = parameter_names(0, reverse=False, bias=len(weights) == 4)
            x = self._input(question)
            walked = np.ascontiguousarray(x[::-1]) if trace.reverse else x
            (without,) = Recurrent(dict(zip(names, weights, strict=True)), twin).trace(walked)
            vanilla = _curve(without, weights[1], trace.reverse)
        return messages.Flow(this=_curve(trace, weights[1], trace.reverse), vanilla=vanilla)

    def unit(self, question: UnitQuestion) -> messages.Unit:
        """Lists all that goes through one unit.

        Raises:
            QuestionError: There is no such unit.
        """
        trace, (w_ih, w_hh, *biases) = self._trace(question), self._weights(question)
        cell, H, unit = trace.cell, w_hh.shape[1], question.unit
        if unit >= H:
            raise QuestionError(f"unit is {unit}, expected 0..{H - 1}: the layer has {H} units")
        from_input = self._input(question)[:, 0] @ w_ih[unit::H].T + (biases[0][unit::H] if biases else 0)
        from_memory = self._from_memory(trace, question)
        values = {name: _listed(array[:, 0], unit) for name, array in trace.values.items() if name in cell.symbols}
        walk = trace.walk()
        return messages.Unit(
            before={name: _listed(_in_time(trace, walk.before[name]), unit) for name in cell.states},
            after={name: values[name] for name in cell.states},
            gates={name: row for name, row in values.items() if name not in cell.states},
            from_input={name: _listed(from_input, g) for g, name in enumerate(cell.blocks)},
            from_memory={name: _rounded(row) for name, row in from_memory.items()},
            reads_first=len(products_of(steps_of(trace, w_hh))) > 1,
        )

    def what_if(self, question: WhatIfQuestion) -> messages.Answer:
        """Sets gates of one unit at one step by hand, and computes all that comes after it anew.

        Raises:
            QuestionError: A place is out of its range, or there is no such gate, or it can't have such a value.
        """
        reading, _, _ = self.readings.of(question)
        question.find(reading.traces)
        stack, step, unit = stack_of(self.model), question.step, question.unit
        places = {"step": (step, len(reading.embedded.x)), "unit": (unit, stack.hidden_size)}
        try:
            check_change(stack, places, question.values)
        except ValueError as error:
            raise QuestionError(str(error)) from error
        change: dict[str, Any] = {"layer": question.layer, "reverse": question.reverse, "step": step, "unit": unit}
        changed = what_if(self.model, reading, **change | question.values)
        trace = question.find(changed.traces)
        return messages.Answer(
            probabilities_before=_rounded(changed.probabilities_before),
            probabilities=_rounded(changed.probabilities),
            after={name: _listed(trace.values[name][:, 0], unit) for name in trace.cell.states},
            gates={name: _rounded(trace.values[name][step, 0, unit]) for name in trace.cell.blocks},
            from_memory={name: _rounded(row[step]) for name, row in self._from_memory(trace, question).items()},
        )

    def _trace(self, question: Place) -> Trace:
        """Returns what the layer in question did."""
        return question.find(self.readings.of(question).reading.traces)

    def _weights(self, question: Place) -> list[Array]:
        """Returns w_ih [G·H, ·] and w_hh [G·H, H], and if there are biases b_ih and b_hh [G·H]."""
        stack = stack_of(self.model)
        return [stack.weights[name] for name in parameter_names(question.layer, question.reverse, stack.bias)]

    def _input(self, question: Place) -> Array:
        """Returns what the layer reads, float32 [T, 1, ·]: the words' vectors, or the states of the layer below."""
        (embedded, traces), _, _ = self.readings.of(question)
        return outputs_of(traces, question.layer - 1) if question.layer else embedded.x

    def _from_memory(self, trace: Trace, question: UnitQuestion) -> dict[str, Array]:
        """Computes U v + b_hh of one unit, by the blocks of weights in their order, [T] each."""
        _, w_hh, *biases = self._weights(question)
        cell, unit, H = trace.cell, question.unit, w_hh.shape[1]
        b_hh = biases[1][unit::H] if biases else np.zeros(cell.G)
        rows = {g: v @ w_hh[g * H + unit] + b_hh[g] for v, used in products_of(steps_of(trace, w_hh)) for g in used}
        return {name: _in_time(trace, rows[g]) for g, name in enumerate(cell.blocks)}

    def _leading(self, explanation: Explanation) -> int:
        """Names the unit of the last layer, walking forward, that most of the scores' difference comes from.

        It is 0 where there are no units.
        """
        stack = self.model.stack
        if stack is None:
            return 0
        pull = np.abs(explanation.balance.sum(axis=0)) * self.model.head_weight.std(axis=0)
        by_unit = pull.reshape(-1, 1 + stack.bidirectional, stack.hidden_size)[:, 0].sum(axis=0)
        return int(np.argmax(by_unit))


def _rounded(array: Any) -> Any:
    """Makes lists of an array: six digits after the point, more than a picture can show."""
    return np.asarray(array, np.float64).round(6).tolist()


def _listed(array: Array, column: int) -> Any:
    return _rounded(array[:, column])


def _in_time(trace: Trace, walked: Array) -> Array:
    """Puts what is in the order of the walk into that of the text."""
    return walked[::-1] if trace.reverse else walked


def _kept(trace: Trace) -> Array:
    """Returns the share of each deposit that is in the memory at the end of the walk, [T, H]."""
    carry = trace.cell.kept(trace.walk().values)
    return _in_time(trace, ledger.unroll(carry, summary_weights(carry, "last")))


def _range(values: Array) -> tuple[float, float]:
    """Returns the smallest symmetric range around 0 that holds the values, [−1, 1] at least."""
    reach = max(1.0, float(np.abs(values).max(initial=0)))
    return -reach, reach


def _curve(trace: Trace, w_hh: Array, reverse: bool) -> messages.Curve:
    """Puts the gradient flow of a walk in the order of the text, 0 at its end; the initial state is left out."""
    measured = flow(trace, w_hh, spectral=False)
    logs = measured.by_distance[:-1]
    log_norm = [round(log, 4) if np.isfinite(log) else None for log in (logs if reverse else logs[::-1]).tolist()]
    rate = float(measured.rate)
    return messages.Curve(log_norm=log_norm, rate=rate if np.isfinite(rate) else None, verdict=measured.verdict)
