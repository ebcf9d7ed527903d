"""Which sessions a service has: how often and when each was last used, and which of them are to be forgotten."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from tidegate.stream.storage import Place, Stored


class Record(NamedTuple):
    """What is known of a session beside its state.

    Attributes:
        pushes: The pushes that it has read.
        used: When the last one was, in seconds of the clock of `Records`.
    """

    pushes: int
    used: float


class Records(OrderedDict[Place, Record]):
    """The record of each session, in the order of their last use.

    Attributes:
        gone: Sessions that have idled for too long, and that no folder has forgotten yet.
    """

    def __init__(self, stored: Iterable[Stored], clock: Callable[[], float]) -> None:
        """Takes those that a folder has; the time since the last one was used there is not counted.

        Args:
            stored: In the order of their last use.
            clock: Tells the time in seconds.
        """
        super().__init__(((each.model, each.key), Record(each.pushes, each.used)) for each in stored)
        self.gone: list[Place] = []
        self._clock = clock
        self._begun = clock() - max((record.used for record in self.values()), default=0.0)

    def now(self) -> float:
        """Tells the time in seconds, which goes on where the last server with this folder ended."""
        return self._clock() - self._begun

    def forget_idle(self, since: float) -> list[Place]:
        """Forgets the sessions that were last used before some time; returns where they were."""
        idle: list[Place] = []
        for place, record in self.items():
            if record.used >= since:
                break
            idle.append(place)
        for place in idle:
            del self[place]
        self.gone += idle
        return idle

    def change(self, changed: Mapping[Place, Record | None]) -> None:
        """Takes what has become of sessions, which makes them the latest; None of those that have ended."""
        for place, record in changed.items():
            self.pop(place, None)
            if record is not None:
                self[place] = record
