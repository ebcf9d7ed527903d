"""Word vectors of the texts to train on: which words stand near each other, in few numbers."""

import torch
from torch import Tensor

from tidegate.training.corpus import Corpus

WINDOW = 5  # words on each side
_CONTEXTS = 2000  # most frequent words that count as neighbours; rarer ones add little (Bullinaria & Levy 2007)
_SMOOTHING = 0.75  # exponent of the frequency of neighbours, which raises that of rare ones
_SPARE = 8  # dimensions that the randomized decomposition computes beyond those that are kept


def word_vectors(corpus: Corpus, words: int, size: int, window: int = WINDOW) -> Tensor:
    """Computes word vectors by a truncated singular value decomposition of positive pointwise mutual information.

    The matrix is max(0, log p(w, c) / (p(w) p(c)^0.75)), where c is a word within the window of w, one of the 2,000
    most frequent; of its decomposition U S Vᵀ the vectors are U √S (Levy, Goldberg & Dagan 2015, "Improving
    Distributional Similarity with Lessons Learned from Word Embeddings", TACL 3), by a randomized method (Halko,
    Martinsson & Tropp 2011), which draws from torch's global generator.

    Args:
        corpus: Texts as word ids, by falling frequency.
        words: V, how many words there are.
        size: E, how many numbers a vector has.
        window: How far neighbours may be, in words.

    Returns:
        float32 [V, E] with a standard deviation of 1; the last columns are 0 where the matrix has a smaller rank.
    """
    information = _information(_counts(corpus, words, min(words, _CONTEXTS), window))
    rank = min(size, *information.shape)
    u, s, _ = torch.svd_lowrank(information, min(rank + _SPARE, *information.shape), niter=2)
    vectors = torch.zeros(words, size)
    vectors[:, :rank] = u[:, :rank] * s[:rank].sqrt()
    return vectors / vectors.std().clamp_min(torch.finfo(torch.float32).tiny)


def _counts(corpus: Corpus, words: int, contexts: int, window: int) -> Tensor:
    """Counts how often each word has each of the most frequent words near it, float32 [V, contexts]."""
    ids, text = torch.from_numpy(corpus.steps).long(), _text_of_steps(corpus)
    counts = torch.zeros(words * contexts, dtype=torch.int32)
    for distance in range(1, window + 1):
        together = text[distance:] == text[:-distance]
        left, right = ids[:-distance][together], ids[distance:][together]
        for word, context in ((left, right), (right, left)):
            near = context < contexts
            cells = word[near] * contexts + context[near]
            counts.index_add_(0, cells, torch.ones(len(cells), dtype=torch.int32))
    return counts.view(words, contexts).float()


def _text_of_steps(corpus: Corpus) -> Tensor:
    """Numbers the text that each step belongs to, int64 [N]."""
    return torch.repeat_interleave(torch.from_numpy(corpus.lengths))


def _information(counts: Tensor) -> Tensor:
    """Turns counts into positive pointwise mutual information, in their memory; padding has none."""
    word, context = counts.sum(1, keepdim=True), counts.sum(0).pow(_SMOOTHING)
    expected_share = (context / context.sum().clamp_min(1)).clamp_min(1e-30)
    counts.div_(word.clamp_min(1)).div_(expected_share).log_().clamp_min_(0)
    return counts
