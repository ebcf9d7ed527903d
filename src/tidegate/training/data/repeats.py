"""Texts that stand more than once among those to train on, or also among those to judge by."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Repeats:
    """How often texts come again; texts without a character do not count.

    Attributes:
        texts: Different texts that stand more than once among those to train on.
        rows: The rows that they take there.
        contradictory: How many of them have different labels.
        example: One of these.
        shared: Rows to judge by whose text is trained on.
        judged: All rows to judge by.
        same: Whether all rows to judge by are those to train on.
        noun: What the texts are called.
        keys: Sequences to judge by in another file whose key is that of one to train on.
    """

    texts: int = 0
    rows: int = 0
    contradictory: int = 0
    example: str = ""
    shared: int = 0
    judged: int = 0
    same: bool = False
    noun: str = "text"
    keys: int = 0

    def remarks(self) -> Iterator[str]:
        """Says each in a line, if there is any."""
        if self.texts:
            yield f"{_count(self.texts, self.noun)} more than once among those to train on, in {self.rows:,} rows"
        if self.contradictory:
            such = f", such as {self.example!r:.60}" if self.noun == "text" else ""
            yield f"{_count(self.contradictory, self.noun)} there with different labels{such}"
        if self.same:
            yield f"the rows to judge by are those to train on: the scores say nothing about other {self.noun}s"
        elif self.shared:
            both = f"{self.shared:,} of the {self.judged:,} {self.noun}s to judge by"
            yield f"{both} are trained on too: scores are too good"
        if self.keys and not self.same:
            of_all = f"{self.keys:,} of the {self.judged:,} {self.noun}s to judge by"
            yield f"{of_all} have a key that is trained on too: scores are too good if it names the same {self.noun}"


def find_repeats(train: tuple[Iterable[str], Iterable[Any]], judged: tuple[Iterable[str], Iterable[Any]]) -> Repeats:
    """Counts texts that come again, outer spaces aside.

    Example:
        >>> repeats = find_repeats((["fine", "fine ", "dull"], [1, 0, 0]), (["dull", "long"], [0, 0]))
        >>> repeats.texts, repeats.rows, repeats.contradictory, repeats.shared
        (1, 2, 1, 1)

    Args:
        train: Texts to train on, with their labels.
        judged: Texts to judge by, with their labels.
    """
    rows, others = (
        Counter(zip(map(str.strip, texts), map(str, labels), strict=True)) for texts, labels in (train, judged)
    )
    counts: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    for (text, _), count in rows.items():
        if text:
            counts[text] += count
            labels[text] += 1
    twice = [count for count in counts.values() if count > 1]
    contradictory = [text for text, number in labels.items() if number > 1]
    return Repeats(
        texts=len(twice),
        rows=sum(twice),
        contradictory=len(contradictory),
        example=contradictory[0] if contradictory else "",
        shared=sum(count for (text, _), count in others.items() if text in counts),
        judged=others.total(),
        same=rows == others,
    )


def _count(number: int, noun: str) -> str:
    return f"1 {noun} stands" if number == 1 else f"{number:,} {noun}s stand"
