"""How many threads a native call takes."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

import tidegate
from tidegate import _native
from tidegate.ops import threads


def test_num_threads_is_what_was_set() -> None:
    """The number of threads can be set and read."""
    before = tidegate.get_num_threads()
    for number in (1, 3, before):
        tidegate.set_num_threads(number)
        assert tidegate.get_num_threads() == number


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", [m for m in multiprocessing.get_all_start_methods() if m != "forkserver"])
@pytest.mark.parametrize("variable", [None, "TIDEGATE_NUM_THREADS"])
def test_a_worker_process_uses_one_thread_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, method: str, variable: str | None
) -> None:
    """Workers that share a machine do not each take all of it, whatever their parent uses; the environment decides."""
    for name in ("TIDEGATE_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "3")
    before = tidegate.get_num_threads()
    tidegate.set_num_threads(2)
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
            assert pool.submit(tidegate.get_num_threads).result() == (3 if variable else 1)
    finally:
        tidegate.set_num_threads(before)


@pytest.mark.parametrize("number", [0, -1, 1025, 2**31])
def test_a_number_of_threads_out_of_range_is_refused(number: int) -> None:
    """At least one thread must do the work; a refused number changes nothing."""
    before = tidegate.get_num_threads()
    with pytest.raises(ValueError, match=f"{number}"):
        tidegate.set_num_threads(number)
    assert tidegate.get_num_threads() == before


@pytest.mark.parametrize("value", ["many", "0", "-1", "1025"])
def test_a_wrong_number_of_threads_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A variable that asks for no possible number of threads is an error that names it."""
    monkeypatch.setenv("TIDEGATE_NUM_THREADS", value)
    monkeypatch.setattr(threads, "_threads", 0)
    with pytest.raises(ValueError, match="TIDEGATE_NUM_THREADS is"):
        tidegate.get_num_threads()


@pytest.mark.parametrize("number", [1, 2, 5])
def test_barriers_work_however_few_processors_there_are(number: int) -> None:
    """Threads that wait for each other after every step go on, even if there are more of them than processors."""
    seconds = _native.barrier_seconds(number, 200)
    assert 0 <= seconds < 60
