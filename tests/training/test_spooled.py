"""Rows on a disk: the same rows, words and classes as in memory, drawn in an order that can be continued anywhere."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidegate.data.tables.label_names import as_booleans
from tidegate.text.counting import WordCounter
from tidegate.text.tokenizer import Tokenizer
from tidegate.training.checkpoints import Checkpoints
from tidegate.training.data import spool
from tidegate.training.data.examples import TextExamples, prepare_texts
from tidegate.training.data.labelled import Labelled
from tidegate.training.data.spooled.drawn import Drawn, Row
from tidegate.training.data.spooled.gathered import Plan
from tidegate.training.data.spooled.preparing import parts_of, spool_sequences, spool_texts
from tidegate.training.events import Epoch, Step
from tidegate.training.fingerprint import differences, fingerprint
from tidegate.training.settings import Settings

SMALL = Plan(memory=1 << 20, validation=0.2)  # pools of 32 kilobytes
SETTINGS = Settings(epochs=2, batch_size=16, learning_rate=0.05)


def reviews(count: int = 600, words: int = 12) -> tuple[list[str], list[str]]:
    """Texts whose label is told by one of their words."""
    rng = np.random.default_rng(3)
    labels = ["good" if up else "bad" for up in rng.random(count) < 0.5]
    rest = rng.choice([f"w{i}" for i in range(60)], (count, words))
    lengths = rng.integers(3, words, count)
    return [" ".join([label, *row[:n]]) for label, row, n in zip(labels, rest, lengths, strict=True)], labels


@pytest.fixture
def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few rows, so that a small test has many of them, and several pools."""
    monkeypatch.setattr(spool, "_BLOCK", 400)


@pytest.fixture
def examples(tiny_blocks: None) -> TextExamples:
    """Texts on a disk, in pools of few batches."""
    texts, labels = reviews()
    found = spool_texts(parts_of(texts, labels, 50), SMALL)
    assert found.spool
    return replace(found, spool=replace(found.spool, pool_bytes=6000))


def rows_of(batches: Iterator[tuple[Labelled, Any]]) -> list[tuple[bytes, int]]:
    """The rows of batches with their targets, in their order."""
    return [(pool.corpus.row(b).tobytes(), int(pool.targets[b])) for pool, rows in batches for b in rows]


def test_rows_on_a_disk_are_those_in_memory(examples: TextExamples) -> None:
    """Every row is trained on or held out, once, with its words, its class, and the vocabulary of those in memory."""
    texts, labels = reviews()
    held = set(examples.texts[1])
    trained = [(text, label) for text, label in zip(texts, labels, strict=True) if text not in held]
    known = prepare_texts(*zip(*trained, strict=True), validation=0)
    assert examples.tokenizer.vocab == known.tokenizer.vocab
    assert 30 < len(held) < 100
    assert len(examples.source) + len(held) == len(texts)
    expected = sorted((known.train.corpus.row(b).tobytes(), int(known.train.targets[b])) for b in range(len(trained)))
    assert examples.spool
    assert examples.spool.pool_batches(16) > 1
    assert sorted(rows_of(examples.spool.batches(16, np.random.default_rng(0)))) == expected
    assert examples.class_counts().tolist() == known.class_counts().tolist()
    assert examples.source.steps == known.train.steps
    assert len(examples.validation) == len(held)


def test_batches_can_be_drawn_from_any_one_on(examples: TextExamples) -> None:
    """Batches that are left out are those at the beginning, all are full but the last, and another epoch differs."""
    assert examples.spool
    drawn = [rows_of(iter([batch])) for batch in examples.spool.batches(16, np.random.default_rng(0))]
    assert [len(batch) for batch in drawn[:-1]] == [16] * (len(drawn) - 1)
    assert len(drawn) == -(-len(examples.spool) // 16)
    for skip in (1, 4, 5, len(drawn) - 1, len(drawn)):
        rest = rows_of(examples.spool.batches(16, np.random.default_rng(0), skip))
        assert rest == [row for batch in drawn[skip:] for row in batch]
    assert rows_of(examples.spool.batches(16, np.random.default_rng(1))) != [row for batch in drawn for row in batch]


@pytest.mark.parametrize("stopped", [1, 9, 31, 40])
def test_a_training_goes_on_at_the_very_next_batch(examples: TextExamples, stopped: int, tmp_path: Any) -> None:
    """A training that was stopped anywhere in an epoch ends with the same bits as one that was not."""
    from tidegate.training.network.loop import train

    config = examples.config(embedding_size=4, hidden_size=4)
    whole = list(train(examples, config, SETTINGS))
    about = fingerprint(examples, config, SETTINGS)
    events = train(examples, config, SETTINGS, checkpoints=Checkpoints(tmp_path, about))
    for _ in range(stopped):
        next(events)
    events.close()
    texts, labels = reviews()
    again = spool_texts(parts_of(texts, labels, 50), SMALL)  # as another process would make them
    assert again.spool
    again = replace(again, spool=replace(again.spool, pool_bytes=6000))
    assert fingerprint(again, config, SETTINGS) == about
    assert again.spool
    larger = replace(again, spool=replace(again.spool, pool_bytes=7000))
    assert differences(about, fingerprint(larger, config, SETTINGS)) == [
        "bytes of a pool, 1/32 of the memory, is 6000 there and 7000 here"
    ]
    resumed = list(train(again, config, SETTINGS, checkpoints=Checkpoints(tmp_path, about, resume=True)))
    steps, rest = ([event for event in found if isinstance(event, Step)] for found in (whole, resumed))
    assert rest
    assert rest == steps[-len(rest) :]
    best, other = ([e for e in found if isinstance(e, Epoch) and e.weights][-1] for found in (whole, resumed))
    for name, weights in (best.weights or {}).items():
        np.testing.assert_array_equal(weights, (other.weights or {})[name])


def test_a_network_learns_from_rows_on_a_disk(examples: TextExamples) -> None:
    """Training on pools comes to the same quality as on rows in memory."""
    from tidegate.training.network.loop import train

    config = examples.config("average", embedding_size=4)
    *_, last = (event for event in train(examples, config, SETTINGS) if isinstance(event, Epoch))
    assert last.report.quality > 0.95


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_sequences_on_a_disk_are_scaled_and_filled_as_in_memory(task: str, tiny_blocks: None) -> None:
    """Numbers come back scaled by the sample, with the features that are missing somewhere in all of them."""
    rng = np.random.default_rng(0)
    sequences = [rng.normal(5, 2, (n, 2)) for n in rng.integers(0, 9, 80)]
    sequences[70][:1, 1] = np.nan
    labels: Any = rng.normal(size=80) if task == "regression" else rng.integers(0, 3, 80) + 7
    plan = Plan(task=task, validation=0, memory=1 << 19)  # a sample of a few rows
    examples = spool_sequences(parts_of(sequences, labels, 10), plan)
    assert examples.features.missing == (1,)
    assert examples.features.size == 4
    assert 1 < len(examples.train) < 40
    assert examples.validation is examples.train
    expected = sorted(
        (examples.features.read("", sequence).tobytes(), float(label))
        for sequence, label in zip(sequences, labels - 7 if task == "classification" else labels, strict=True)
    )
    found = [
        (pool.corpus.row(b).tobytes(), pool.targets[b].item())
        for pool, rows in examples.source.batches(7, np.random.default_rng(0))
        for b in rows
    ]
    assert [row for row, _ in sorted(found)] == [row for row, _ in expected]
    np.testing.assert_allclose(sorted(t for _, t in found), sorted(t for _, t in expected), rtol=1e-6)


def test_others_to_judge_by_are_sampled_if_they_are_many() -> None:
    """Rows of another source are judged by, as many as fit into memory, and none of them is trained on."""
    texts, labels = reviews(200)
    others = [f"{text} other" for text in texts]
    plan = replace(SMALL, validation=parts_of(others, labels, 30), memory=1 << 17)
    examples = spool_texts(parts_of(texts, labels, 30), plan)
    assert len(examples.source) == 200
    assert 1 < len(examples.validation) < 50
    assert set(examples.texts[1]) <= set(others)
    assert not examples.held_out


def test_a_share_is_halved_until_it_fits() -> None:
    """What is picked are the rows of the smallest chances, however they come in, and none is lost."""
    rows = [Row(number, "x" * 100, 0) for number in range(1000)]
    together, apart = Drawn(0.5, 9000, 1), Drawn(0.5, 9000, 1)
    others = together.take(rows)
    for start in range(0, 1000, 7):
        others_apart = apart.take(rows[start : start + 7])
        assert not {row.number for row in others_apart} & {row.number for _, row in apart.rows}
    assert together.rows == apart.rows
    assert together.share == apart.share < 0.1
    assert sorted(row.number for row in [*others, *(row for _, row in together.rows)]) == list(range(1000))


def test_words_are_counted_as_the_tokenizer_counts_them() -> None:
    """Vocabulary and ids are those of `Tokenizer.train`, also where texts are not plain ones."""
    texts = ["It didn’t work — “déjà vu”, CAFÉ &eacute; 北京", "it's <br/> good!!", "", "a good film; isn't it? vu"] * 2
    for vocab_size, least in [(6, 1), (1000, 2), (1000, 1)]:
        trained, counter = Tokenizer.train(texts, vocab_size, least), WordCounter()
        rows = counter.read(texts[:3]) + counter.read(texts[3:])
        words, numbers = counter.frequent(vocab_size - 2, least)
        ids = {int(number): i for i, number in enumerate(numbers, 2)}
        assert words == trained.vocab[2:]
        assert [[ids.get(n, 1) for n in row.tolist()] for row in rows] == [
            row.tolist() for row in trained.encode_batch(texts)
        ]


def test_rare_words_are_forgotten_and_frequent_ones_kept() -> None:
    """However many words there are, memory is bounded, and those that come in every part are known."""
    counter = WordCounter(most=50)
    for part in range(40):
        counter.read([f"often usual w{part}x{i} w{part}y{i}" for i in range(20)])
        assert len(counter._table) <= 50 + 42
    assert counter.frequent(2, 1)[0] == ["often", "usual"]
    assert counter.forgotten


@pytest.mark.parametrize(
    ("texts", "labels", "plan", "message"),
    [
        (["so good"] * 4, ["yes"] * 4, replace(SMALL, validation=0), "found 1 label"),
        (["so good"] * 4, ["yes", "no", None, "no"], SMALL, "row 3 has no label"),
        (["so good"] * 3, ["yes", "no", "no"], replace(SMALL, validation=0.001), "nothing was held out of 3 rows"),
        (["a", "b", "c", "d"], ["yes", "no"] * 2, replace(SMALL, validation=0), "no word occurs 2 times"),
        (["a"] * 4, ["1", "x"] * 2, replace(SMALL, task="regression"), "real numbers"),
    ],
)
def test_what_cannot_be_meant_is_refused(texts: Any, labels: Any, plan: Plan, message: str) -> None:
    """Rows without two classes, without labels, without words, or too few to hold some out are refused."""
    with pytest.raises((ValueError, TypeError), match=message):
        spool_texts(parts_of(texts, labels), plan)


def test_what_only_others_have_is_refused_as_in_memory() -> None:
    """Labels and gaps of what is judged by make no classes and no features, and the row is named."""
    numbers = [np.ones((2, 1)) * b for b in range(6)]
    for labels, gap, message in [
        (["a", "b", "c"], 1.0, "the validation part: row 3 has the label 'c', expected one of 'a', 'b'"),
        (["a", "b", "b"], np.nan, "NaN in feature 0, which was never missing in training"),
    ]:
        others = [*numbers[:2], np.array([[gap]])]
        plan = replace(SMALL, validation=parts_of(others, labels, 2))
        with pytest.raises(ValueError, match=message):
            spool_sequences(parts_of(numbers, ["a", "b"] * 3), plan)
    plan = replace(SMALL, validation=parts_of(numbers[:2], ["b", "b"]))
    examples = spool_sequences(parts_of(numbers, ["a", "b"] * 3), plan)
    assert examples.validation.targets.tolist() == [1, 1]


def test_labels_are_named_when_all_are_known() -> None:
    """Spellings of a class are one class with the rows of all, and stay two beside a word that comes late."""
    texts, plan = ["so good", "so bad", "so so"] * 20, replace(SMALL, validation=0, names=as_booleans)
    for late, names in [("true", ("false", "true")), ("maybe", ("False", "True", "maybe"))]:
        labels = ["True", "False"] * 20 + [late] * 20
        examples = spool_texts(parts_of(texts, labels, 10), plan)
        assert examples.labels == names
        assert examples.class_counts().tolist() == ([20, 40] if late == "true" else [20, 20, 20])


def test_a_share_beyond_all_is_refused() -> None:
    """A share is checked before anything is read."""
    with pytest.raises(ValueError, match=r"the validation share is 1.5, expected a number above 0"):
        Plan(validation=1.5)
