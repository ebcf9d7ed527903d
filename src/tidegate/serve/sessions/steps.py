"""What is asked of the sessions of a service, and what they answer."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tidegate.serve.refusals import FAILED, Refusal
from tidegate.stream.slots import Answers
from tidegate.stream.state import StateError
from tidegate.stream.storage import Place

LOG = logging.getLogger(__name__)
LONGEST_ID = 128  # characters


class SessionError(Refusal):
    """A step that was not done; its session, if there is one, is as it was.

    Its status is 400 for what is wrong with the step, 404 for a session that there is not, 409 for a stored state of
    another model, 429 where too many sessions are open or steps wait, 507 if it could not be stored, 500 for a fault of
    the server.
    """


class Step(NamedTuple):
    """What is asked of a session.

    Attributes:
        model: The name of its model.
        key: Its key among the sessions of this model.
        piece: What it reads: a piece of a text, or vectors, as `Session.push` takes them; None for nothing.
        begins: Whether it begins anew. Otherwise there must be such a session.
        finishes: Whether what is held back of a text is read, as its end.
        ends: Whether the session is forgotten after that; what is held back is read before.
    """

    model: str
    key: str
    piece: Any = None
    begins: bool = False
    finishes: bool = False
    ends: bool = False

    @property
    def place(self) -> Place:
        """Where its session is."""
        return self.model, self.key

    @property
    def is_last(self) -> bool:
        """Whether what is held back of a text is read."""
        return self.finishes or self.ends

    @property
    def is_push(self) -> bool:
        """Whether it is one of the session's pushes."""
        return self.piece is not None or self.is_last


class Reply(NamedTuple):
    """A step that was done, and stored if there is a folder for that.

    Attributes:
        pushes: The steps so far that have read something, or ended a text: a client that counts its own knows after a
            broken connection which of them were done.
        steps: Words or vectors that the session has read.
        pending: What is held back of a text.
        answers: What the model makes of what was read, with B = 1.
    """

    pushes: int
    steps: int
    pending: str
    answers: Answers


Result = Reply | SessionError


def sequence_step(name: str, rows: Sequence[Any], parameters: Mapping[str, Any]) -> Step:
    """Returns the step of a sequence, as the Open Inference Protocol has it.

    Args:
        name: The name of the model.
        rows: What comes next: one row, a piece of a text or vectors [T, I].
        parameters: `sequence_id`, the client's name for the sequence, a number or a string; `sequence_start`,
            whether it begins anew with this row; `sequence_end`, whether it is over with this row.

    Raises:
        SessionError: A parameter is wrong, or there are several rows.
    """
    begins, ends = (parameters.get(f"sequence_{flag}", False) for flag in ("start", "end"))
    for flag, given in (("start", begins), ("end", ends)):
        if not isinstance(given, bool):
            raise SessionError(400, f"sequence_{flag} is {given!r:.80}, expected true or false")
    if len(rows) != 1:
        raise SessionError(400, f"there are {len(rows):,} rows, expected 1: a sequence is one")
    return Step(name, _sequence_key(parameters.get("sequence_id")), rows[0], begins=begins, ends=ends)


def _sequence_key(sequence_id: object) -> str:
    """Returns the key of a sequence; 7 and "7" are two."""
    if isinstance(sequence_id, int) and not isinstance(sequence_id, bool) and 0 < sequence_id < 2**64:
        return f"number:{sequence_id}"
    if isinstance(sequence_id, str) and 0 < len(sequence_id) <= LONGEST_ID:
        return f"name:{sequence_id}"
    expected = f"a number from 1 to 2**64 - 1, or 1 to {LONGEST_ID} characters"
    raise SessionError(400, f"sequence_id is {sequence_id!r:.200}, expected {expected}")


def refusal_of(error: Exception) -> SessionError:
    """Says what went wrong with a step."""
    if isinstance(error, KeyError):
        return SessionError(404, "the session was lost: begin it anew")
    if isinstance(error, ValueError | TypeError):
        return SessionError(409 if isinstance(error, StateError) else 400, str(error))
    LOG.error("a step failed", exc_info=error)
    return SessionError(500, FAILED)
