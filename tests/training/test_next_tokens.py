"""Texts whose next words or characters are to be predicted: batches that go on, training, and simple forecasts."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tidegate  # noqa: E402
from tidegate.models.text_model import TextModel  # noqa: E402
from tidegate.training.baselines.forecasts import forecasts  # noqa: E402
from tidegate.training.baselines.token_forecasts import KneserNey  # noqa: E402
from tidegate.training.data.next_tokens import Running, prepare_tokens  # noqa: E402
from tidegate.training.network.likelihoods import judge_texts  # noqa: E402
from tidegate.training.network.modules import TextModule  # noqa: E402
from tidegate.training.settings import Settings  # noqa: E402

QUICK: dict[str, Any] = {"hidden_size": 16, "embedding_size": 8, "batch_size": 4, "epochs": 4, "learning_rate": 0.03}
TEXTS = ["ab" * n + "." for n in range(3, 40)]


def of_characters(**options: Any) -> Any:
    """Characters of texts in which "b" follows "a"."""
    return prepare_tokens(TEXTS, tokens="characters", **options)


@pytest.mark.parametrize(("size", "part"), [(1, 7), (3, 5), (4, 1), (8, 100), (2, 10_000)])
def test_rows_of_a_batch_go_on_where_the_last_one_ended(size: int, part: int) -> None:
    """Lane by lane the parts of an epoch are one running text, which holds every token; targets are the next ones."""
    train: Running = of_characters(bptt=part).train
    drawn = list(train.batches(size, np.random.default_rng(0)))
    assert len(drawn) == -(-len(train) // size) == Settings(batch_size=size).schedule(len(train), 0.1).steps
    lanes: list[list[int]] = [[] for _ in range(size)]
    follow: list[list[int]] = [[] for _ in range(size)]
    for laid, rows in drawn:
        ids, lengths = laid.corpus.padded(rows)
        targets = np.zeros(ids.shape, np.int64)
        targets[np.arange(len(ids))[:, None] < lengths] = laid.targets[laid.answers(rows)]
        assert lengths.max() <= part
        for b in range(size):
            lanes[b] += ids[: lengths[b], b].tolist()
            follow[b] += targets[: lengths[b], b].tolist()
    together = [token for lane in lanes for token in lane]
    counts, known = Counter(together[: train.steps]), Counter(train.corpus.steps.tolist())
    assert counts == known
    assert together[1:] == [token for lane in follow for token in lane][:-1]
    again = list(train.batches(size, np.random.default_rng(0), skip=len(drawn) - 1))
    assert [rows.tolist() for _, rows in again] == [drawn[-1][1].tolist()]


def test_an_epoch_takes_four_bytes_a_token() -> None:
    """What follows is read where the tokens are; of what is kept between epochs, neither is wider than an id."""
    train: Running = of_characters().train
    laid, _ = next(iter(train.batches(4, np.random.default_rng(0))))
    assert np.shares_memory(laid.corpus.steps, laid.targets)
    assert {array.dtype for array in (laid.targets, laid.corpus.steps, train.targets, train.corpus.steps)} == {
        np.dtype(np.int32)
    }


def test_long_texts_are_judged_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each token counts once, and ends are those of texts: a piece begins with a state of 0, and ends with the next."""
    examples = of_characters(validation=[TEXTS[30], TEXTS[0]])
    held = examples.validation
    assert isinstance(held, Running)
    module = TextModule(examples.config("gru", hidden_size=5, embedding_size=4)).eval()
    whole = judge_texts(module, held)
    assert whole.n == len(TEXTS[30]) + len(TEXTS[0]) + 2 == whole.characters
    monkeypatch.setattr("tidegate.training.network.likelihoods._PIECE", 7)
    with torch.no_grad():
        nats = [
            torch.nn.functional.cross_entropy(
                module(torch.from_numpy(held.corpus.row(b)[start : start + 7, None]), torch.tensor([len(piece)])),
                piece,
                reduction="none",
            )
            for b, following in enumerate(np.split(held.targets, held.corpus.offsets[1:-1]))
            for start in range(0, len(following), 7)
            for piece in [torch.from_numpy(following[start : start + 7]).long()]
        ]
    pieces = judge_texts(module, held)
    assert pieces.n == whole.n
    assert pieces.nats == pytest.approx(float(torch.cat(nats).mean()))
    assert pieces.nats != whole.nats


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_states_are_carried_from_part_to_part_and_end_with_a_text(cell: str) -> None:
    """In training a text in two parts has the states that it has in one; another text before it changes nothing."""
    examples = of_characters()
    module = TextModule(examples.config(cell, num_layers=2, **{n: QUICK[n] for n in ("hidden_size", "embedding_size")}))
    row = torch.from_numpy(examples.train.corpus.row(0).copy())[:, None].int()
    with torch.no_grad():
        whole = module.states(row, torch.tensor([len(row)]))
        module.carried = ()
        module.states(row[:4], torch.tensor([4]))  # another text, which is not at its end
        parts = [module.states(part, torch.tensor([len(part)])) for part in (row[:5], row[5:])]
        module.eval()
        assert torch.equal(module.states(row, torch.tensor([len(row)])), whole)
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("lengths", [[9, 9, 9], [9, 2, 5]])
def test_the_loss_is_the_cross_entropy_of_all_scores(lengths: list[int]) -> None:
    """Piece by piece it is that of what `forward` returns, in batches that are full and in ragged ones."""
    examples = of_characters()
    module = TextModule(examples.config("gru", hidden_size=5, embedding_size=4))
    drawn, sizes = np.random.default_rng(0), torch.tensor(lengths)
    ids, targets = (
        torch.from_numpy(drawn.integers(1, len(examples.tokenizer), size).astype(np.int32))
        for size in ((9, 3), sum(lengths))
    )
    module.carried = ()
    expected = module.loss(module(ids, sizes), targets)
    module.carried = ()
    torch.testing.assert_close(module.loss_of(ids, sizes, targets), expected)


def test_the_same_features_drop_out_all_along_a_part() -> None:
    """Each row of a batch has its own; what is left is as much larger."""
    examples = of_characters()
    module = TextModule(examples.config("gru", hidden_size=64, embedding_size=4), dropout=0.5)
    ids, lengths = torch.ones(6, 2, dtype=torch.int32), torch.tensor([6, 6])
    torch.manual_seed(0)
    with torch.no_grad():
        dropped = module.features(ids, lengths).view(6, 2, 64)
        kept = module.eval().features(ids, lengths).view(6, 2, 64)
    factors = (dropped / kept).round(decimals=3)
    assert torch.equal(factors, factors[:1].expand(6, 2, 64))
    assert set(factors.flatten().tolist()) == {0, 2}
    assert not torch.equal(factors[0, 0], factors[0, 1])


def test_threads_change_no_bit_of_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part in many pieces, and held-out texts in many, come to the same with one thread and with three."""
    monkeypatch.setattr("tidegate.training.network.head_loss._WORDS", 5)
    monkeypatch.setattr("tidegate.training.network.head_loss._SCORES", 1)
    monkeypatch.setattr("tidegate.training.network.likelihoods._SCORES", 50)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr("tidegate.training.network.threads.get_num_threads", lambda n=threads: n)
        found.append(tidegate.fit(TEXTS, task="next", tokens="characters", bptt=6, dropout=0.3, **QUICK))
    one, three = found
    assert one.metrics["nats"] == three.metrics["nats"]
    assert all(np.array_equal(array, three.arrays[name]) for name, array in one.arrays.items())


@pytest.mark.parametrize("tokens", ["words", "characters"])
def test_a_model_judges_as_training_did(tokens: str) -> None:
    """The scores of the model file are those of the model's own likelihoods, and of its characters."""
    texts = [" ".join(text[:9]) for text in TEXTS]
    model = tidegate.fit(texts, task="next", tokens=tokens, bptt=6, validation=texts[:5], **QUICK)
    assert isinstance(model, TextModel)
    found = np.concatenate(model.log_likelihoods(texts[:5]))
    assert -found.mean() == pytest.approx(model.metrics["nats"], rel=1e-4)
    characters = sum(len(text) + 1 for text in texts[:5])
    bits = -found.sum() / np.log(2) / characters
    assert model.metrics["bits_per_character"] == pytest.approx(bits, rel=1e-4)
    assert model.metrics["n"] == len(found)
    assert model.metrics["perplexity"] == pytest.approx(np.exp(model.metrics["nats"]))
    assert model.config.task == "next-token"


def test_what_follows_is_learned() -> None:
    """After "a" there is always "b": the network is nearly sure of it, surer than of what follows "b"."""
    model = tidegate.fit(TEXTS, task="next", tokens="characters", bptt=20, **QUICK | {"epochs": 12})
    assert isinstance(model, TextModel)
    assert model.forecast(["aba"]) == ["b"]
    [found] = model.log_likelihoods(["abab"])
    assert np.exp(found[[1, 3]]).min() > 0.9


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (TEXTS, {"labels": [0] * len(TEXTS)}, "labels are given, but the task is 'next'"),
        (TEXTS, {"tokens": "letters"}, "tokens is 'letters', expected one of 'words', 'characters'"),
        (TEXTS, {"bptt": 0}, "bptt is 0, expected an integer of 1 or more"),
        (TEXTS, {"task": "next-binary"}, "task is 'next-binary', expected one of 'next', 'next-token'"),
        (TEXTS, {"cell": "average"}, "needs a recurrent cell"),
        (TEXTS, {"bidirectional": True}, "needs a recurrent cell that reads forward"),
        (TEXTS, {"sample_weight": np.ones(len(TEXTS))}, "sample_weight is given, but the steps"),
        (TEXTS, {"parts": "ngrams"}, "parts is 'ngrams', but parts are those of a classifier"),
        (["", ""], {}, "there is no text"),
        (TEXTS, {"validation": [""]}, "there is no text to judge by"),
        ([np.ones((5, 2))] * 9, {"task": "next-token"}, "foresees words, but the data are sequences of numbers"),
    ],
)
def test_what_cannot_be_meant_is_refused(data: Any, settings: dict[str, Any], message: str) -> None:
    """Labels, numbers, cells that do not read forward, and unknown tokens are errors that name what was found."""
    with pytest.raises(ValueError, match=message):
        tidegate.fit(data, **{"task": "next", **settings})


def test_the_end_of_a_single_text_is_held_out() -> None:
    """Of one text the last tenth is judged, of many texts some; empty ones are left out."""
    one = prepare_tokens(["ab" * 500], tokens="characters")
    assert isinstance(one.validation, Running)
    assert one.validation.characters.tolist() == [100]
    some = prepare_tokens(["", *TEXTS], validation=0.2)
    assert (len(some.train.corpus), len(some.validation.corpus)) == (30, 7)
    assert some.rows.min() >= 1


def naive(train: list[list[int]], size: int, order: int, context: list[int], token: int) -> float:
    """Interpolated Kneser-Ney as Chen & Goodman (1999) write it, from sets and counters."""
    runs = [Counter[tuple[int, ...]]() for _ in range(order + 1)]
    for row in train:
        for i, following in enumerate([*row[1:], 0]):
            history = [row[0]] * order + row[: i + 1]
            for k in range(order):
                runs[k][(*history[len(history) - k :], following)] += 1
    counts = [runs[order - 1] if k == order - 1 else Counter(run[1:] for run in runs[k + 1]) for k in range(order)]
    p = 1 / size
    for k in range(order):
        ones, twos = (sum(c == n for c in counts[k].values()) for n in (1, 2))
        d = ones / (ones + 2 * twos) if ones and twos else 0.5
        before = tuple(([context[0]] * order + context)[-k:] if k else ())
        total = sum(c for run, c in counts[k].items() if run[:-1] == before)
        kinds = sum(run[:-1] == before for run in counts[k])
        if total:
            p = (max(counts[k][(*before, token)] - d, 0) + d * kinds * p) / total
    return p


@pytest.mark.parametrize("order", [1, 2, 3])
def test_counted_runs_are_kneser_neys(order: int) -> None:
    """Probabilities add up to 1, and are those of a plain computation, at the beginning of texts too."""
    examples = prepare_tokens(["abcab", "abd", "aab"] * 2, tokens="characters", validation=["abdx", "ca"])
    train, held = examples.train, examples.validation
    assert isinstance(train, Running)
    assert isinstance(held, Running)
    size = len(examples.tokenizer)
    counted = KneserNey(train, size, order)
    rows = [train.corpus.row(b).tolist() for b in range(len(train.corpus))]
    expected = [
        naive(rows, size, order, held.corpus.row(b)[: i + 1].tolist(), int(held.targets[held.corpus.offsets[b] + i]))
        for b in range(2)
        for i in range(len(held.corpus.row(b)))
    ]
    np.testing.assert_allclose(counted.probabilities(held), expected)
    every = [counted.probabilities(replace(held, targets=np.full_like(held.targets, v))) for v in range(size)]
    np.testing.assert_allclose(np.sum(every, axis=0), 1)


def test_simple_forecasts_stand_beside_the_network() -> None:
    """Runs of tokens foresee more than frequencies, and these more than nothing."""
    reports = forecasts(of_characters())
    assert list(reports) == ["all alike", "frequency", "6-grams"]
    nats = [report.nats for report in reports.values()]
    assert nats == sorted(nats, reverse=True)
    assert nats[0] == pytest.approx(np.log(len(of_characters().tokenizer)))
