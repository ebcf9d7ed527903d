"""Training as the user sees it: a moving bar on a terminal, a line now and then elsewhere, and a way to stop it."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from time import perf_counter
from types import FrameType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tidegate.cli.console import err, note
from tidegate.training.events import Epoch, Event, Events, Resumed, Step

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SECONDS_BETWEEN_LINES = 20.0
_FACTS_WIDTH = 74  # characters beside the bar, at most


class Stop:
    """The wish to stop: a context that catches SIGINT (Ctrl-C), SIGTERM and SIGHUP; a second Ctrl-C interrupts at once.

    Attributes:
        signal: Which signal came first; 0 for none.
    """

    signal = 0

    def __enter__(self) -> Self:
        self._held = False
        self._terminals = [number for number in (1, 2) if os.isatty(number)]
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        for number, before in self._before.items():
            if number != signal.SIGHUP or before is not signal.SIG_IGN:  # nohup asks to survive the terminal
                signal.signal(number, self._catch)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            ends = self.wanted and number != signal.SIGINT  # the process, and a signal that comes again changes nothing
            signal.signal(number, signal.SIG_IGN if ends else before)

    @property
    def wanted(self) -> bool:
        """Whether a signal came."""
        return self.signal > 0

    @property
    def exit_code(self) -> int:
        """The exit code by convention, 128 and the number of the signal; 0 if none came."""
        return 128 + self.signal if self.wanted else 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lets a block end whatever signals come, as writing the model must."""
        self._held = True
        yield
        self._held = False

    def _catch(self, number: int, _frame: FrameType | None) -> None:
        again, self.signal = self.wanted, self.signal or number
        for terminal in self._terminals:
            if not os.isatty(terminal):  # it was closed, and what is printed there would be an error
                os.dup2(os.open(os.devnull, os.O_WRONLY), terminal)
        if again and not self._held and number == signal.SIGINT:  # other senders, such as timeout, repeat themselves
            raise KeyboardInterrupt
        if not again:
            with suppress(RuntimeError, OSError):  # printing may be what was interrupted, or nobody reads it
                note("stopping once the model is written" if self._held else "stopping; Ctrl-C again to stop at once")


def follow(title: str, events: Events, stop: Stop, unit: str = "words") -> Iterator[Epoch]:
    """Shows a training as it goes.

    Args:
        title: What is trained.
        events: The training.
        stop: Ends the training early.
        unit: What the steps of a sequence are called.

    Yields:
        Each epoch; the last one with weights is the best.
    """
    score = ""
    with _display(title, unit) as display, closing(events):
        for event in events:
            if isinstance(event, Epoch):
                name, title = next(iter(event.report.shown.items()))
                score = f"  {title} {getattr(event.report, name):.3f}"
                yield event
            display.show(event, score)
            if stop.wanted:
                break


class _Display:
    """One training on the screen."""

    def __init__(self, title: str, progress: Progress, unit: str) -> None:
        self.title, self.progress, self.unit = title, progress, unit
        self.began = self.last_line = perf_counter()
        self.step, self.before, self.first = Step(1, 1, 0, 1, 0.0), 0, 1
        self.task: TaskID = progress.add_task(title, total=None, facts="")

    def show(self, event: Event, score: str) -> None:
        """Moves the bar; prints a line after an epoch, and without a terminal also during a long one."""
        now = perf_counter()
        if isinstance(event, Resumed):
            self.step, self.before = Step(event.epoch, event.epochs, event.words, event.of, 0.0), event.words
            self.first = event.epoch + event.ended
            note(f"{self.title:<11}  epoch {event.epoch}/{event.epochs}  {'done before' if event.ended else 'resumed'}")
            return
        if event.epoch < self.first:
            return  # the best epoch before
        if isinstance(event, Step):
            self.step = event
        epoch, step = event.epoch, self.step
        speed = (step.words - self.before) / (now - self.began)
        left = (step.of - step.words) / max(speed, 1.0)  # the first texts may have no words
        pace = f"{speed / 1000:,.0f}k" if speed > 999 else f"{speed:.0f}"
        facts = f"loss {event.loss:.3f}{score}  {pace} {self.unit}/s  {duration(left)} left"
        self.progress.update(self.task, completed=step.words, total=step.of, facts=f"{epoch}/{step.epochs}  {facts}")
        if isinstance(event, Epoch) or (not err.is_terminal and now - self.last_line > _SECONDS_BETWEEN_LINES):
            self.last_line = now
            note(f"{self.title:<11}  epoch {epoch}/{step.epochs}  {facts}")


@contextmanager
def _display(title: str, unit: str) -> Iterator[_Display]:
    bar = BarColumn(bar_width=min(max(err.width - _FACTS_WIDTH, 4), 40))
    columns = (TextColumn("{task.description:<11}"), bar, TextColumn("{task.fields[facts]}"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield _Display(title, progress, unit)


def duration(seconds: float) -> str:
    """Writes a time as minutes and seconds, with hours if it is so long."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
