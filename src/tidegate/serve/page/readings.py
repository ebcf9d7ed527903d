"""The sequences that the page asks about, read once for all of its pictures."""

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

from tidegate.inspection.network import Reading, read
from tidegate.models.text_model import TextModel
from tidegate.serve.page.messages import MOST_STEPS, Array, Question, QuestionError

_KEPT = 2  # sequences: that of the moment, and the one before, about which late questions may still come


class Read(NamedTuple):
    """A sequence as the model has read it, and what it has not read of it.

    Attributes:
        reading: Vectors, words and gates.
        unknown: The steps of words outside the vocabulary.
        left_out: How many words beyond the model's longest text there are.
    """

    reading: Reading
    unknown: list[int]
    left_out: int


class Readings:
    """Reads what questions are about. Several pictures of one text ask at about the same time: one run serves all."""

    def __init__(self, model: TextModel) -> None:
        self.model, self.known = model, frozenset(model.vocabulary)
        self._lock = Lock()
        self._kept: OrderedDict[str | bytes, Read] = OrderedDict()

    def of(self, question: Question) -> Read:
        """Returns what a question is about, as the model has read it.

        Raises:
            QuestionError: It holds no sequence that the model can read, or one that is too long for the page.
        """
        source = question.source(self.model.config.embedding_size)
        key = source if isinstance(source, str) else source.tobytes()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._read(source)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]

    def _read(self, source: str | Array) -> Read:
        """Reads a sequence."""
        model = self.model
        longest = model.config.max_length
        if isinstance(source, str):  # before its vectors take memory; too many vectors are no question
            T = len(model.tokenizer.cut(source, longest).ids)
            if T > MOST_STEPS:
                raise QuestionError(f"the text has {T:,} words, expected at most {MOST_STEPS:,} on the page")
        embedded = model.embed(source)
        T = len(embedded.x)
        reading = read(model, embedded)
        if not isinstance(source, str):
            return Read(reading, [], 0)
        left_out = len(model.tokenizer.words(source)) - T if longest == T else 0  # less words were all read
        return Read(reading, [t for t, word in enumerate(reading.words) if word not in self.known], left_out)
