"""Reviews of the studies: how they are drawn, shuffled and learnt."""

from pathlib import Path

import numpy as np

from tidegate.study import reviews
from tidegate.study.frame import Setup

SIZES = {"train": 300, "test": 100, "max_length": 10, "review_hidden": 8, "embedding": 8}


def test_a_seed_draws_its_own_reviews(by_order: Path) -> None:
    """The same seed draws the same reviews, a tenth of them to choose by, and others to judge by."""
    drawn = reviews.draw(Setup(2, SIZES, by_order), seed=1)
    assert (len(drawn.examples.train), len(drawn.examples.validation), len(drawn.test)) == (270, 30, 100)
    other = reviews.draw(Setup(2, SIZES, by_order), seed=2)
    assert not np.array_equal(drawn.test.targets, other.test.targets)
    assert reviews.held_out(Setup(2, SIZES, by_order), 5, 1) == reviews.held_out(Setup(2, SIZES, by_order), 9, 1)[:5]


def test_shuffled_reviews_keep_their_words(by_order: Path) -> None:
    """Each has the same words in another order, and the vocabulary is the same."""
    setup = Setup(2, SIZES, by_order)
    drawn, shuffled = (reviews.draw(setup, 1, shuffled=shuffled) for shuffled in (False, True))
    assert drawn.examples.tokenizer.vocab == shuffled.examples.tokenizer.vocab
    for one, other in ((drawn.test, shuffled.test), (drawn.examples.train, shuffled.examples.train)):
        before, after = (part.corpus.steps.reshape(-1, 3) for part in (one, other))
        assert np.array_equal(np.sort(before, axis=1), np.sort(after, axis=1))
        assert 0.5 < (before != after).any(axis=1).mean() < 1


def test_a_folder_may_hold_the_tables_or_a_folder_imdb(by_order: Path, tmp_path: Path) -> None:
    """Both ways to keep reviews are found."""
    (tmp_path / "imdb").symlink_to(by_order)
    assert reviews.split(tmp_path)[0].texts == reviews.split(by_order)[0].texts


def test_a_classifier_learns_what_order_decides(by_order: Path) -> None:
    """A GRU tells the reviews apart by the order of words, and not when they are shuffled."""
    setup = Setup(2, SIZES, by_order)
    drawn = reviews.draw(setup, 0)
    fitted = reviews.classifier(drawn, drawn.config(setup), 0, epochs=30, learning_rate=0.02)
    assert fitted.accuracy > 0.95
    assert reviews.accuracy(fitted.model, reviews.draw(setup, 0, shuffled=True).test) < 0.8
    assert fitted.facts()["score"] == fitted.accuracy
