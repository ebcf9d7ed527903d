"""The configurations: of a network that reads sequences of vectors, and of one that reads texts."""

from dataclasses import dataclass

from tidegate.models.architecture import Architecture
from tidegate.ops.checks import Sizes


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Architecture):
    """The configuration of a network that reads sequences of vectors.

    Example:
        >>> config = NetworkConfig(cell="lstm", labels=("rest", "walk"), input_size=3, hidden_size=8)
        >>> config.summary_size
        8
        >>> NetworkConfig.from_json(config.to_json()) == config
        True

    Attributes:
        input_size: I, the numbers of each vector.
    """

    input_size: int

    input_letter = "I"

    def sizes(self) -> Sizes:
        """Returns the size of each letter, and where it comes from."""
        return super().sizes() | {"I": (self.input_size, "input_size")}


@dataclass(frozen=True, kw_only=True)
class TextConfig(Architecture):
    """The configuration of a network that reads texts: word vectors, and what an `Architecture` has.

    Example:
        >>> config = TextConfig(cell="gru", labels=("no", "yes"), vocab_size=9, embedding_size=4, hidden_size=8)
        >>> config.summary_size
        8
        >>> TextConfig.from_json(config.to_json()) == config
        True

    Attributes:
        vocab_size: V, the number of words of the tokenizer.
        embedding_size: E, the numbers of each word vector, which are the I that the stack or the pooling reads.
        max_length: Longest text in words, the rest is not read; None for no limit.
    """

    vocab_size: int
    embedding_size: int
    max_length: int | None = None

    input_letter = "E"

    @property
    def input_size(self) -> int:
        """E."""
        return self.embedding_size

    def letters(self) -> dict[str, str]:
        """Names the arrays with their shapes in letters; those of the stack start with `rnn.`."""
        return {"embedding.weight": "V E"} | super().letters()

    def sizes(self) -> Sizes:
        """Returns the size of each letter, and where it comes from."""
        return super().sizes() | {"V": (self.vocab_size, "vocab_size"), "E": (self.embedding_size, "embedding_size")}
