"""Random schedules of a pool's clients, each compared with sessions that are alone, to the bit.

The tests run a few, `bench_streams.py schedules` a thousand.
"""

import random
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate import Network, NetworkConfig, Session, StreamPool, TextConfig, TextModel
from tidegate.text.tokenizer import Tokenizer

Model = Network | TextModel

TEXTS = (
    "A good film, isn't it? ",
    "<br />caf&eacute;s & 東京の映画。",
    "bad ",
    " film",
    "<b>b",
    "</b>",
    "don",
    "'t ",
    "",
)
"""What clients say."""


def networks() -> list[Model]:
    """Makes networks of vectors and of texts with random weights, of one and of two states, and one with n-grams."""
    numbers, tokenizer = np.random.default_rng(0), Tokenizer.train(TEXTS, min_frequency=1)
    sizes: dict[str, Any] = {"labels": ("low", "high"), "hidden_size": 5, "num_layers": 2, "summary": "mean+max"}
    words = {"vocab_size": len(tokenizer), "embedding_size": 3}
    found: list[Model] = []
    for cell in ("gru", "lstm"):
        vectors, texts = NetworkConfig(cell=cell, input_size=3, **sizes), TextConfig(cell=cell, **words, **sizes)
        arrays = {name: numbers.standard_normal(s).astype(np.float32) for name, s in texts.shapes().items()}
        found.append(TextModel(texts, tokenizer, arrays))
        del arrays["embedding.weight"]
        found.append(Network(vectors, arrays))
    known = Tokenizer.train(
        ["bad film , it"], min_frequency=1
    )  # so that there are words without an id, which are spelt
    words |= {"vocab_size": len(known), "ngrams": len(known), "ngram_order": 2, "ngram_letters": 64}
    config = TextConfig(cell="gru", **words, **sizes)
    arrays = {name: numbers.standard_normal(s).astype(np.float32) for name, s in config.shapes().items()}
    arrays["ngrams.words"] = np.array([(i, i % 3) for i in range(1, len(known) + 1)], np.float32)
    return [*found, TextModel(config, known, arrays)]


def same(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> bool:
    """Returns whether two arrays have the same bits."""
    return a.tobytes() == b.tobytes()


class Client:
    """A client of a pool: one session that is pushed piece by piece, and the same pieces alone."""

    def __init__(self, pool: StreamPool, key: Hashable, seed: float) -> None:
        """Begins both."""
        self.pool, self.key, self.choices, self.alone = pool, key, random.Random(seed), Session(pool.model)  # noqa: S311

    def piece(self) -> Any:
        """Draws what comes next."""
        if self.pool.model.tokenizer is None:
            steps = np.random.default_rng(self.choices.randrange(1 << 30))
            return steps.standard_normal((self.choices.randrange(4), 3), np.float32)
        text = "".join(self.choices.choices(TEXTS, k=2))
        cut = self.choices.randrange(len(text) + 1)
        return self.choices.choice([text, text[:cut]])


def interleave(model: Model, seed: int, *, clients: int = 5, pushes: int = 6, threads: int = 3) -> int:
    """Lets clients push in turns from several threads, through a pool that is too small for them, and compares.

    Args:
        model: A model.
        seed: Of all that is drawn.
        clients: How many.
        pushes: That each thread makes, for some of its clients at a time.
        threads: How many.

    Returns:
        How many states have gone through the store.
    """
    store: dict[Hashable, bytes] = {}
    stored = 0

    def keep(key: Hashable, state: bytes) -> None:
        nonlocal stored
        stored += 1
        store[key] = state

    choices = random.Random(seed)  # noqa: S311 - draws, no secrets
    size = choices.randrange(2, clients + 1)
    pool = StreamPool(model, max_sessions=size, on_evict=keep, recall=store.get)
    everyone = [Client(pool, f"client {i}", choices.random()) for i in range(clients)]
    queues = [everyone[i::threads] for i in range(threads)]

    def run(own: list[Client], seed: float) -> None:
        turns = random.Random(seed)  # noqa: S311
        for _ in range(pushes):
            some = turns.sample(own, turns.randrange(1, min(len(own), size) + 1))
            pieces = [client.piece() for client in some]
            answers = pool.push([client.key for client in some], pieces)
            for client, piece, *found in zip(some, pieces, answers.vectors, answers.scores, strict=True):
                client.alone.push(piece)
                if not all(map(same, (client.alone.vector, client.alone.scores), found)):
                    raise AssertionError(f"schedule {seed}: {client.key} is not as if alone")

    with ThreadPoolExecutor(threads) as workers:
        list(workers.map(run, queues, [choices.random() for _ in queues]))
    for client in everyone:
        if not client.alone.steps and not client.alone.pending:
            pool.push([client.key], [client.piece()[:0]])  # whose turn has never come
        [scores] = pool.finish([client.key]).scores
        if not same(client.alone.finish().scores, scores) or pool.state(client.key) != client.alone.state:
            raise AssertionError(f"schedule {seed}: {client.key} does not end as if alone")
    return stored
