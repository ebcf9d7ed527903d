"""A calculation beside a training: its result or error, the threads it leaves, and its end where nobody waits."""

from collections.abc import Callable, Iterator
from threading import Event

import pytest

from tidegate.ops.threads import get_num_threads, set_num_threads
from tidegate.training.beside import beside


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    """Native calls may take three threads."""
    before = get_num_threads()
    set_num_threads(3)
    yield
    set_num_threads(before)


def test_a_result_is_waited_for() -> None:
    """Native calls have one thread less until the result is there, and all of them afterwards."""
    go_on = Event()

    def calculate(check: Callable[[], None]) -> str:
        go_on.wait()
        check()
        return "result"

    with beside(calculate) as result:
        assert get_num_threads() == 2
        go_on.set()
        assert result() == "result"
        assert get_num_threads() == 3
    assert get_num_threads() == 3


def test_an_error_comes_where_the_result_is_wanted() -> None:
    """What is raised beside is raised by whoever asks for the result, and threads are as before."""
    with beside(lambda check: 1 // 0) as result, pytest.raises(ZeroDivisionError):
        result()
    assert get_num_threads() == 3


def test_nothing_goes_on_when_the_caller_has_left() -> None:
    """An error of the caller ends the calculation at its next look, and is the one that is raised."""
    looked, ended = Event(), Event()

    def calculate(check: Callable[[], None]) -> None:
        looked.set()
        try:
            while not ended.wait(0.001):
                check()
        finally:
            ended.set()

    def leave() -> None:
        with beside(calculate):
            looked.wait()
            raise KeyError("of the caller")

    with pytest.raises(KeyError, match="of the caller"):
        leave()
    assert ended.is_set()
    assert get_num_threads() == 3


def test_threads_that_were_chosen_meanwhile_stay() -> None:
    """Somebody else's number of threads is not taken back."""
    with beside(lambda check: None) as result:
        result()
        set_num_threads(5)
    assert get_num_threads() == 5


def test_a_single_thread_does_one_thing_after_the_other() -> None:
    """With one thread nothing is calculated before the result is asked for, and nothing if it never is."""
    set_num_threads(1)
    asked: list[str] = []
    with beside(lambda check: asked.append("calculated")) as result:
        assert asked == []
        result()
        assert asked == ["calculated"]
    with beside(lambda check: asked.append("again")):
        pass
    assert asked == ["calculated"]
