"""Processes that train one network together: each reads its share of every batch, and they add up what they find."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Group(Protocol):
    """What a training asks of the processes that share it; all of them do the same steps in the same order.

    Attributes:
        rank: Number of this process, from 0. The first one reports, judges and writes checkpoints.
        size: How many there are.
    """

    rank: int
    size: int

    def sum(self, values: npt.NDArray[np.float32]) -> None:
        """Puts the sum over all processes in the place of values, which have one shape everywhere.

        Raises:
            LostWorkerError: A process has ended.
        """
        ...

    def share(self, value: Any) -> Any:
        """Returns the value that the first process has given.

        Raises:
            LostWorkerError: A process has ended.
        """
        ...


class Alone:
    """A group of one process."""

    rank, size = 0, 1

    def sum(self, values: npt.NDArray[np.float32]) -> None:
        """Leaves values as they are."""

    def share(self, value: Any) -> Any:
        """Returns the value."""
        return value


ALONE = Alone()


class LostWorkerError(ConnectionError):
    """One of the processes that train together has ended, and with it the training."""
