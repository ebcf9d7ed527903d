"""What units do over many texts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate import Recurrent, Trace
from tidegate.inspection.units import Claim, units
from tidegate.ops.cells import Cell
from tidegate.ops.names import parameter_letters

CELLS = ["gru", "lstm", "gru reset=before"]
T, B, H = 20, 6, 5
LENGTHS = np.array([20, 3, 0, 11, 20, 1])


def trace(seed: int = 0, cell: str = "gru", **gates: Any) -> Trace:
    """A trace of random gates, 0 beyond a row's length, in which the words are letters."""
    rng, known = np.random.default_rng(seed), Cell.of(cell)
    inside = (np.arange(T)[:, None] < LENGTHS)[..., None]
    arrays = {name: rng.random((T, B, H)) * inside for name in (*known.trace, *known.states[1:])} | gates
    tokens = tuple(tuple(rng.choice(list("abcd"), length).tolist()) for length in LENGTHS)
    hidden = rng.standard_normal((T, B, H)) * inside
    return Trace.of(known, hidden, arrays.values(), h0=np.zeros((B, H)), lengths=LENGTHS, tokens=tokens)


def rows(trace: Trace, name: str) -> np.ndarray:
    """All steps within the rows' lengths, one row after another, [N, H]."""
    array = np.asarray(getattr(trace, name))
    return np.concatenate([array[:length, b] for b, length in enumerate(LENGTHS)])


@pytest.mark.parametrize("cell", CELLS)
def test_means_and_shares_are_over_the_steps_of_all_texts(cell: str) -> None:
    """Means, shares of saturation and correlations are those of all steps at once, padding left out."""
    traces = [trace(seed, cell) for seed in range(3)]
    found = units(traces)
    known = traces[0].cell
    h, kept = (np.concatenate([rows(t, name) for t in traces]) for name in ("hidden", str(known.keeps)))
    assert found.steps == len(h) == 3 * LENGTHS.sum()
    np.testing.assert_allclose(found.memory, 1 / (1 - kept.mean(0)))
    assert set(found.mean) == set(found.left) == set(found.right) == set(known.gates)
    for name in known.gates:
        gate = np.concatenate([rows(t, name) for t in traces])
        np.testing.assert_allclose(found.mean[name], gate.mean(0))
        np.testing.assert_allclose(found.left[name], (gate < 0.1).mean(0))
        np.testing.assert_allclose(found.right[name], (gate > 0.9).mean(0))
    np.testing.assert_allclose(found.alike, np.corrcoef(h.T), atol=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_words_have_the_mean_gates_of_their_steps(cell: str) -> None:
    """The mean gate by word is taken over the steps that read it; rarer words than asked for are left out."""
    traces = [trace(seed, cell) for seed in range(3)]
    words = np.array([word for t in traces for text in t.tokens or () for word in text])
    gates = {name: np.concatenate([rows(t, name) for t in traces]) for name in traces[0].cell.gates}
    counts = {word: int((words == word).sum()) for word in "abcd"}
    found = units(traces, min_count=sorted(counts.values())[1])
    assert found.words == tuple(sorted(counts, key=lambda word: -counts[word])[:3])
    assert found.counts.tolist() == [counts[word] for word in found.words]
    for i, word in enumerate(found.words):
        for name, gate in gates.items():
            np.testing.assert_allclose(found.by_word[name][i], gate[words == word].mean(0))
    for name in gates:
        movers = found.movers(name, unit=2, count=1)
        by_word = dict(zip(found.words, found.by_word[name][:, 2], strict=True))
        assert movers.open == [max(by_word.items(), key=lambda item: item[1])]
        assert movers.close == [min(by_word.items(), key=lambda item: item[1])]
        overall = dict(found.movers(name).open)
        assert overall == pytest.approx(dict(zip(found.words, found.by_word[name].mean(1), strict=True)))


def test_the_nearest_units_are_those_that_move_alike() -> None:
    """A unit that does the same with the sign turned comes first, a unit that never moves is like none."""
    one = trace()
    one.hidden[..., 3] = -2 * one.hidden[..., 1]
    one.hidden[..., 4] = 0.5
    found = units([one])
    (nearest, correlation), *_ = found.nearest(1)
    assert nearest == 3
    assert correlation == pytest.approx(-1)
    assert found.alike[4].tolist() == [0] * H
    assert len(found.nearest(1)) == H - 1


def test_other_layers_and_directions_are_passed_over() -> None:
    """Of the traces of a stack those of the layer and direction that was asked for count."""
    sizes = {"G·H": 3 * H, "I": 4, "H": H, "D·H": 2 * H}
    rng = np.random.default_rng(0)
    letters = parameter_letters(2, bidirectional=True, bias=True)
    stack = Recurrent({name: rng.standard_normal([sizes[a] for a in axes.split()]) for name, axes in letters.items()})
    traces = stack.trace(rng.standard_normal((T, B, 4)).astype(np.float32), LENGTHS)
    found = units(traces, layer=1, reverse=True)
    np.testing.assert_allclose(found.mean["update"], rows(traces[3], "update").mean(0), rtol=1e-6)
    assert found.words == ()
    with pytest.raises(ValueError, match="no step of layer 2, to look at"):
        units(traces, layer=2)


def test_a_model_reads_texts(tiny_model: Path) -> None:
    """Texts are read as the model reads them, however many; unknown words count as one."""
    model = tidegate.load(tiny_model, tidegate.TextModel)
    texts = ["a good film", "a bad film xyzzy", "xyzzy qwerty", ""] * 20
    found, traces = units(model, iter(texts)), units(model.trace(texts))
    assert found.steps == traces.steps == 20 * 9
    np.testing.assert_allclose(found.kept, traces.kept)
    assert set(found.words) == {"a", "good", "bad", "film", "[UNK]"}
    assert dict(zip(found.words, found.counts.tolist(), strict=True))["[UNK]"] == 60


def test_what_cannot_be_read_is_refused(tiny_model: Path) -> None:
    """One text in the place of several, no text at all, a cell without gates and a gate that is none are named."""
    model = tidegate.load(tiny_model, tidegate.TextModel)
    with pytest.raises(TypeError, match="texts is one text"):
        units(model, "a good film")
    with pytest.raises(ValueError, match="there is no word"):
        units(model, ["", ""])
    rnn = Recurrent({"weight_ih_l0": np.ones((H, 4)), "weight_hh_l0": np.ones((H, H))}, "rnn_tanh")
    with pytest.raises(ValueError, match="the cell 'rnn_tanh' has no gates"):
        units(rnn.trace(np.ones((3, 1, 4), np.float32)))
    with pytest.raises(ValueError, match="gate is 'candidate'"):
        units(model, ["a film"]).movers("candidate")


def planted(sign: float, units_of: int = 60) -> Trace:
    """A trace in which units of long memory have high reset gates, or low ones, or any."""
    rng = np.random.default_rng(0)
    z = np.linspace(0.05, 0.95, units_of)
    r = 0.5 + sign * (z - 0.5) + 0.2 * rng.standard_normal(units_of)
    shape = (T, 1, units_of)
    states, gates = rng.standard_normal(shape), [np.broadcast_to(array, shape) for array in (r, z, z, z)]
    return Trace.of(Cell.of("gru"), states, gates, h0=np.zeros((1, units_of)), lengths=np.array([T]))


@pytest.mark.parametrize(
    ("sign", "sentence"),
    [(0.8, "units with short memory have active"), (-0.8, "LESS active"), (0, "differs from chance")],
)
def test_the_claim_is_judged_by_its_interval(sign: float, sentence: str) -> None:
    """A planted relation of memory and reset gates is found with its sign, and none where there is none."""
    claim = units([planted(sign)]).claim()
    assert isinstance(claim, Claim)
    assert claim.low <= claim.correlation <= claim.high
    assert sentence in str(claim)
    assert claim == units([planted(sign)]).claim()


def test_without_a_reset_gate_there_is_nothing_to_claim() -> None:
    """Where all units have the same reset gate, as when it is off, or none at all, there is no claim."""
    one = planted(0.8)
    assert units([replace(one, values={**one.values, "reset": np.ones((T, 1, 60))})]).claim() is None
    assert units([trace(cell="lstm")]).claim() is None


def test_a_unit_that_lets_nothing_in_remembers_for_ever() -> None:
    """With z = 1 throughout the memory is infinite."""
    ones = np.ones((T, B, H))
    assert np.isposinf(units([trace(update=ones)]).memory).all()


@pytest.mark.parametrize("cell", CELLS)
def test_the_saturation_scatter_is_drawn(cell: str) -> None:
    """Each unit is a dot at its shares of right- and left-saturated steps, one panel for each gate."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    found = units([trace(cell=cell)])
    figure, axes = pyplot.subplots(1, len(found.cell.gates))
    found.draw(axes)
    for panel, gate in zip(axes, found.cell.gates, strict=True):
        expected = np.stack([found.right[gate], found.left[gate]], axis=1)
        np.testing.assert_allclose(panel.collections[0].get_offsets(), expected)
        assert panel.get_title() == f"{gate} gate"
    pyplot.close(figure)


def test_chrono_initialisation_spreads_the_memories() -> None:
    """A fresh GRU has memories of about 2 steps and hands gradients on for few; with chrono=100 they reach to 100."""
    torch = pytest.importorskip("torch")
    from tidegate.inspection.gradient_flow import flow
    from tidegate.torch import GRU

    x = (np.random.default_rng(0).standard_normal((100, 8, 10)) / 10).astype(np.float32)
    memories, rates = [], []
    for chrono in (None, 100):
        torch.manual_seed(0)
        layer = Recurrent({name: w.numpy() for name, w in GRU(10, 64, chrono=chrono).state_dict().items()})
        (one,) = layer.trace(x)
        memories.append(units([one]).memory)
        rates.append(flow(one, layer.weights["weight_hh_l0"]).rate)
    fresh, chrono_start = memories
    assert 1.5 < fresh.min() <= fresh.max() < 3
    assert np.quantile(chrono_start, 0.1) < 25
    assert np.quantile(chrono_start, 0.9) > 75
    assert rates[0] < 0.8
    assert rates[1] > 0.95
