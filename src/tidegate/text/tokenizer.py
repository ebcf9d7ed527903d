"""Texts as word ids: the vocabulary, and how a text is cut into words."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tidegate.ops.checks import check_choice
from tidegate.text import entities
from tidegate.text.counting import NONE_FREQUENT, WordCounter
from tidegate.text.description import check_description
from tidegate.text.library import library
from tidegate.text.plain import WordTable
from tidegate.text.rules import characters, pipeline, unit_of
from tidegate.text.spans import originals, spelled, whole, written
from tidegate.text.texts import check_texts, encodable

if TYPE_CHECKING:
    import tokenizers

PAD, UNK = "[PAD]", "[UNK]"
"""The words with ids 0 and 1. No text can spell them: brackets are cut off and letters lower-cased."""

PADDING, UNKNOWN = 0, 1
"""Their ids: of steps beyond a text's end, and of words outside the vocabulary."""

_ENTITIES = "html_entities"  # in the JSON, beside what the library writes
_JUDGED = 256  # texts, the first ones, by which it is decided what counts the words of all
_MOST_OTHERS = 0.1  # of them that are not plain: what counts those is as fast as the library on one processor
_AT_ONCE = 2048  # texts that the library encodes together: its own records take tens of kilobytes a text

Keep = Literal["head", "tail"]
UNITS = ("words", "characters")
"""What a text may be cut into."""

_CLOSING = re.compile(r" (?=n't\b|'(?:s|re|ve|ll|d|m)\b|[.,;:!?%)\]}])|(?<=[(\[{]) ")


class Cut(NamedTuple):
    """A text cut into words.

    Attributes:
        ids: The id of each word, int32 [T]; `UNKNOWN` for those outside the vocabulary.
        words: The words; those outside the vocabulary as the text writes them.
        spans: Where each word stands in the text, with all of its accents: its first character and its end, int64
            [T, 2]. They are in order and do not overlap; what is in none of them was left out.
    """

    ids: npt.NDArray[np.int32]
    words: list[str]
    spans: npt.NDArray[np.int64]


class Words(NamedTuple):
    """The words of a text, as parts that know more words than the vocabulary read them.

    Attributes:
        ids: The id of each word, int32 [T]; `UNKNOWN` for those outside the vocabulary.
        unknown: The words outside the vocabulary, in the order of the text, lower-cased; empty where nobody asks.
    """

    ids: npt.NDArray[np.int32]
    unknown: tuple[str, ...] = ()

    def take(self, steps: npt.NDArray[np.intp]) -> "Words":
        """Leaves only the words at some steps, int [·], in their order."""
        ids = self.ids[steps]
        if not self.unknown:
            return Words(ids)
        place = np.cumsum(self.ids == UNKNOWN) - 1
        return Words(ids, tuple(self.unknown[i] for i in place[steps[ids == UNKNOWN]]))

    def followed_by(self, more: "Words") -> "Words":
        """Returns these words and more of the same text."""
        return Words(np.concatenate([self.ids, more.ids]), self.unknown + more.unknown)


NO_WORDS = Words(np.zeros(0, np.int32))


class _Numbers(dict[str, int]):
    """The ids of words; a word outside the vocabulary has that of the unknown one."""

    def __missing__(self, word: str) -> int:
        return UNKNOWN


class Tokenizer:
    """Cuts texts into lower-cased words and punctuation marks, and knows the id of each.

    Words are runs of letters and digits, every mark and symbol stands alone, contractions are cut (`did n't`, `it
    's`). Scripts without spaces are cut into characters, with their vowel signs. HTML tags count as spaces, HTML
    entities as their characters (`&eacute;`), all apostrophes and quotation marks as straight ones. Composed and
    decomposed accents are the same (NFC), and invisible characters are left out: soft hyphens, marks of direction.
    Id 0 is padding, id 1 any word outside the vocabulary; the rest go by falling frequency.

    With the unit "characters", each character is a word, capitals, spaces and line breaks too.

    Example:
        >>> tokenizer = Tokenizer.train(["A good film.", "Good, good, not bad!"], min_frequency=1)
        >>> tokenizer.vocab[:4]
        ['[PAD]', '[UNK]', 'good', ',']
        >>> tokenizer.encode_batch(["good GOOD awful", ""])
        [array([2, 2, 1], dtype=int32), array([], dtype=int32)]
        >>> tokenizer.words("It isn't Good!<br />")
        ['It', 'is', "n't", 'good', '!']

    Attributes:
        vocab: The V words, in the order of their ids.
        html_entities: Whether they count as their characters. They do not in models that were trained earlier.
        unit: What it cuts texts into, "words" or "characters".
    """

    def __init__(
        self,
        ids: Mapping[str, int],
        html_entities: bool = True,
        earlier: "tokenizers.Tokenizer | None" = None,
        unit: str = UNITS[0],
    ) -> None:
        """Takes words and their ids; use `train` or `from_json`.

        Args:
            ids: Of the V words, 0 to V - 1, `PAD` and `UNK` first.
            html_entities: As the attribute.
            earlier: A tokenizer of the `tokenizers` library with these words, and other rules than those of today.
            unit: As the attribute.
        """
        self.vocab: list[str] = sorted(ids, key=ids.__getitem__)
        self.unit = unit
        self.html_entities = html_entities and unit == "words"
        self._numbers, self._earlier = _Numbers(ids), earlier

    @cached_property
    def _tokenizer(self) -> "tokenizers.Tokenizer":
        """The library's tokenizer, which plain texts do not need: it takes as much memory as numpy."""
        return self._earlier or (pipeline if self.unit == "words" else characters)(self._numbers, UNK)

    @cached_property
    def _table(self) -> WordTable:
        """The vocabulary for plain texts."""
        return WordTable(self.vocab)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out what is made anew when it is needed."""
        return {key: value for key, value in vars(self).items() if key != "_table"}

    @classmethod
    def train(
        cls, texts: Iterable[str], vocab_size: int = 20_000, min_frequency: int = 2, unit: str = UNITS[0]
    ) -> Self:
        """Counts the words of texts and keeps the most frequent ones; ties go by the alphabet.

        Args:
            texts: What to count; read once, never held as a whole.
            vocab_size: Largest V, the two special words included.
            min_frequency: Rarer words are left out.
            unit: What to cut texts into, "words" or "characters".

        Raises:
            TypeError: A text is no `str`.
            ValueError: A size is out of range, or no word is frequent enough.
        """
        if vocab_size < 3:
            raise ValueError(f"vocab_size is {vocab_size}, expected at least 3: two special words and one other")
        if min_frequency < 1:
            raise ValueError(f"min_frequency is {min_frequency}, expected at least 1")
        check_choice("unit", unit, UNITS)
        if unit == "characters":
            return cls.of_words(_frequent_characters(texts, vocab_size - 2, min_frequency), unit)
        given = check_texts(texts)
        first = list(islice(given, _JUDGED))
        counter = WordCounter(most=sys.maxsize)
        counter.read(first)
        if counter.others > _MOST_OTHERS * len(first):
            return cls._train_by_library(chain(first, given), vocab_size, min_frequency)
        while some := list(islice(given, _AT_ONCE)):
            counter.read(some)
        return cls.of_words(counter.frequent(vocab_size - 2, min_frequency)[0])

    @classmethod
    def _train_by_library(cls, texts: Iterable[str], vocab_size: int, min_frequency: int) -> Self:
        """Does the same, on all processors, for texts that are not plain."""
        counting = pipeline({}, UNK)
        trainer = library().trainers.WordLevelTrainer(
            vocab_size=vocab_size, min_frequency=min_frequency, special_tokens=[PAD, UNK], show_progress=False
        )
        counting.train_from_iterator(map(entities.decode, encodable(texts)), trainer)
        vocab = counting.get_vocab()
        if len(vocab) <= 2:
            raise ValueError(NONE_FREQUENT.format(min_frequency))
        # Words and ids alone, because training also makes [PAD] and [UNK] words that a text may contain.
        return cls(vocab)

    @classmethod
    def of_words(cls, words: Iterable[str], unit: str = UNITS[0]) -> Self:
        """Makes a tokenizer that knows some words, or characters, in this order, besides the two special ones."""
        return cls({word: i for i, word in enumerate([PAD, UNK, *words])}, unit=unit)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Restores what `to_json` wrote.

        Raises:
            ValueError: The text is damaged, or describes another kind of tokenizer.
        """
        try:
            return cls.from_description(json.loads(text))
        except json.JSONDecodeError as error:
            raise ValueError(f"this is not a tokenizer of tidegate: {error}") from None

    @classmethod
    def from_description(cls, description: Any) -> Self:
        """Restores what `to_json` wrote from the value that the JSON holds.

        Raises:
            ValueError: It describes another kind of tokenizer.
        """
        try:
            check_description(description, (PAD, UNK))
            entities_too = bool(description.get(_ENTITIES, False))
            if unit := unit_of(description):
                return cls(description["model"]["vocab"], entities_too, unit=unit)
            rest = {key: value for key, value in description.items() if key != _ENTITIES}
            earlier = library().Tokenizer.from_str(json.dumps(rest))
            return cls(earlier.get_vocab(with_added_tokens=False), entities_too, earlier)
        except Exception as error:  # noqa: BLE001, the library raises no other
            raise ValueError(f"this is not a tokenizer of tidegate: {error}") from None

    def to_json(self) -> str:
        """Writes rules and vocabulary in the JSON format of the `tokenizers` library, with `html_entities` beside."""
        own = {_ENTITIES: True} if self.html_entities else {}
        return json.dumps(own | json.loads(self._tokenizer.to_str()), ensure_ascii=False)

    def __len__(self) -> int:
        return len(self.vocab)

    def encode_batch(
        self, texts: Iterable[str], max_length: int | None = None, keep: Keep = "head"
    ) -> list[npt.NDArray[np.int32]]:
        """Turns each text into the ids of its words.

        Args:
            texts: B texts; one without a word has length 0.
            max_length: The most words of a text, at least 1; None for no limit.
            keep: Which end of a longer text stays, "head" or "tail".

        Returns:
            B arrays int32 [T_b].

        Raises:
            TypeError: It is one text, or one of them is no text.
            ValueError: `max_length` or `keep` is out of range.
        """
        return [words.ids for words in self._encoded(texts, _part(max_length, keep), spells=False)]

    def read_batch(self, texts: Iterable[str], max_length: int | None = None) -> list[Words]:
        """Turns each text into the ids of its words, and lists those outside the vocabulary.

        Args:
            texts: B texts.
            max_length: As in `encode_batch`.

        Raises:
            TypeError: It is one text, or one of them is no text.
            ValueError: `max_length` is out of range.
        """
        return list(self._encoded(texts, _part(max_length, "head"), spells=True))

    def words(self, text: str, max_length: int | None = None, keep: Keep = "head") -> list[str]:
        """Lists the words of a text, one for each id; those outside the vocabulary as the text writes them.

        Args:
            text: One text.
            max_length: As in `encode_batch`.
            keep: As in `encode_batch`.

        Raises:
            TypeError: The text is no `str`.
            ValueError: `max_length` or `keep` is out of range.
        """
        return self.cut(text, max_length, keep).words

    def cut(self, text: str, max_length: int | None = None, keep: Keep = "head") -> Cut:
        """Cuts a text into words, and looks up their ids.

        Args:
            text: One text.
            max_length: As in `encode_batch`.
            keep: As in `encode_batch`.

        Raises:
            TypeError: The text is no `str`.
            ValueError: `max_length` or `keep` is out of range.
        """
        part = _part(max_length, keep)
        [text] = encodable([text])
        if self.unit == "characters":
            ends = np.arange(len(text), dtype=np.int64)[part] + 1
            return Cut(self._ids(text[part]), list(text[part]), np.stack([ends - 1, ends], axis=1))
        decoded = self._decoded(text)
        encoding = self._tokenizer.encode(decoded, add_special_tokens=False)
        spans = whole(decoded, encoding.offsets)[part]
        words = [
            written(decoded[start:end]) if token == UNK else token
            for token, (start, end) in zip(encoding.tokens[part], spans, strict=True)
        ]
        places = np.array(spans, np.int64).reshape(-1, 2)
        if decoded != text:
            places = originals(places, entities.places(text))
        return Cut(np.array(encoding.ids[part], np.int32), words, places)

    def _encoded(self, texts: Iterable[str], part: slice, *, spells: bool) -> Iterator[Words]:
        """Yields the words of each text.

        Args:
            texts: B texts.
            part: Which of its words.
            spells: Whether to list those outside the vocabulary; then `part` is at the head.
        """
        remaining = map(self._decoded, encodable(texts))
        while some := list(islice(remaining, _AT_ONCE)):
            read = [None] * len(some) if self._earlier else list(self._read(some, part, spells=spells))
            others = [text for text, words in zip(some, read, strict=True) if words is None]
            records = iter(self._by_library(others, part, spells=spells))
            yield from (next(records) if words is None else words for words in read)

    def _read(self, texts: list[str], part: slice, *, spells: bool) -> Iterator[Words | None]:
        """Yields the words of each text; None for those that the library cuts."""
        if self.unit == "characters":
            for text in texts:
                ids = self._ids(text[part])
                unknown = np.flatnonzero(ids == UNKNOWN).tolist() if spells else ()
                yield Words(ids, tuple(text[i] for i in unknown))
            return
        for read in self._table.read(texts, UNKNOWN):
            if read is None:
                yield None
            else:
                ids = read.ids[part].copy()
                count = int(np.count_nonzero(ids == UNKNOWN)) if spells else 0
                yield Words(ids, tuple(read.strangers[:count]))

    def _by_library(self, texts: list[str], part: slice, *, spells: bool) -> Iterator[Words]:
        if not texts:
            return
        encode = self._tokenizer.encode_batch if spells else self._tokenizer.encode_batch_fast
        for text, record in zip(texts, encode(texts, add_special_tokens=False), strict=True):
            ids = np.array(record.ids[part], np.int32)
            unknown = np.flatnonzero(ids == UNKNOWN).tolist() if spells else []
            yield Words(ids, spelled(text, record.offsets, unknown))

    def joined(self, words: Iterable[str]) -> str:
        """Writes words as a text, with spaces where English has them.

        >>> Tokenizer.of_words([]).joined(["it", "is", "n't", "good", ",", "is", "it", "?"])
        "it isn't good, is it?"
        """
        return "".join(words) if self.unit == "characters" else _CLOSING.sub("", " ".join(words))

    def _ids(self, words: Sequence[str]) -> npt.NDArray[np.int32]:
        return np.fromiter(map(self._numbers.__getitem__, words), np.int32, len(words))

    def _decoded(self, text: str) -> str:
        return entities.decode(text) if self.html_entities else text


def _frequent_characters(texts: Iterable[str], most: int, min_frequency: int) -> list[str]:
    """Lists the most frequent characters of texts; ties go by their code points.

    Raises:
        TypeError: A text is no `str`.
        ValueError: None is frequent enough.
    """
    counts: Counter[str] = Counter()
    for text in encodable(texts):
        counts.update(text)
    found = sorted((c for c, count in counts.items() if count >= min_frequency), key=lambda c: (-counts[c], c))
    if not found:
        raise ValueError(f"no character occurs {min_frequency} times in the texts: more texts are needed")
    return found[:most]


def begun(ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Puts `PADDING` before the words of a text, int32 [T]: what stands where the text has not begun."""
    return np.concatenate([np.array([PADDING], np.int32), ids])


def _part(max_length: int | None, keep: str) -> slice:
    if keep not in {"head", "tail"}:
        raise ValueError(f"keep is {keep!r}, expected 'head' or 'tail'")
    if max_length is None:
        return slice(None)
    if max_length < 1:
        raise ValueError(f"max_length is {max_length}, expected at least 1 word, or None for no limit")
    return slice(max_length) if keep == "head" else slice(-max_length, None)
