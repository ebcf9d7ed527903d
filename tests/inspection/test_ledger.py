"""The ledger of summary vectors."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from tidegate import Recurrent, Trace
from tidegate.inspection import ledger
from tidegate.inspection.ledger import draw_ledger, draw_vector_ledger, stream
from tidegate.ops.cells import Cell
from tidegate.ops.names import parameter_letters
from tidegate.sequences.padding import pad
from tidegate.sequences.summaries import SUMMARIES, summarize

EXACT = 1e-5
STACKS = list(itertools.product(["gru", "lstm", "rnn_tanh", "rnn_relu", "gru reset=before"], [1, 2], [1, 2]))


def stack(cell: str, layers: int, directions: int, I: int = 6, H: int = 9) -> Recurrent:
    """A stack with random weights."""
    rng = np.random.default_rng(layers)
    sizes = {"G·H": Cell.of(cell).G * H, "I": I, "H": H, "D·H": directions * H}
    letters = parameter_letters(layers, directions == 2, bias=True)
    weights = {name: rng.standard_normal([sizes[axis] for axis in axes.split()]) / 3 for name, axes in letters.items()}
    return Recurrent(weights, cell)


@pytest.mark.parametrize("summary", SUMMARIES)
@pytest.mark.parametrize(("cell", "layers", "directions"), STACKS)
def test_the_account_adds_up(cell: str, layers: int, directions: int, summary: str) -> None:
    """Balances and the opening balance are the summary vector that the model computes, for every stack and summary."""
    model, rng = stack(cell, layers, directions), np.random.default_rng(0)
    lengths = np.array([40, 1, 0, 17])
    x = rng.standard_normal((40, 4, 6)).astype(np.float32)
    S = (model.cell.S,) if model.cell.S > 1 else ()
    h0 = rng.standard_normal((*S, layers * directions, 4, 9)).astype(np.float32)
    traces = model.trace(x, lengths, h0)
    expected = summarize(*model.outputs(x, lengths, h0), lengths, summary)
    for row, length in enumerate(lengths):
        account = draw_ledger(traces, summary, row)
        assert account.deposits.shape == account.kept.shape == (length, expected.shape[1])
        np.testing.assert_array_equal(account.summary, expected[row])
        np.testing.assert_allclose(account.balance.sum(0) + account.opening, expected[row], atol=EXACT)
        assert account.error < EXACT


def test_the_account_follows_its_definition() -> None:
    """Deposits are (1 − z) n and what is kept of them is the product of all later z."""
    (trace,) = traces = stack("gru", 1, 1).trace(np.random.default_rng(0).standard_normal((8, 1, 6)).astype(np.float32))
    z, n = trace.update[:, 0].astype(float), trace.candidate[:, 0].astype(float)
    account = draw_ledger(traces)
    np.testing.assert_allclose(account.deposits, (1 - z) * n)
    np.testing.assert_allclose(account.kept, [z[t + 1 :].prod(0) for t in range(8)])


def test_the_account_of_an_lstm_follows_its_definition() -> None:
    """Deposits are i g; of each the product of all later f is kept, and the output shows o tanh(c)/c of that."""
    x = np.random.default_rng(0).standard_normal((8, 1, 6)).astype(np.float32)
    (trace,) = traces = stack("lstm", 1, 1).trace(x)
    i, f, g, o, c = (trace.values[name][:, 0].astype(float) for name in (*trace.cell.trace, "cell_state"))
    account = draw_ledger(traces)
    np.testing.assert_allclose(account.deposits, i * g)
    shown = o[-1] * np.tanh(c[-1]) / c[-1]
    np.testing.assert_allclose(account.kept, [shown * f[t + 1 :].prod(0) for t in range(8)])


def test_an_empty_cell_state_is_shown_by_the_output_gate() -> None:
    """Where c is 0, tanh(c)/c is 1, its limit: the factor is o, and the sum is 0 as the output is."""
    o, zero = np.full((3, 1, 2), 0.25), np.zeros((3, 1, 2))
    trace = Trace.of(Cell.of("lstm"), zero, [zero, zero, zero, o, zero], h0=np.zeros((2, 1, 2)), lengths=np.array([3]))
    account = draw_ledger([trace])
    assert account.kept[-1].tolist() == [0.25, 0.25]
    assert account.error == 0


@pytest.mark.parametrize(("cell", "gate"), [("gru", "update"), ("lstm", "forget"), ("lstm", "output")])
def test_an_error_in_a_gate_is_seen(cell: str, gate: str) -> None:
    """The check of the sum can fail: a gate that is not the one used leaves a difference."""
    (trace,) = stack(cell, 1, 1).trace(np.ones((8, 1, 6), np.float32))
    trace.values[gate][7, 0, 2] += 0.01
    assert draw_ledger([trace]).error > EXACT


def test_contributions_add_up_to_the_logits() -> None:
    """The steps' shares and the bias are the logits of a linear head."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((3, 9))
    account = draw_ledger(stack("gru", 1, 1).trace(rng.standard_normal((50, 1, 6)).astype(np.float32)))
    logits = account.contributions(weight).sum(0) + weight @ account.opening
    np.testing.assert_allclose(logits, weight @ account.summary, atol=EXACT)


def test_a_wrong_summary_is_refused() -> None:
    """An unknown summary and an empty list of traces are named in the error."""
    with pytest.raises(ValueError, match="summary is 'first'"):
        draw_ledger(stack("gru", 1, 1).trace(np.ones((1, 1, 6), np.float32)), "first")
    with pytest.raises(ValueError, match="traces is empty"):
        draw_ledger([])


def test_shares_of_a_weighted_sum() -> None:
    """Half is kept at each step: of three equal weights, the first deposit has grown to 1 + ½ + ¼."""
    shares = ledger.unroll(np.full((3, 1), 0.5), np.ones((3, 1)))
    assert shares.ravel().tolist() == [1.75, 1.5, 1.0]


@pytest.fixture(scope="module")
def reviews(data: Path) -> list[np.ndarray]:
    """1,000 real reviews, a random vector of six numbers for each word."""
    parquet = pytest.importorskip("pyarrow.parquet")
    from tidegate.text.tokenizer import Tokenizer

    rng = np.random.default_rng(0)
    table = parquet.read_table(data / "imdb" / "test.parquet", columns=["text"])
    texts = [table["text"][i].as_py() for i in rng.choice(len(table), 1000, replace=False).tolist()]
    tokenizer = Tokenizer.train(texts, vocab_size=5000)
    vectors = rng.standard_normal((len(tokenizer), 6)).astype(np.float32)
    return [vectors[ids] for ids in tokenizer.encode_batch(texts, 250)]


@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_real_reviews_add_up(layers: int, directions: int, reviews: list[np.ndarray]) -> None:
    """The ledger of 1,000 real reviews adds up, whatever the summary, direction and depth."""
    model, worst = stack("gru", layers, directions, H=16), 0.0
    for start in range(0, 1000, 100):
        traces = model.trace(*pad(reviews[start : start + 100], 6))
        worst = max(worst, *(draw_ledger(traces, summary, row).error for row in range(100) for summary in SUMMARIES))
    assert worst < EXACT


def test_a_compounding_that_forgets_all_keeps_the_last_step() -> None:
    """With a rate of 0 the summary is the last vector alone; without a rate it is the average."""
    x = np.array([[2.0], [4.0], [6.0]], np.float32)
    assert draw_vector_ledger(x, 0.0, x[-1]).balance.ravel().tolist() == [0, 0, 6]
    assert draw_vector_ledger(x, None, x.mean(0)).balance.sum() == pytest.approx(4)


@pytest.mark.parametrize("directions", [1, 2])
def test_the_stream_is_what_is_left_after_every_step(directions: int) -> None:
    """At each step the bands are |share ∘ deposit| summed over the units, and all others and the start are one more."""
    rng, lengths = np.random.default_rng(0), np.array([3, 12])
    x, h0 = (
        rng.standard_normal((12, 2, 6)).astype(np.float32),
        rng.standard_normal((directions, 2, 9)).astype(np.float32),
    )
    trace = stack("gru", 1, directions).trace(x, lengths, h0)[-1]
    found, walk = stream(trace, 4, row=1), trace.walk(1)
    z, deposits = walk.update.astype(float), np.abs((1 - walk.update.astype(float)) * walk.candidate)
    left = np.zeros((12, 12, 9))  # of step s after step t
    for t, s in itertools.product(range(12), range(12)):
        left[s, t] = deposits[s] * z[s + 1 : t + 1].prod(0) if s <= t else 0
    opening = np.abs(h0[-1, 1]) * np.cumprod(z, 0)
    order = slice(None, None, -1 if directions == 2 else 1)
    bands = left.sum(2)[order, order]
    assert sorted(found.steps) == found.steps.tolist()
    assert set(found.steps) == set(np.argsort(-bands.sum(1))[:4])
    np.testing.assert_allclose(found.amounts[:-1], bands[found.steps])
    np.testing.assert_allclose(found.amounts.sum(0), (bands.sum(0) + opening.sum(1)[order]))


def test_the_stream_of_an_lstm_is_that_of_its_cell_state() -> None:
    """After each step the bands add up to what deposits and start have left in the cell state, by size."""
    rng = np.random.default_rng(0)
    x, h0 = (rng.standard_normal(shape).astype(np.float32) for shape in ((12, 1, 6), (2, 1, 1, 9)))
    (trace,) = stack("lstm", 1, 1).trace(x, h0=h0)
    found, walk = stream(trace, 4), trace.walk()
    total, sums = np.abs(h0[1, 0, 0]).astype(float), []
    for f, deposit in zip(walk.forget, walk.input * walk.candidate, strict=True):
        total = f * total + np.abs(deposit)
        sums.append(total.sum())
    np.testing.assert_allclose(found.amounts.sum(0), sums, rtol=1e-5)


def test_a_stream_of_nothing() -> None:
    """A sequence without a step has no bands, and a count beyond its length follows all steps."""
    (trace,) = stack("gru", 1, 1).trace(np.ones((2, 2, 6), np.float32), np.array([0, 2]))
    assert stream(trace, row=0).amounts.shape == (1, 0)
    assert stream(trace, row=1).steps.tolist() == [0, 1]
