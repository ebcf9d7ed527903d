"""How probable texts are to a model that foresees their words or characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tidegate.models.metrics.scores import Scores

Array = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class TokensReport(Scores):
    """What `score_tokens` counted.

    Example:
        >>> report = score_tokens(np.array([3]), np.array([[np.log(1 / 8), 4]]), ())
        >>> round(report.bits_per_character, 3), round(report.perplexity, 3)
        (0.75, 1.682)

    Attributes:
        labels: Empty: what may follow are all words of the vocabulary.
        n: Number of tokens, the end of each text included.
        characters: Number of characters, with one for the end of each text.
        nats: Mean of −log of the probability of a token, nats.
        errors: The nats of each text, over the mean number of tokens of a text, float64 [B]; or mean nats of a token in
            blocks of neighbouring tokens, float64 [·].
    """

    labels: tuple[str, ...]
    n: int
    characters: int
    nats: float
    errors: npt.NDArray[np.float64]

    measure: ClassVar[str] = "log_likelihood"
    shown: ClassVar[dict[str, str]] = {
        "nats": "nats a token",
        "perplexity": "perplexity",
        "bits_per_character": "bits a character",
    }
    gained: ClassVar[str] = "{:+.3f} nats a token (95 %: {:+.3f} to {:+.3f})"

    @property
    def log_likelihood(self) -> float:
        """Mean of log of the probability of a token, nats."""
        return -self.nats

    @property
    def perplexity(self) -> float:
        """1 over the geometric mean of the probabilities of tokens."""
        return exp(min(self.nats, 700.0))

    @property
    def bits_per_character(self) -> float:
        """−log2 of the probability of the texts, over their characters."""
        return self.nats * self.n / self.characters / log(2)

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain numbers, ready for JSON."""
        names = ("nats", "log_likelihood", "perplexity", "bits_per_character", "n", "characters")
        return {name: getattr(self, name) for name in names}


def score_tokens(characters: npt.NDArray[np.integer[Any]], sums: Array, labels: Sequence[str]) -> TokensReport:
    """Sums up how probable texts are.

    Args:
        characters: Characters of each text, without its end, int [B].
        sums: log of the probability of each text, nats, and the number of its tokens, its end included, float [B, 2].
        labels: None.

    Raises:
        ValueError: There is no text.
    """
    if not len(sums):
        raise ValueError("there is no text to score")
    nats, tokens = -sums[:, 0].astype(np.float64), sums[:, 1].sum()
    return TokensReport(
        tuple(labels),
        int(tokens),
        int(characters.sum()) + len(characters),
        float(nats.sum() / tokens),
        nats * len(sums) / tokens,
    )
