"""Parts of a model that reads streams: n-grams beside a network."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import StateError, StreamPool, TextConfig, TextModel
from tidegate.stream.state import State
from tidegate.text.pieces import Held
from tidegate.text.tokenizer import Tokenizer, Words

TEXT = "A good film, is it? <br />caf&eacute;s & cafe\u0301s 東京の映画。 Unheard-of <b>Bad</b> film, a film don't!"
KINDS = [("gru", 2, 64), ("average", 3, 64), ("none", 2, 64), ("lstm", 2, 0)]


def ngram_model(cell: str = "gru", classes: int = 2, letters: int = 64, **rest: Any) -> TextModel:
    """A model with random weights, and half of all runs of up to two of its words."""
    rng, tokenizer = np.random.default_rng(0), Tokenizer.train(["a good film , it 東", "a bad film !"], min_frequency=1)
    ids = range(1, len(tokenizer) + 1)
    runs = [run for run in [*product(ids, [0]), *product(ids, ids)] if rng.random() < 0.5]
    sizes: dict[str, Any] = {"embedding_size": 0} if cell == "none" else {"embedding_size": 4, "hidden_size": 5}
    config = TextConfig(
        cell=cell,
        labels=("bad", "good", "so-so")[:classes],
        vocab_size=len(tokenizer),
        ngrams=len(runs),
        ngram_order=2,
        ngram_letters=letters,
        **sizes,
        **rest,
    )
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in config.shapes().items()}
    arrays["ngrams.words"] = np.array(sorted(runs), np.float32)
    return TextModel(config, tokenizer, arrays)


def same(a: Any, b: Any) -> bool:
    """Whether two arrays have the same bits."""
    return bool(np.asarray(a).tobytes() == np.asarray(b).tobytes())


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_may_be_cut_anywhere(kind: Any) -> None:
    """Scores after all pieces, with a state stored between them, have the bits of the whole text."""
    model = ngram_model(*kind)
    whole = model.scores([TEXT])[0]
    assert not same(
        whole,
        model.head(model.summaries([model.tokenizer.encode_batch([TEXT])[0]], model.arrays["embedding.weight"]))[0],
    )
    for i in range(len(TEXT) + 1):
        session = model.stream(model.stream().push(TEXT[:i]).state)
        assert same(session.push(TEXT[i:]).finish().scores, whole)
    assert same(session.probabilities, model.predict_proba([TEXT])[0])
    assert session.prediction == model.predict([TEXT])[0]


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_words_so_far(kind: Any) -> None:
    """After each word they have the bits of a text that ends there, from the empty one on, also after a reset."""
    model = ngram_model(*kind)
    session, words = model.stream(), ["a", "good", "unheard", "film", ",", "a", "good", "film", "!", "unheard"]
    for n in range(len(words) + 1):
        assert same(session.scores, model.scores([" ".join(words[:n])])[0])
        session.push(f"{words[n % len(words)]} ")
    session.reset()
    assert same(session.scores, model.scores([""])[0])


@settings(max_examples=40)
@given(st.lists(st.text("abAZ<>&;'\"= \0\u0301\u200d\u200c漢ー/n't", max_size=5), max_size=6))
def test_any_pieces_of_any_text(pieces: list[str]) -> None:
    """Words that the model does not know are spelt as in the whole text, wherever it was cut."""
    model = ngram_model("none")
    session = model.stream()
    for piece in pieces:
        session = model.stream(session.push(piece).state)
    assert same(session.finish().scores, model.scores(["".join(pieces)])[0])


def test_a_stream_ends_where_predict_does() -> None:
    """Words beyond the longest text change nothing and take nothing; an endless stream reads, and keeps, them all."""
    model = ngram_model(max_length=3)
    session, endless = model.stream(), model.stream(endless=True)
    for word in TEXT.split():
        session.push(f"{word} ")
        endless.push(f"{word} ")
    assert same(session.finish().scores, model.scores([TEXT])[0])
    assert same(session.state, model.stream().push("A good film ").state)
    longer = TextModel(TextConfig(**{**vars(model.config), "max_length": None}), model.tokenizer, model.arrays)
    assert same(endless.finish().scores, longer.scores([TEXT])[0])
    assert len(endless.state) - len(session.state) >= 4 * (endless.steps - 3)


def test_sessions_of_a_pool_are_as_if_alone() -> None:
    """Sessions have the bits of whole texts, through a store too, with other unknown words between."""
    model, store = ngram_model(), dict[int, bytes]()
    texts = [" ".join(TEXT.split()[i:] + TEXT.split()[:i] + [f"word{i}"] * i) for i in range(9)]
    pool = StreamPool(model, max_sessions=4, on_evict=store.__setitem__, recall=lambda key: store.pop(key, None))
    for at in range(0, 160, 20):
        for some in ([3, 1], [7, 0, 2, 8], [4, 6, 5]):
            pool.push(some, [texts[key][at : at + 20] for key in some])
    assert store
    for some in ([0, 1, 2, 3], [4, 5, 6, 7], [8]):
        pool.push(some, [texts[key][160:] for key in some])
        assert same(pool.finish(some).scores, model.scores([texts[key] for key in some]))


def test_memory_counts_words_and_gives_them_back() -> None:
    """What words take grows with them, and is nothing when the sessions have gone."""
    pool = StreamPool(ngram_model())
    assert pool.push(["a", "b"], ["", ""]).scores.shape == (2, 2)
    assert pool.memory.words == 0
    pool.push(["a", "b"], ["a good film " * 1000, "unheard " * 1000])
    assert pool.memory.words > 4 * 4000 + 8 * 1000
    pool.drop("b")
    assert 4 * 3000 <= pool.memory.words < 4 * 3000 + 500
    pool.drop("a")
    assert pool.memory.words == 0
    pool.push(["c"], ["a film "])
    assert same(pool.finish(["c"]).scores, pool.model.scores(["a film"]))  # type: ignore[attr-defined]


def test_words_that_the_model_does_not_know_open_nothing() -> None:
    """A state with word ids beyond the vocabulary is an error, and the session is as it was."""
    model = ngram_model("none")
    session = model.stream().push("a good ")
    before = session.state
    for wrong in (-1, len(model.tokenizer)):
        words = Words(np.array([wrong], np.int32))
        with pytest.raises(StateError, match="words that the model does not know"):
            session.state = State(model.model_id, 1, Held(), bytes(4 * session._slots.floats), words).to_bytes()
    assert session.state == before
