"""Word vectors of the texts to train on: counts of neighbours, their information, and its decomposition."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tidegate.training import associations  # noqa: E402
from tidegate.training.corpus import Corpus  # noqa: E402

RNG = np.random.default_rng(3)


def corpus(count: int = 40, words: int = 12) -> Corpus:
    """Texts of random words, some of them empty or of one word."""
    return Corpus.from_rows([RNG.integers(1, words, length).astype(np.int32) for length in RNG.integers(0, 9, count)])


def test_neighbours_are_counted_within_a_text() -> None:
    """Counts are those of a loop over all pairs of words of a text that are near enough, of the first contexts only."""
    texts = corpus()
    expected = np.zeros((12, 5))
    for b in range(len(texts)):
        ids = texts.row(b).tolist()
        for i, word in enumerate(ids):
            for j, context in enumerate(ids):
                if context < 5 and 0 < abs(i - j) <= 3:
                    expected[word, context] += 1
    assert np.array_equal(associations._counts(texts, 12, 5, 3).numpy(), expected)


def test_information_is_that_of_its_definition() -> None:
    """Each entry is the positive part of log p(w, c) / (p(w) p(c)^0.75), and 0 where two words never meet."""
    counts = RNG.integers(0, 4, (7, 5)).astype(np.float32)
    counts[2] = 0
    counts[:, 3] = 0
    joint = counts / counts.sum()
    smoothed = counts.sum(0) ** 0.75
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.log(joint / (joint.sum(1, keepdims=True) * smoothed / smoothed.sum()))
    expected = np.where(counts > 0, np.maximum(expected, 0), 0)
    np.testing.assert_allclose(associations._information(torch.from_numpy(counts.copy())), expected, atol=1e-5)


def test_words_of_the_same_neighbours_are_alike() -> None:
    """Two words that stand in the same places get nearly the same vector, another word does not."""
    frames = [[3, 4], [5, 6], [7, 8]]
    rows = [[left, word, right] for left, right in frames for word in (10, 11)] * 20
    rows += [[12, 9, 13], [13, 9, 12]] * 20
    torch.manual_seed(0)
    vectors = associations.word_vectors(Corpus.from_rows([np.array(row, np.int32) for row in rows]), 14, 6)
    alike = torch.nn.functional.cosine_similarity(vectors[10], torch.stack([vectors[11], vectors[9]]))
    assert alike[0] > 0.999
    assert alike[1] < 0.5


@pytest.mark.parametrize("rows", [[], [[]], [[3]], [[1, 2], [2, 1]]])
def test_texts_with_few_neighbours_have_vectors_too(rows: list[list[int]]) -> None:
    """Without any pair of words all numbers are 0; where the matrix has a smaller rank, the last ones are."""
    texts = Corpus.from_rows([np.array(row, np.int32) for row in rows])
    vectors = associations.word_vectors(texts, 4, 16)
    assert vectors.shape == (4, 16)
    assert vectors.isfinite().all()
    assert not vectors[:, 4:].any()
    assert bool(vectors.any()) == (len(rows) == 2)
