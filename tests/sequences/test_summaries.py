"""Tests of the summaries of a recurrent layer's outputs: directions, lengths, bits, gradients."""

from collections.abc import Callable

import numpy as np
import pytest

from tidegate.sequences.summaries import (
    PARTS,
    SUMMARIES,
    Array,
    summarize,
    summarize_so_far,
    summary_parts,
    summary_size,
    summary_weights,
)

LENGTHS = np.array([4, 0, 7, 1, 7])


def outputs(features: int = 3, layers: int = 1, directions: int = 1) -> tuple[Array, Array]:
    """Made-up outputs [T, B, D·H] that are 0 beyond LENGTHS, and final states [L·D, B, H]."""
    rng = np.random.default_rng(7)
    y = rng.standard_normal((7, 5, features * directions)).astype(np.float32)
    y[np.arange(7)[:, None] >= LENGTHS] = 0
    return y, rng.standard_normal((layers * directions, 5, features)).astype(np.float32)


def test_last_is_the_final_state_of_the_last_layer() -> None:
    """Of two layers in both directions, `last` is the forward and the backward state of the second."""
    y, h_n = outputs(layers=2, directions=2)
    assert (summarize(y, h_n, LENGTHS, "last") == np.concatenate([h_n[2], h_n[3]], axis=1)).all()
    y, h_n = outputs(layers=2)
    assert (summarize(y, h_n, LENGTHS, "last") == h_n[1]).all()


@pytest.mark.parametrize(("summary", "reduce"), [("mean", np.mean), ("max", np.max)])
def test_mean_and_max_read_each_row_up_to_its_length(summary: str, reduce: Callable[..., Array]) -> None:
    """Padding takes no part, not even where every output is below 0; an empty row gives 0."""
    y, h_n = outputs()
    y -= 10 * (np.arange(7)[:, None] < LENGTHS)[..., None]
    result = summarize(y, h_n, LENGTHS, summary)
    for b, length in enumerate(LENGTHS):
        expected = reduce(y[:length, b], axis=0) if length else np.zeros(3)
        assert result[b] == pytest.approx(expected, rel=1e-6)


def test_mean_and_max_stand_side_by_side() -> None:
    """`mean+max` is the mean followed by the maximum."""
    y, h_n = outputs()
    mean, maximum = (summarize(y, h_n, LENGTHS, summary) for summary in ("mean", "max"))
    assert (summarize(y, h_n, LENGTHS, "mean+max") == np.concatenate([mean, maximum], axis=1)).all()


@pytest.mark.parametrize("summary", SUMMARIES)
@pytest.mark.parametrize("features", [1, 3, 16])
def test_summaries_have_the_same_bits_alone(summary: str, features: int) -> None:
    """The summary of a row depends neither on the other rows nor on padding."""
    y, h_n = outputs(features)
    together = summarize(y, h_n, LENGTHS, summary)
    for b, length in enumerate(LENGTHS):
        alone = summarize(y[:length, b : b + 1].copy(), h_n[:, b : b + 1], LENGTHS[b : b + 1], summary)
        assert alone[0].tobytes() == together[b].tobytes()


@pytest.mark.parametrize("summary", SUMMARIES)
def test_summary_so_far_is_the_summary_of_each_beginning(summary: str) -> None:
    """Row t of the running summary is the summary of the first t + 1 steps, to the bit."""
    y = outputs()[0][:, 2]
    so_far = summarize_so_far(y, summary)
    for t in range(len(y)):
        whole = summarize(y[: t + 1, None], y[None, t, None], np.array([t + 1]), summary)
        assert so_far[t].tobytes() == whole[0].tobytes()
    assert summarize_so_far(y[:0], summary).shape == (0, so_far.shape[1])


@pytest.mark.parametrize("function", [lambda y: summarize(y, y, LENGTHS, "sum"), lambda y: summarize_so_far(y, "sum")])
def test_an_unknown_summary_is_named(function: Callable[[Array], Array]) -> None:
    """The error lists the summaries that there are."""
    with pytest.raises(ValueError, match=r"summary is 'sum', expected one of 'last', 'mean', 'max', 'mean\+max'"):
        function(outputs()[0])


def test_the_output_of_a_cell_of_several_states_is_its_first() -> None:
    """Of final states [S, L·D, B, H], as an LSTM has them, `last` reads the hidden ones."""
    y, h_n = outputs(layers=2, directions=2)
    states = np.stack([h_n, np.full_like(h_n, 9)])
    assert (summarize(y, states, LENGTHS, "last") == summarize(y, h_n, LENGTHS, "last")).all()


@pytest.mark.parametrize("summary", SUMMARIES)
def test_every_summary_is_made_of_the_parts(summary: str) -> None:
    """Its size is that of the outputs for each part."""
    y, h_n = outputs(directions=2)
    assert set(summary_parts(summary)) <= PARTS.keys()
    assert summarize(y, h_n, LENGTHS, summary).shape[1] == summary_size(summary, 6)


@pytest.mark.parametrize("part", PARTS)
def test_weights_are_gradients(part: str) -> None:
    """A small change of a state moves its part of the summary by the state's weight, in batches too."""
    y = np.random.default_rng(5).standard_normal((6, 3, 2))
    weights = summary_weights(y, part)
    for t in range(len(y)):
        changed = y.copy()
        changed[t] += 1e-6
        for b in range(3):
            moved = (PARTS[part].reduce(changed[:, b]) - PARTS[part].reduce(y[:, b])) / 1e-6
            assert weights[t, b] == pytest.approx(moved, abs=1e-6)
    assert summary_weights(y[:0], part).shape == (0, 3, 2)
    assert (summary_weights(np.ones((4, 1)), part).sum(axis=0) == 1).all()


@pytest.mark.parametrize("part", ["mean", "max"])
@pytest.mark.parametrize("F", [1, 2, 7])
def test_states_are_joined_one_after_the_other(part: str, F: int) -> None:
    """The vector of a sequence has the bits of what is kept state by state, and of the last beginning."""
    y = np.random.default_rng(0).standard_normal((999, F)).astype(np.float32)
    kept = np.full(F, PARTS[part].start, np.float32)
    for state in y:
        kept = PARTS[part].more(kept, state)
    whole = PARTS[part].reduce(y)
    np.testing.assert_array_equal(PARTS[part].value(kept, np.array([len(y)])), whole)
    np.testing.assert_array_equal(PARTS[part].so_far(y)[-1], whole)
