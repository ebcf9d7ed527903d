"""A trained network that reads texts, without PyTorch: a tokenizer and word vectors before a `Network`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.inspection.network import beside_so_far, words_of
from tidegate.inspection.units import Units, units
from tidegate.models.config import TextConfig
from tidegate.models.encoder import Array, Ids
from tidegate.models.language import continuations, log_likelihoods
from tidegate.models.network import Network
from tidegate.models.ngrams import Ngrams
from tidegate.ops.compressed import Compressed
from tidegate.sequences.embedded import Embedded
from tidegate.sequences.padding import pad
from tidegate.stream.parts import StreamPart, WordsPart
from tidegate.text.texts import check_texts
from tidegate.text.tokenizer import PAD, Tokenizer, Words, begun

_NOTHING = np.zeros(0, np.int32)


class TextModel(Network):
    """A trained network that reads texts: a tokenizer, word vectors, and what a `Network` has.

    Where a `Network` takes sequences, it takes texts, any collection of them, and raises TypeError for one text alone
    and for what is no text. The result for a text does not depend on the others of a call.

    Example:
        A model that averages its words, one number each, made by hand:

        >>> tokenizer = Tokenizer.train(["a fine film", "a dull film"], vocab_size=100, min_frequency=1)
        >>> config = TextConfig(cell="average", labels=("bad", "good"), vocab_size=len(tokenizer), embedding_size=1)
        >>> feelings = {"fine": 2.0, "dull": -2.0}
        >>> arrays = {
        ...     "embedding.weight": np.array([[feelings.get(word, 0)] for word in tokenizer.vocab], np.float32),
        ...     "head.weight": np.array([[-1], [1]], np.float32),
        ...     "head.bias": np.zeros(2, np.float32),
        ... }
        >>> model = TextModel(config, tokenizer, arrays)
        >>> model.predict(["fine, fine!", "What a dull film."]).tolist()
        ['good', 'bad']

    Attributes:
        config: Cell, sizes, summary, task and labels.
        tokenizer: What turns a text into word ids.
        ngrams: The n-gram part, whose logits are added to those of the network; None without.
    """

    config: TextConfig
    described = "a model that reads texts"
    tokenizer: Tokenizer

    def __init__(
        self,
        config: TextConfig,
        tokenizer: Tokenizer,
        arrays: Mapping[str, npt.NDArray[Any] | Compressed],
        metrics: Mapping[str, Any] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Checks the parts against each other, copies the arrays, and packs the weights for the kernels.

        Args:
            config: As the attribute, and so is the tokenizer.
            arrays: `embedding.weight` [V, E], and what a `Network` has, with I = E; float32 or compressed.
            metrics: Anything that JSON holds.
            versions: None for the version of tidegate at hand.

        Raises:
            TypeError: An array is not float32.
            ValueError: An array is missing, left over, of a wrong shape or not finite, or the tokenizer has another
                number of words than the embedding.
        """
        super().__init__(config, arrays, metrics, versions)
        if len(tokenizer) != config.vocab_size:
            raise ValueError(f"the tokenizer has {len(tokenizer)} words, expected vocab_size = {config.vocab_size}")
        self.tokenizer = tokenizer
        self.ngrams = Ngrams(self.arrays, tokenizer.vocab, len(config.labels)) if config.ngrams else None

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the C outputs; where the next word is foreseen, all words that it knows."""
        return tuple(self.tokenizer.vocab) if self.config.aim.reads_tokens else self.config.labels

    @property
    def vocabulary(self) -> list[str]:
        """The words that it knows."""
        return self.tokenizer.vocab

    @property
    def most_steps(self) -> int | None:
        """The words of a text that it reads; None for all."""
        return self.config.max_length

    def vectors_of(self, ids: Ids) -> Array:
        """Returns the vectors of words, float32 [..., E] of ints [...]."""
        vectors: Array = self.arrays["embedding.weight"][ids]
        return vectors

    def encode(self, texts: Iterable[str]) -> Array:
        """Summarises each text by one vector: what the head sees.

        Args:
            texts: B texts.

        Returns:
            Summary vectors, float32 [B, F].

        Raises:
            TypeError: It is one text, or one of them is no text.
        """
        if not self.config.summary_size:
            raise ValueError("this model has n-grams alone, and no network whose summary vectors could be returned")
        return self._summarize_ids(self.ids_of(texts))

    def ids_of(self, texts: Iterable[str]) -> list[npt.NDArray[np.int32]]:
        """Turns texts into the ids that the network reads, int32 [T] each.

        Where the next word is foreseen, they begin with `PADDING`, so that there is a state that foresees the first.

        Raises:
            TypeError: It is one text, or one of them is no text.
        """
        rows = self.tokenizer.encode_batch(texts, self.config.max_length)
        return [begun(row) for row in rows] if self.config.aim.reads_tokens else rows

    def log_likelihoods(self, texts: Iterable[str]) -> list[Array]:
        """Computes how probable each word of each text is after those before it, by a model that foresees words.

        Example:
            >>> sum(model.log_likelihoods(["a fine film"])[0])  # doctest: +SKIP

        Args:
            texts: B texts.

        Returns:
            log of the probability of each word, or character, and of the end of the text, nats, float32 [T + 1] each.

        Raises:
            TypeError: It is one text, or one of them is no text.
            ValueError: The model foresees no words.
        """
        self._need_tokens()
        return log_likelihoods(self, self.ids_of(texts))

    def forecast(
        self, texts: Iterable[str], steps: int = 1, *, temperature: float = 0.0, seed: int = 0, first: int = 0
    ) -> list[str]:
        """Continues texts word by word, by a model that foresees words.

        Example:
            >>> model.forecast(["To be, or "], steps=80, temperature=0.8)  # doctest: +SKIP

        Args:
            texts: B beginnings; "" to begin with nothing.
            steps: How many words, or characters, to add at most: less where a text ends.
            temperature: 0 for the most probable word each time; else words are drawn, at 1 by their probabilities,
                below 1 the more probable ones more often, above 1 less.
            seed: Of what is drawn. Each text has draws of its own, by its position, whatever the others are.
            first: The position of the first text, where all of them come in several calls.

        Returns:
            What follows each text.

        Raises:
            TypeError: It is one text, or one of them is no text.
            ValueError: The model foresees no words, steps is no integer of 1 or more, or the temperature is negative or
                infinite.
        """
        self._need_tokens()
        found = continuations(self, self.ids_of(texts), steps, temperature, seed, first)
        return [self.tokenizer.joined([self.tokenizer.vocab[word] for word in words]) for words in found]

    def _need_tokens(self) -> None:
        if not self.config.aim.reads_tokens:
            raise ValueError(f"this is a network for {self.config.aim.title}, expected one that foresees words")

    def read_texts(self, texts: Iterable[str], max_length: int | None = None) -> list[Words]:
        """Cuts texts into words: their ids, and where a part reads the letters of words, also those without an id.

        Args:
            texts: B texts.
            max_length: The most words of a text; None for no limit.

        Raises:
            TypeError: It is one text, or one of them is no text.
        """
        if self.ngrams is not None and self.ngrams.has_letters:
            return self.tokenizer.read_batch(texts, max_length)
        return [Words(ids) for ids in self.tokenizer.encode_batch(texts, max_length)]

    def stream_parts(self) -> tuple[StreamPart, ...]:
        """Returns the parts whose scores are added up, each in the form that a stream runs.

        Raises:
            ValueError: The network reads in both directions.
        """
        return super().stream_parts() + (() if self.ngrams is None else (WordsPart(self.ngrams.logits),))

    def first_states(self) -> Array | None:
        """Returns the states before the first word of a stream; where words are foreseen, those after `PADDING`."""
        if not self.config.aim.reads_tokens:
            return None
        return self.outputs(self.arrays["embedding.weight"], np.ones(1, np.int64), ids=begun(_NOTHING)[:, None])[1]

    def _summarize_ids(self, rows: Sequence[npt.NDArray[np.int32]]) -> Array:
        return self.summaries(rows, self.arrays["embedding.weight"])

    def scores(self, texts: Iterable[str]) -> Array:
        """Computes the outputs of the head, with what other parts add: logits, or the numbers of a regression.

        Args:
            texts: B texts.

        Returns:
            Outputs, float32 [B, C].

        Raises:
            TypeError: It is one text, or one of them is no text.
            ValueError: The network has no head.
        """
        if self.ngrams is None:
            return super().scores(texts)
        read = self.read_texts(texts, self.config.max_length)  # a model with n-grams foresees no words
        logits: Array = self.head(self._summarize_ids([text.ids for text in read]))
        logits += self.ngrams.logits(read).astype(np.float32)
        return logits

    def probability_after(self, text: str) -> tuple[list[str], Array]:
        """Computes the probabilities after each word, exactly as if the text ended there.

        Args:
            text: One text of T words.

        Returns:
            The words, those beyond `max_length` left out, and the probabilities after each, float32 [T, C].
        """
        self._need_probabilities()
        embedded = self.embed([text])
        x = embedded.x
        logits = self.head(self.summaries_so_far(x, self.outputs(x, embedded.lengths)[0]))
        return list(words_of(embedded)), self.values_of(logits + beside_so_far(self, embedded).astype(np.float32))

    def embed(self, source: Any) -> Embedded:
        """Makes sequences of vectors from texts.

        Args:
            source: One text, several, or vectors [T, E] of numbers in the place of the words of one text. What `embed`
                returned is passed on as it is.

        Raises:
            TypeError: It is none of these.
            ValueError: The vectors are of another size, or not finite.
        """
        if isinstance(source, Embedded):
            return source
        if not isinstance(source, Iterable):
            raise TypeError(f"source is {source!r:.60}, expected one text (str), several, or vectors, an array [T, E]")
        if isinstance(source, np.ndarray):
            return self._embed_vectors(source)
        texts = list(check_texts([source] if isinstance(source, str) else source))
        cut = [self.tokenizer.cut(text, self.config.max_length) for text in texts]
        rows, words = tuple(each.ids for each in cut), tuple(tuple(each.words) for each in cut)
        if self.config.aim.reads_tokens:
            rows, words = tuple(map(begun, rows)), tuple((PAD, *each) for each in words)
        x, lengths = pad([self.arrays["embedding.weight"][row] for row in rows], self.config.embedding_size)
        return Embedded(x, lengths, words, rows)

    def units(self, texts: Iterable[str], *, layer: int = 0, reverse: bool = False, min_count: int = 10) -> Units:
        """Gathers what the units of one layer and direction do over many texts.

        Args:
            texts: B texts. Words that the model does not know count as one.
            layer: Index of the layer, from 0.
            reverse: Which direction.
            min_count: How often a word must be read for its mean gates to be kept.

        Raises:
            TypeError: It is one text, or one of them is no text.
            ValueError: There is no word or no such layer and direction, or the cell has no gates.
        """
        return units(self, texts, layer=layer, reverse=reverse, min_count=min_count)

    def metadata(self) -> dict[str, str]:
        """Returns the metadata of the model file, as `Stored.metadata`."""
        return super().metadata() | {"tokenizer": self.tokenizer.to_json()}

    def __reduce__(self) -> tuple[Any, ...]:
        return TextModel, (self.config, self.tokenizer, self._stored, self.metrics, self.versions)
