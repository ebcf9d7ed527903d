"""Kills `tidegate serve --state-folder` at random moments while clients stream, and compares every answer.

Clients push pieces of texts over WebSockets, and resume their sessions by token after each kill. What the server has
answered must be there then, and belong to the same client; each answer must have the bits of a session that nobody has
interrupted. Exits with 1 if a state was lost or swapped.

    python fuzz/kill_service.py --runs 100
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

import tidegate
from tidegate import TextConfig, TextModel
from tidegate.cli import main
from tidegate.text.tokenizer import Tokenizer

WORDS = ("a", "good", "bad", "film", "isn't", "caf&eacute;", "<b>", "東京", "unheard-of")
CLIENTS, LONGEST = 16, 40  # clients at a time, and pieces of a session at most
LATEST = 0.6  # seconds from the first answer of a server to its end
PATIENCE = 60.0  # seconds until a server that does not start, or answer, is an error


class LostError(Exception):
    """A state that was acknowledged is not there, or is another one."""


def model() -> TextModel:
    """Makes a classifier with random weights, which tells any two texts apart."""
    tokenizer = Tokenizer.train([" ".join(WORDS)], min_frequency=1)
    sizes: dict[str, Any] = {"embedding_size": 8, "hidden_size": 32, "num_layers": 2, "summary": "mean+max"}
    config = TextConfig(cell="lstm", labels=("low", "high"), vocab_size=len(tokenizer), **sizes)
    rng = np.random.default_rng(0)
    return TextModel(
        config, tokenizer, {name: rng.standard_normal(s).astype(np.float32) for name, s in config.shapes().items()}
    )


def serve(path: Path, folder: Path, log: Path) -> None:
    """Serves a model, as the command does; what it prints goes to a file."""
    with log.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        main(["serve", str(path), "--port", "0", "--state-folder", str(folder)])


def pieces(rng: random.Random) -> list[str]:
    """Cuts a random text anywhere."""
    text = " ".join(rng.choices(WORDS, k=LONGEST * 2))
    cuts = sorted(rng.sample(range(1, len(text)), rng.randint(1, LONGEST - 1)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


class Client:
    """One client, with one session after another."""

    def __init__(self, network: TextModel, counts: Counter[str], seed: int) -> None:
        """Takes the model that says what is right, and where things are counted."""
        self._network, self._counts, self._rng = network, counts, random.Random(seed)
        self._begin()

    def _begin(self) -> None:
        """Forgets the last session, and works out what is right in the next one."""
        self._token = ""
        self._done = 0  # pushes that were answered
        self._pieces = pieces(self._rng)
        alone = self._network.stream()
        self._expected = [alone.probabilities.tolist()]
        self._expected += [alone.push(piece).probabilities.tolist() for piece in self._pieces]

    async def talk(self, address: str) -> None:
        """Streams until the server is gone."""
        with suppress(WebSocketException, OSError, EOFError):
            while True:
                async with connect(address, open_timeout=PATIENCE) as socket:
                    await self._session(socket)
                self._counts["sessions"] += 1
                self._begin()

    async def _session(self, socket: ClientConnection) -> None:
        """Begins or resumes, and pushes what is left."""
        answer = await ask(socket, {"resume": self._token} if self._token else {"begin": True})
        if "error" in answer:
            raise LostError(f"a session with {self._done} answered pushes is gone: {answer}")
        if self._token:
            self._counts["resumed"] += 1
            self._counts["done but not answered"] += answer["pushes"] - self._done
            if not self._done <= answer["pushes"] <= self._done + 1:
                raise LostError(f"{self._done} pushes were answered, and {answer['pushes']} are there")
        self._token = answer["token"]
        self._check(answer)
        while self._done < len(self._pieces):
            self._check(await ask(socket, {"text": self._pieces[self._done]}))
            self._counts["pushes"] += 1

    def _check(self, answer: dict[str, Any]) -> None:
        """Compares an answer with that of a session alone."""
        self._done = answer["pushes"]
        if list(answer["probabilities"].values()) != self._expected[self._done]:
            raise LostError(f"push {self._done} is answered {answer}, expected {self._expected[self._done]}")


async def ask(socket: ClientConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Sends a message and waits for the answer."""
    await socket.send(json.dumps(message))
    answer: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
    return answer


def address_in(log: Path) -> str:
    """Returns the address of a server's streams, once it says where it is."""
    said = log.read_text(encoding="utf-8") if log.exists() else ""
    name, _, rest = said.partition(" is at http://")
    return f"ws://{rest.partition('/ (')[0]}/stream/{name.split()[-1]}" if "/ (" in rest else ""


async def until(happens: Callable[[], Any]) -> Any:
    """Waits until a function returns something, and returns that."""
    end = time.monotonic() + PATIENCE
    while not (found := happens()):
        if time.monotonic() > end:
            raise TimeoutError(f"the server does not start, or not answer, within {PATIENCE} seconds")
        await asyncio.sleep(0.002)
    return found


async def attempt(server: BaseProcess, log: Path, clients: list[Client], counts: Counter[str]) -> list[LostError]:
    """Starts a server, lets clients stream, and kills it; returns what was lost before."""
    server.start()
    try:
        address = await until(partial(address_in, log))
        talks = [asyncio.create_task(client.talk(address)) for client in clients]
        before = counts.total()
        await until(lambda: counts.total() > before or any(talk.done() for talk in talks))
        await asyncio.sleep(random.uniform(0, LATEST))
    finally:
        server.kill()
    results = await asyncio.gather(*talks, return_exceptions=True)
    server.join()
    os.unlink(log)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, LostError):
            raise result
    return [result for result in results if isinstance(result, LostError)]


async def run(wanted: int, seed: int) -> int:
    """Kills as many servers as wanted, and one more to see what the last one has left; returns the exit code."""
    random.seed(seed)
    counts, began, network = Counter[str](), time.perf_counter(), model()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tidegate.cli", "tidegate.serve"])
    with TemporaryDirectory() as name:
        folder = Path(name)
        network.save(folder / "model.safetensors")
        log = folder / "log.txt"
        given = (folder / "model.safetensors", folder / "states", log)
        start = partial(context.Process, target=serve, args=given)
        clients = [Client(network, counts, seed + i) for i in range(CLIENTS)]
        lost = 0
        for index in range(wanted + 1):
            wrong = await attempt(start(), log, clients, counts)
            for error in wrong:
                print(f"kill {index}: {error}")
            lost += bool(wrong)
            clients = [Client(network, counts, random.getrandbits(32)) for _ in wrong] + clients[len(wrong) :]
    print(
        f"{wanted - lost} of {wanted} kills lost and swapped nothing: {counts['pushes']:,} pushes were answered with "
        f"the bits of sessions alone, sessions were resumed {counts['resumed']:,} times, "
        f"{counts['done but not answered']} pushes were done but not answered, {counts['sessions']} sessions ended; "
        f"all of this took {time.perf_counter() - began:.0f} s"
    )
    return int(lost > 0 or not counts["resumed"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100, help="how many servers to kill")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments and the texts")
    options = parser.parse_args()
    tidegate.set_num_threads(1)
    print(f"seed {options.seed}")
    sys.exit(asyncio.run(run(options.runs, options.seed)))
