"""What is made of the parts of a table on a Ray cluster of this machine: skipped without Ray."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray")

import tidegate
from tidegate.cli import main
from tidegate.data import tables
from tidegate.ray.working import Workers, worked_on_cluster

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own


def parts(count: int) -> Iterator[Any]:
    """Parts with their number."""
    for number in range(count):
        yield SimpleNamespace(number=number, sequences=[f"{number} {i}" for i in range(3)], first=3 * number)


def slowly(sequences: Sequence[str], first: int) -> tuple[list[str], int]:
    """What the texts are the other way round, and who says so; some take longer than others."""
    time.sleep(0.02 * (first // 3 % 3))
    return [text[::-1] for text in sequences], os.getpid()


def test_no_part_is_lost_or_done_twice_if_a_worker_is_killed(ray_address: str) -> None:
    """Parts come in their order, each once, and are asked for as they are needed; a worker is started again."""
    asked = iter(parts(200))
    found: list[int] = []
    workers: set[int] = set()
    for part, (texts, worker) in worked_on_cluster(asked, slowly, Workers(ray_address, 2)):
        if part.number == 20:
            os.kill(worker, signal.SIGKILL)
            assert next(asked).number < 150  # not all of them at once
            workers.clear()
        assert texts == [text[::-1] for text in part.sequences]
        found.append(part.number)
        workers.add(worker)
    assert found == sorted(set(found))
    assert len(found) == 199  # one was taken away above
    assert len(workers) > 1


def wrong(sequences: Sequence[str], _: int) -> None:
    """Fails at what it is given."""
    raise ValueError(f"{sequences[0]!r} is wrong")


def deadly(_: Sequence[str], _first: int) -> None:
    """Ends the process."""
    os._exit(1)


def test_what_goes_wrong_is_said_in_a_line(ray_address: str) -> None:
    """What the work raises is raised here; a part that no worker survives, and too many workers, are errors."""
    with pytest.raises(ValueError, match=r"^'0 0' is wrong$"):
        list(worked_on_cluster(parts(3), wrong, Workers(ray_address, 1)))
    with pytest.raises(RuntimeError, match=r"^the cluster has lost a part: "):
        list(worked_on_cluster(parts(1), deadly, Workers(ray_address, 1, failures=0)))
    if ray_address == "local":
        with pytest.raises(ValueError, match="1000 workers of 1 threads are asked for, but there is room for"):
            list(worked_on_cluster(parts(1), slowly, Workers(ray_address, 1000)))


def test_commands_write_what_they_write_without_a_cluster(
    tmp_path: Path, capfdbinary: Any, monkeypatch: pytest.MonkeyPatch, ray_address: str
) -> None:
    """`embed` and `predict` of texts, and of sequences in a long table that comes in one part, have the same bytes."""
    words = np.random.default_rng(0).choice(["so", "good", "bad", "film"], (2500, 3))
    texts = [" ".join(row) for row in words]
    tables.write(tmp_path / "texts.csv", {"text": texts})
    tidegate.fit(texts[:40], ["a", "b"] * 20, epochs=1, hidden_size=5).save(tmp_path / "texts.safetensors")
    keys = np.repeat(np.arange(1500), 2)
    rows = {"who": keys, "at": np.tile([1, 2], 1500), "x": np.random.default_rng(1).normal(size=3000)}
    tables.write(tmp_path / "rows.csv", rows | {"label": np.where(keys % 2, "a", "b")})
    train = ["train", "rows.csv", "-o", "rows.safetensors", "--epochs", "1", "--no-baselines"]
    long = ["--key", "who", "--time", "at"]
    commands = {
        "embed texts.parquet": ["embed", "texts.safetensors", "texts.csv", "-o", "texts.parquet"],
        "predict to standard output": ["predict", "texts.safetensors", "texts.csv"],
        "predict rows.jsonl": ["predict", "rows.safetensors", "rows.csv", "-o", "rows.jsonl"],
    }
    monkeypatch.chdir(tmp_path)
    assert main([*train, *long]) == 0
    capfdbinary.readouterr()
    for name, command in commands.items():
        found = []
        for place in ([], ["--ray-address", ray_address, "--workers", "2"]):
            assert main([*command, *place]) == 0
            written = [path.read_bytes() for path in tmp_path.iterdir() if path.name == command[-1] and path.is_file()]
            found.append((capfdbinary.readouterr().out, written))
        assert found[0] == found[1], name
        assert found[0][0] or found[0][1]
