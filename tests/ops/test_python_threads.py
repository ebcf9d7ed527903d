"""Tests that threads of Python may share layers: each gets the bits that one alone gets."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tidegate import ops
from tidegate.models.text_model import TextModel
from tidegate.ops.cells import CELLS
from tidegate.ops.threads import get_num_threads, set_num_threads

THREADS, ROUNDS = 8, 6


def make_layer(cell: str, I: int = 24, H: int = 40) -> ops.Layer:
    """A layer with random weights."""
    rng, G = np.random.default_rng(1), CELLS[cell].G
    shapes = ((G * H, I), (G * H, H), (G * H,), (G * H,))
    return ops.pack(cell, *(rng.uniform(-0.3, 0.3, shape).astype(np.float32) for shape in shapes))


def train(layer: ops.Layer, seed: int) -> bytes:
    """A forward and a backward pass; the bytes of all that they return."""
    rng = np.random.default_rng(seed)
    T, B = int(rng.integers(1, 12)), int(rng.integers(1, 20))
    x = rng.standard_normal((T, B, layer.input_size)).astype(np.float32)
    lengths = rng.integers(0, T + 1, B)
    out = ops.forward(layer, x, trace=True, lengths=lengths)
    gradients = ops.backward(layer, x, out, dy=np.ones_like(out.y), lengths=lengths)
    return b"".join(array.tobytes() for array in (out.y, out.h_n, *gradients) if array is not None)


def infer(layer: ops.Layer, seed: int) -> bytes:
    """A forward pass without a trace."""
    x = np.random.default_rng(seed).standard_normal((9, 7, layer.input_size)).astype(np.float32)
    out = ops.forward(layer, x)
    return out.y.tobytes() + out.h_n.tobytes()


@pytest.fixture(autouse=True)
def two_native_threads() -> Iterator[None]:
    """Each call asks for a team, so that threads of Python compete for it."""
    before = get_num_threads()
    set_num_threads(2)
    yield
    set_num_threads(before)


def in_threads(work: Callable[[int], bytes]) -> list[bytes]:
    """Runs work(0..7) at once, each from the same moment on."""
    barrier = threading.Barrier(THREADS)

    def start(seed: int) -> bytes:
        barrier.wait()
        return b"".join(work(seed) for _ in range(ROUNDS))

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, range(THREADS)))


@pytest.mark.parametrize("cell", CELLS)
def test_threads_of_python_share_a_layer(cell: str) -> None:
    """Eight threads that train and infer with one layer at once, which no call has used before, get what one gets."""
    alone = make_layer(cell)
    expected = [(train if seed % 2 else infer)(alone, seed) * ROUNDS for seed in range(THREADS)]
    shared = make_layer(cell)
    found = in_threads(lambda seed: (train if seed % 2 else infer)(shared, seed))
    assert [one == other for one, other in zip(found, expected, strict=True)] == [True] * THREADS


def test_threads_of_python_share_a_model(random_model: Callable[..., TextModel]) -> None:
    """Eight threads that ask one model of texts at once get what one gets."""
    model = random_model(num_layers=2, bidirectional=True, hidden_size=40)
    texts = [["a good film", "", "bad " * seed] for seed in range(THREADS)]
    expected = [model.predict_proba(texts[seed]).tobytes() * ROUNDS for seed in range(THREADS)]
    assert in_threads(lambda seed: model.predict_proba(texts[seed]).tobytes()) == expected
