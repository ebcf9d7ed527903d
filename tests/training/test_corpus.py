"""Batches cut from texts in one flat array."""

import numpy as np

from tidegate.text.tokenizer import PADDING, Tokenizer
from tidegate.training.data.corpus import Corpus


def corpus_of(*lengths: int) -> Corpus:
    """Texts of given lengths, whose words are 10, 11, … in the first, 20, 21, … in the second."""
    return Corpus.from_rows([np.arange(10 * (b + 1), 10 * (b + 1) + n, dtype=np.int32) for b, n in enumerate(lengths)])


def test_chosen_texts_stand_side_by_side() -> None:
    """Texts become columns in the order asked for, filled up with padding."""
    ids, lengths = corpus_of(1, 3, 2).padded(np.array([2, 1]))
    assert ids.tolist() == [[30, 20], [31, 21], [PADDING, 22]]
    assert lengths.tolist() == [2, 3]
    assert ids.dtype == np.int32


def test_empty_texts_are_columns_of_padding() -> None:
    """A text without a word has length 0, and a batch of such texts still has one step."""
    ids, lengths = corpus_of(0, 2, 0).padded(np.array([0, 2]))
    assert ids.tolist() == [[PADDING, PADDING]]
    assert lengths.tolist() == [0, 0]


def test_texts_are_encoded_in_order() -> None:
    """More texts than are encoded at once come out as the tokenizer encodes each alone."""
    tokenizer = Tokenizer.train(["a b c d e f g"], min_frequency=1)
    texts = [" ".join("abcdefg"[: n % 8]) for n in range(5000)]
    corpus = Corpus.from_texts(texts, tokenizer, max_length=5)
    assert len(corpus) == 5000
    for row in (0, 7, 2047, 2048, 4999):
        expected = tokenizer.encode_batch([texts[row]], max_length=5)[0]
        assert corpus.steps[corpus.offsets[row] : corpus.offsets[row + 1]].tolist() == expected.tolist()


def test_no_texts_make_an_empty_corpus() -> None:
    """Nothing in, nothing out."""
    corpus = Corpus.from_rows([])
    assert len(corpus) == 0
    assert corpus.steps.dtype == np.int32


def test_sequences_of_vectors_are_padded_with_zeros() -> None:
    """Vectors lie side by side as word ids do, and one sequence can be taken out."""
    corpus = Corpus.from_rows([np.ones((2, 3), np.float32), np.full((1, 3), 2, np.float32)])
    x, lengths = corpus.padded(np.array([1, 0]))
    assert x[:, :, 0].tolist() == [[2, 1], [0, 1]]
    assert lengths.tolist() == [1, 2]
    assert corpus.row(1).tolist() == [[2, 2, 2]]


def test_long_texts_are_cut_into_pieces() -> None:
    """Pieces follow each other where the text stood; short texts and whole multiples have none left over."""
    cut = corpus_of(5, 1, 4, 0, 2).cut(2)
    assert [cut.row(b).tolist() for b in range(len(cut))] == [
        [10, 11],
        [12, 13],
        [14],
        [20],
        [30, 31],
        [32, 33],
        [50, 51],
    ]
    assert Corpus.from_rows([]).cut(2).offsets.tolist() == [0]
