"""Texts whose next words or characters are to be predicted: what is held out of them, and how they are read on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.models.metrics.steps import blocks
from tidegate.models.metrics.tokens import TokensReport, score_tokens
from tidegate.ops.checks import check_choice, check_count
from tidegate.text.texts import check_texts
from tidegate.text.tokenizer import UNITS, UNKNOWN, Tokenizer, begun
from tidegate.training.data.corpus import Corpus, Integers
from tidegate.training.data.examples import VALIDATION, TextExamples
from tidegate.training.data.labelled import Batches, Labelled
from tidegate.training.data.next_steps import hold_out_steps
from tidegate.training.data.repeats import Repeats
from tidegate.training.data.vocabulary import RAREST, VOCAB_SIZE

BPTT = 100  # tokens that gradients reach back


@dataclass(frozen=True, kw_only=True)
class Running(Labelled):
    """Texts that are read on from part to part, by truncated backpropagation through time.

    An epoch joins all texts in random order, cuts that into as many lanes as a batch has rows, and reads all lanes part
    by part: each goes on from the state that the part before has left. A text begins with `PADDING`, where the state is
    0 again, so that texts do not depend on each other.

    Attributes:
        targets: The token after each, int32 [N].
        bptt: The most tokens of a part.
        characters: The characters of each text, int64 [B].
        foreseen: How many of the most frequent tokens are foreseen apart, others counting as the unknown one; None for
            all.
    """

    bptt: int
    characters: Integers
    foreseen: int | None = None

    def __len__(self) -> int:
        """Returns the number of parts."""
        return (self.steps + self.bptt - 1) // self.bptt

    def report(self, log_likelihoods: npt.NDArray[np.floating[Any]]) -> TokensReport:
        """Scores what was foreseen.

        Args:
            log_likelihoods: log of the probability of each of the N tokens, nats, [N].
        """
        sums = np.add.reduceat(log_likelihoods.astype(np.float64), self.corpus.offsets[:-1])
        report = score_tokens(self.characters, np.stack([sums, self.corpus.lengths], axis=1), ())
        return replace(report, errors=blocks(-log_likelihoods.astype(np.float64)))  # there may be a single text

    def described(self) -> list[Any]:
        """Returns what tells these rows from others, for a fingerprint."""
        return [*super().described(), np.array([self.bptt])]

    def batches(self, size: int, rng: "np.random.Generator", skip: int = 0) -> Batches:
        """Draws the batches of an epoch, see `Source.batches`; row b of each goes on where that of the last ended."""
        order, first = rng.permutation(len(self.corpus)), int(rng.integers(self.steps))
        return self._laid(size, order, first, skip)

    def _laid(self, size: int, order: Integers, first: int, skip: int) -> Batches:
        lane, count = -(-self.steps // size), -(-len(self) // size)
        joined = np.concatenate([self.corpus.row(b) for b in order])
        again = np.arange(first, first + size * lane + 1 - len(joined)) % len(joined)  # for the end of the last lane
        joined = np.concatenate([joined[first:], joined[:first], joined[again]])
        bounds = np.linspace(0, lane, count + 1).round().astype(np.int64)
        offsets = np.append(np.arange(size)[:, None] * lane + bounds[:-1], size * lane)
        tokens, following = joined[:-1], targets_of(joined[1:], self.foreseen)  # views: 4 bytes a token for both
        laid = Labelled(Corpus(tokens, offsets), following, ahead=True)
        yield from ((laid, np.arange(size) * count + part) for part in range(skip, count))


def prepare_tokens(
    texts: Sequence[str],
    *,
    task: str = "next",
    tokens: str = UNITS[0],
    bptt: int = BPTT,
    validation: float | Sequence[str] = VALIDATION,
    vocab_size: int = VOCAB_SIZE,
    min_frequency: int = RAREST,
    seed: int = 0,
) -> TextExamples:
    """Learns the vocabulary, holds out a part of texts, and lays beside each word or character what follows it.

    Example:
        >>> examples = prepare_tokens(["to be or not to be"] * 4, tokens="characters", validation=0.25)
        >>> examples.task, len(examples.tokenizer), len(examples.train.corpus)
        ('next-token', 9, 3)

    Args:
        texts: The B texts; each is read by itself.
        task: "next" or "next-token", which is the same.
        tokens: "words" or "characters".
        bptt: Words or characters that gradients reach back.
        validation: The share to hold out: of the texts, or, if they are too few, the end of each; or other texts to
            judge by; 0 to train on all, and to judge by the same.
        vocab_size: Most words to know, the most frequent ones first.
        min_frequency: How often a word must occur to be known.
        seed: Seed of the choice of what is held out.

    Raises:
        TypeError: A text is no text.
        ValueError: There is no text, or nothing can be held out.
    """
    check_choice("task", task, ("next", "next-token"))
    check_choice("tokens", tokens, UNITS)
    bptt = check_count("bptt", bptt)
    given = [(b, text) for b, text in enumerate(check_texts(texts)) if text]
    if not given:
        raise ValueError("there is no text, expected one or more with a word")
    rows, kept = np.array([b for b, _ in given]), [text for _, text in given]
    if isinstance(validation, int | float):
        kept, held, chosen = hold_out_steps(kept, validation, 1, seed)
    else:
        held, chosen = [text for text in check_texts(validation) if text], np.arange(len(kept))
        if not held:
            raise ValueError("there is no text to judge by, expected one or more with a word")
    tokenizer = Tokenizer.train(kept, vocab_size=vocab_size, min_frequency=min_frequency, unit=tokens)
    return TextExamples(
        labels=(),
        task="next-token",
        train=running(kept, tokenizer, bptt),
        validation=running(held, tokenizer, bptt),
        rows=rows[chosen],
        tokenizer=tokenizer,
        max_length=None,
        repeats=Repeats(),
        texts=(kept, held),
        held_out=isinstance(validation, float) and validation > 0,
    )


def running(texts: Sequence[str], tokenizer: Tokenizer, bptt: int) -> Running:
    """Turns texts into ids with what follows each of them."""
    return running_rows(tokenizer.encode_batch(texts), np.array([len(text) for text in texts], np.int64), bptt)


def running_rows(
    rows: Sequence[npt.NDArray[np.int32]], characters: Integers, bptt: int, foreseen: int | None = None
) -> Running:
    """Lays beside the ids of texts, int32 [T] each, what follows them; the rest is as in `Running`."""
    corpus = Corpus.from_rows(map(begun, rows))
    following = targets_of(np.roll(corpus.steps, -1), foreseen)  # a text ends with the `PADDING` that begins the next
    return Running(corpus, following, ahead=True, bptt=bptt, characters=characters, foreseen=foreseen)


def targets_of(ids: npt.NDArray[np.int32], foreseen: int | None) -> npt.NDArray[np.int32]:
    """Returns ids as classes; those that are not foreseen apart as the unknown one."""
    return np.where(ids < foreseen, ids, np.int32(UNKNOWN)) if foreseen else ids
