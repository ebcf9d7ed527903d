"""The configurations: of a network that reads vectors, of one that scales features first, of one that reads texts."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tidegate.models.architecture import LIMITS, Architecture
from tidegate.ops.checks import Sizes, check_choice
from tidegate.sequences.features import LAYOUTS
from tidegate.sequences.logmel import LogMel
from tidegate.sequences.pooling import NOTHING

NGRAM_LIMITS = {"ngrams": 2**24, "ngram_order": 5, "ngram_letters": 2**24}
"""The largest sizes of an n-gram part."""


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
class SequenceConfig(Architecture):
    """The configuration of a network that reads sequences of numbers as they are measured.

    Example:
        >>> config = SequenceConfig(cell="gru", labels=("rest", "walk"), features=3, missing=(2,), hidden_size=8)
        >>> config.input_size
        5
        >>> SequenceConfig.from_json(config.to_json()) == config
        True

    Attributes:
        features: K, the numbers of each step.
        missing: Indices of the features that may be missing, ascending. Each has two more numbers in what the stack or
            the pooling reads, see `tidegate.sequences.features.Features`.
        layout: "steps_first": sequences are arrays [T, K]; or "channels_first": [K, T].
        columns: Where the numbers stood in the table that it was trained on: a column for each feature, or one with
            lists of them; empty if it was no table.
        key: Column that told the sequences of a long table apart; None if a row held a whole sequence.
        time: Column that put the steps of a long table in order; None for the order of the rows.
        target: Column of the labels of a classifier. Those of a regression are its `labels`.
        frontend: What makes the K numbers of sound, the text of a `LogMel`; sequences are samples [N] then. None where
            sequences have the K numbers.
        residual: Whether the head predicts how the next steps differ from the last one, which is added to it.
    """

    features: int
    missing: tuple[int, ...] = ()
    layout: str = "steps_first"
    columns: tuple[str, ...] = ()
    key: str | None = None
    time: str | None = None
    target: str | None = None
    frontend: str | None = None
    residual: bool = False

    input_letter = "I"

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            TypeError: A value has another type.
            ValueError: As for every architecture; or a feature is missing that there is not, or the layout is unknown.
        """
        features: Any = self.features
        if type(features) is not int or not 1 <= features <= LIMITS["input_size"]:
            raise ValueError(f"features is {features!r:.60}, expected an integer of 1..{LIMITS['input_size']}")
        missing: Any = self.missing
        if not isinstance(missing, tuple) or not all(type(k) is int and 0 <= k < features for k in missing):
            raise ValueError(f"missing is {str(missing)[:80]}, expected a tuple of indices 0..{features - 1}")
        if list(missing) != sorted(set(missing)):
            raise ValueError(f"missing is {str(missing)[:80]}, expected ascending indices, each once")
        check_choice("layout", self.layout, LAYOUTS)
        self._check_columns()
        self._check_frontend()
        super().__post_init__()
        self._check_residual()

    def _check_columns(self) -> None:
        columns: Any = self.columns
        if not isinstance(columns, tuple) or not all(isinstance(name, str) for name in columns):
            raise TypeError(f"columns is {str(columns)[:80]}, expected a tuple of names")
        if len(columns) not in {0, 1, self.features}:
            raise ValueError(
                f"columns has {len(columns)} names, expected one, or one for each of {self.features} features"
            )
        for role in ("key", "time", "target"):
            if not isinstance(getattr(self, role), str | None):
                raise TypeError(f"{role} is {getattr(self, role)!r:.60}, expected the name of a column or None")

    def _check_frontend(self) -> None:
        if self.frontend is None:
            return
        front_end = LogMel.of(self.frontend)
        object.__setattr__(self, "frontend", str(front_end))
        if (front_end.n_mels, self.layout, self.missing) != (self.features, LAYOUTS[0], ()):
            found = f"features={self.features}, layout={self.layout!r}, missing={str(self.missing)[:40]}"
            raise ValueError(f"the model has {found}, expected {front_end.n_mels} features as its front-end makes them")

    def _check_residual(self) -> None:
        if type(self.residual) is not bool:
            raise TypeError(f"residual is {self.residual!r:.60}, expected True or False")
        fits = self.task == "next" and not self.missing and len(self.labels) == self.features * self.horizon
        if self.residual and not fits:
            found = f"task={self.task!r}, {len(self.labels)} labels, missing={str(self.missing)[:40]}"
            raise ValueError(f"residual is True, but the model has {found}, expected next steps of whole features")

    @cached_property
    def front_end(self) -> LogMel | None:
        """What makes the K numbers of sound."""
        return LogMel.of(self.frontend) if self.frontend else None

    @property
    def step_size(self) -> int:
        """Numbers of a step as sequences have them: K, or 1 of sound, whose steps are samples."""
        return 1 if self.frontend else self.features

    @property
    def input_size(self) -> int:
        """I, the numbers of each vector that the stack or the pooling reads."""
        return self.features + 2 * len(self.missing)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the K features: their columns, or those of one column with lists, or "0", "1", …; bands of sound."""
        if self.front_end:
            return self.front_end.names
        if len(self.columns) == self.features:
            return self.columns
        return tuple(f"{self.columns[0]}[{k}]" if self.columns else str(k) for k in range(self.features))

    def letters(self) -> dict[str, str]:
        """Names the arrays with their shapes in letters; those of the stack start with `rnn.`."""
        return {"features.center": "K", "features.scale": "K"} | super().letters()

    def sizes(self) -> Sizes:
        """Returns the size of each letter, and where it comes from."""
        return super().sizes() | {"K": (self.features, "features"), "I": (self.input_size, "features and missing")}


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
        ngrams: P, the number of runs of words of the n-gram part; 0 without one.
        ngram_order: O, the most words of a run; 0 without.
        ngram_letters: Q, the number of buckets for the runs of letters of the n-gram part; 0 where it reads none.
    """

    vocab_size: int
    embedding_size: int
    max_length: int | None = None
    ngrams: int = 0
    ngram_order: int = 0
    ngram_letters: int = 0

    input_letter = "E"

    def __post_init__(self) -> None:
        """Checks every value, see `Architecture`.

        Raises:
            TypeError: A value has another type.
            ValueError: A value is out of its range, or there is neither a network nor an n-gram part.
        """
        super().__post_init__()
        for name, limit in NGRAM_LIMITS.items():
            size = getattr(self, name)
            if type(size) is not int:
                raise TypeError(f"{name} is {size!r:.60}, expected an integer")
            if not 0 <= size <= limit:
                raise ValueError(f"{name} is {size!r:.60}, expected 0..{limit}")
        if (self.ngrams == 0) != (self.ngram_order == 0) or (self.ngram_letters > 0 and not self.ngrams):
            sizes = f"ngrams={self.ngrams}, ngram_order={self.ngram_order}, ngram_letters={self.ngram_letters}"
            raise ValueError(f"an n-gram part has {sizes}, expected ngrams and ngram_order above 0, or all of them 0")
        if self.ngrams and not self.aim.exclusive:
            raise ValueError(f"the task is {self.task!r}, expected classification: n-grams add to logits of classes")
        if self.aim.each_step and not self.aim.reads_tokens:
            what = "labels" if self.aim.labels_steps else "foresees"
            raise ValueError(f"the task is {self.task!r}, which {what} steps of numbers, but the model reads texts")
        if not self.ngrams and self.cell == NOTHING.name:
            raise ValueError("the model has neither a network nor n-grams, expected one of them")
        if (self.vocab_size + 1) ** self.ngram_order >= 2**63:
            raise ValueError(f"ngram_order is {self.ngram_order}, expected less for {self.vocab_size:,} words")

    @property
    def input_size(self) -> int:
        """E."""
        return self.embedding_size

    @property
    def output_size(self) -> int:
        """C, the number of outputs: the words of the vocabulary where the next one is foreseen."""
        return self.vocab_size if self.aim.reads_tokens else len(self.labels)

    def letters(self) -> dict[str, str]:
        """Names the arrays with their shapes in letters; those of the stack start with `rnn.`."""
        runs = {"words": "P O", "idf": "P", "weight": "P M", "presence": "P M"} if self.ngrams else {}
        letters = {"letters": "Q M", "letter_idf": "Q"} if self.ngram_letters else {}
        ngrams = {f"ngrams.{name}": shape for name, shape in (runs | letters).items()}
        return {"embedding.weight": "V E"} | super().letters() | ngrams

    def sizes(self) -> Sizes:
        """Returns the size of each letter, and where it comes from; M is the number of margins between C classes."""
        own = {"V": "vocab_size", "E": "embedding_size", "P": "ngrams", "O": "ngram_order", "Q": "ngram_letters"}
        margins = (1 if len(self.labels) == 2 else len(self.labels), "the number of labels")
        return super().sizes() | {letter: (getattr(self, name), name) for letter, name in own.items()} | {"M": margins}
