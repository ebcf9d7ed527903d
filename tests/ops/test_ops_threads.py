"""Threads of the kernels and of Python, and children of a process: they change no bit."""

import multiprocessing
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

import tidegate
from tidegate import ops

from .problems import (  # noqa: TID252 - pytest takes tests by their paths
    CELLS,
    WIDE,
    Case,
    Result,
    assert_same_bits,
    draw,
    every_cell,
    every_isa,
    name_of,
    pack,
    run,
)


@every_cell
@every_isa
@pytest.mark.parametrize("case", WIDE, ids=name_of)
def test_the_number_of_threads_changes_no_bit(cell: str, isa: str, case: Case) -> None:
    """One, two and three threads give the same values and gradients."""
    problem = draw(cell, case)
    tidegate.set_num_threads(1)
    expected = run(problem, isa, case.layout)
    for threads in (2, 3):
        tidegate.set_num_threads(threads)
        assert_same_bits(run(problem, isa, case.layout), expected, problem.steps)


def test_python_threads_may_call_at_once() -> None:
    """Calls from several Python threads at the same time each give the bits that they give alone."""
    tidegate.set_num_threads(2)
    cases = (Case(20, 16, 9, 65), Case(30, 2, 17, 201, ragged=True), Case(9, 33, 8, 8, reverse=True))
    problems = [draw(cell, case, seed) for cell, case, seed in product(CELLS, cases, range(4))]
    expected = [run(problem) for problem in problems]
    with ThreadPoolExecutor(4) as pool:
        for problem, result, alone in zip(problems, pool.map(run, problems), expected, strict=True):
            assert_same_bits(result, alone, problem.steps)


def test_python_threads_may_share_a_layer() -> None:
    """One packed layer serves several Python threads, also for the first backward pass."""
    problem = draw("gru", Case(20, 9, 9, 65))
    expected = run(problem)
    layer = pack(problem)

    def call(_: int) -> Result:
        out = ops.forward(layer, problem.x, problem.h0, trace=True)
        return out, ops.backward(layer, problem.x, out, problem.dy, problem.dh_n, problem.h0)

    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(call, range(16)):
            assert_same_bits(result, expected)


@pytest.mark.skipif(sys.platform == "win32", reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "while another thread computes"])
def test_a_forked_child_computes_on(busy: bool) -> None:
    """A child forked after, or in the midst of, calls on several threads gives the same bits and does not hang."""
    tidegate.set_num_threads(2)
    problem = draw("gru", Case(20, 16, 9, 65))
    expected = run(problem)
    done = threading.Event()

    def keep_busy() -> None:
        while not done.is_set():
            run(problem)

    def compute_in_child() -> None:
        tidegate.set_num_threads(2)
        assert_same_bits(run(problem), expected)

    worker = threading.Thread(target=keep_busy)
    if busy:
        worker.start()
    try:
        for _ in range(5):
            child = multiprocessing.get_context("fork").Process(target=compute_in_child)
            child.start()
            child.join(600)
            if child.is_alive():
                child.kill()
            assert child.exitcode == 0
    finally:
        done.set()
        if busy:
            worker.join()
    assert_same_bits(run(problem), expected)
