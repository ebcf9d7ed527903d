"""Training as the user sees it: a moving bar on a terminal, a line now and then elsewhere, and a way to stop it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from types import FrameType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tidegate.cli.console import err, note
from tidegate.training.events import Epoch, Step

_SECONDS_BETWEEN_LINES = 20.0
_FACTS_WIDTH = 74  # characters beside the bar, at most


class Stop:
    """The user's wish to stop: a context that catches the first Ctrl-C; the second one interrupts as usual.

    Attributes:
        wanted: Whether Ctrl-C was pressed.
    """

    wanted = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._catch)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _catch(self, _number: int, _frame: FrameType | None) -> None:
        self.wanted = True
        signal.signal(signal.SIGINT, self._before)
        note("stopping; Ctrl-C again to stop at once")


def follow(title: str, events: Iterator[Step | Epoch], stop: Stop) -> Epoch | None:
    """Shows a training as it goes.

    Args:
        title: What is trained.
        events: The training.
        stop: Ends the training early.

    Returns:
        The best epoch; None if training was stopped before the first one ended.
    """
    best, accuracy = None, ""
    with _display(title) as display:
        for event in events:
            if isinstance(event, Epoch):
                best = event if event.weights is not None else best
                accuracy = f"  accuracy {event.report.accuracy:.3f}"
            display.show(event, accuracy)
            if stop.wanted:
                break
    return best


class _Display:
    """One training on the screen."""

    def __init__(self, title: str, progress: Progress) -> None:
        self.title, self.progress = title, progress
        self.began = self.last_line = perf_counter()
        self.step = Step(1, 1, 0, 1, 0.0)
        self.task: TaskID = progress.add_task(title, total=None, facts="")

    def show(self, event: Step | Epoch, accuracy: str) -> None:
        """Moves the bar; prints a line after an epoch, and without a terminal also during a long one."""
        now = perf_counter()
        if isinstance(event, Step):
            self.step = event
        epoch, step = event.epoch, self.step
        speed = step.words / (now - self.began)
        left = (step.of - step.words) / max(speed, 1.0)  # the first texts may have no words
        facts = f"loss {event.loss:.3f}{accuracy}  {speed / 1000:,.0f}k words/s  {_duration(left)} left"
        self.progress.update(self.task, completed=step.words, total=step.of, facts=f"{epoch}/{step.epochs}  {facts}")
        if isinstance(event, Epoch) or (not err.is_terminal and now - self.last_line > _SECONDS_BETWEEN_LINES):
            self.last_line = now
            note(f"{self.title:<11}  epoch {epoch}/{step.epochs}  {facts}")


@contextmanager
def _display(title: str) -> Iterator[_Display]:
    bar = BarColumn(bar_width=min(max(err.width - _FACTS_WIDTH, 4), 40))
    columns = (TextColumn("{task.description:<11}"), bar, TextColumn("{task.fields[facts]}"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield _Display(title, progress)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
