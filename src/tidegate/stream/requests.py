"""What is asked of a pool: pieces for some sessions, checked where they are given, read where the pool is free."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tidegate.stream.slots import Answers, Sequences
from tidegate.stream.streamable import Streamable, piece_vectors
from tidegate.text import pieces
from tidegate.text.pieces import Held
from tidegate.text.tokenizer import Tokenizer


class Push(NamedTuple):
    """What one session reads, as one of several in `StreamPool.push_each`.

    Attributes:
        key: Its key.
        piece: What `Session.push` takes; None for nothing.
        opens: Whether a key without a session begins one; else there must be one.
        ends: Whether what is held back of a text is read after that, as in `Session.finish`.
    """

    key: Hashable
    piece: Any
    opens: bool = True
    ends: bool = False


class Request:
    """One call of a pool.

    Attributes:
        keys: B keys, none twice.
        pieces: What each session reads: pieces of texts, or vectors; None for nothing.
        opens: Whether it begins the sessions that there are not yet; else there must be one for each key.
        ends: Whether what is held back of texts is read after that, as their ends.
        rows: Their rows in the pool.
        texts: Of texts: what is settled of each.
        held: Of texts: what is held back of each when that has been read.
        error: What went wrong.
        cancelled: Whether nobody waits for it any more.
    """

    def __init__(self, keys: list[Hashable], pieces_of_each: Any, *, opens: bool = True, ends: bool = False) -> None:
        """Takes keys and pieces, and what is to be done.

        Raises:
            ValueError: There is no key, or one comes twice.
        """
        if len(set(keys)) < len(keys):
            twice = next(key for i, key in enumerate(keys) if key in keys[:i])
            raise ValueError(f"the key {twice!r:.60} comes twice, expected one piece for each session")
        self.keys, self.pieces, self.opens, self.ends = keys, pieces_of_each, opens, ends
        self.rows: npt.NDArray[np.intp] = np.zeros(0, np.intp)
        self.texts: list[str] = []
        self.held: list[Held] = []
        self.error: Exception | None = None
        self.cancelled = False
        self._answers: Answers | None = None

    @classmethod
    def push(cls, model: Streamable, keys: list[Hashable], given: Any, **what: bool) -> Self:
        """Checks the pieces of a push; `what` is as the attributes.

        Raises:
            TypeError: One is of another type.
            ValueError: Their number or shape is wrong, vectors are not finite, or a key comes twice.
        """
        if isinstance(given, str | bytes):
            raise TypeError(f"pieces are {given!r:.60}, expected one for each key")
        if len(given) != len(keys):
            raise ValueError(f"{len(given)} pieces for {len(keys)} keys, expected as many of both")
        if model.tokenizer:
            return cls(keys, list(given), **what)
        if isinstance(given, np.ndarray) and given.dtype != object:
            if given.ndim == 2 and not model.reads_sound:
                return cls(keys, model.check_vectors("pieces", given, "B")[:, None], **what)
            return cls(keys, model.check_vectors("pieces", given, "B T"), **what)
        return cls(keys, [piece_vectors(model, piece) for piece in given], **what)

    @classmethod
    def of(cls, model: Streamable, push: Push) -> Self:
        """Checks the piece of one session; the errors are those of `push`."""
        if push.piece is None:
            return cls([push.key], None, opens=push.opens, ends=push.ends)
        return cls.push(model, [push.key], [push.piece], opens=push.opens, ends=push.ends)

    @property
    def done(self) -> bool:
        """Whether it has been answered, or has failed."""
        return bool(self._answers or self.error)

    def result(self) -> Answers:
        """Returns the answers, or raises the error."""
        if self.error:
            raise self.error
        assert self._answers  # noqa: S101 - for mypy: it is done
        return self._answers

    def settle(self, tokenizer: Tokenizer, held: Sequence[Held]) -> None:
        """Adds its pieces to what is held back of the texts.

        Raises:
            TypeError: As `pieces.take`.
            ValueError: As `pieces.take`.
        """
        if self.pieces is None:
            taken = [("", each) for each in held]
        else:
            taken = [pieces.take(tokenizer, *each) for each in zip(held, self.pieces, strict=True)]
        if self.ends:
            taken = [(text + pieces.rest(left), pieces.NO_TEXT) for text, left in taken]
        self.texts, self.held = [text for text, _ in taken], [left for _, left in taken]

    def take(self, answers: Answers) -> Answers:
        """Takes its answers off those of a batch, and returns the rest."""
        own, rest = slice(len(self.keys)), slice(len(self.keys), None)
        self._answers = answers.part(own)
        return answers.part(rest)


def merged(model: Streamable, requests: Sequence[Request]) -> Sequences:
    """Puts together what the sessions of requests read, one after another."""
    if model.tokenizer:
        return model.read_texts(text for request in requests for text in request.texts)
    if len(requests) == 1 and requests[0].pieces is not None:
        return requests[0].pieces  # type: ignore[no-any-return]
    nothing = np.zeros((0, 0), np.float32)
    return [
        piece
        for request in requests
        for piece in ([nothing] * len(request.keys) if request.pieces is None else request.pieces)
    ]
