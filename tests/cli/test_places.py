"""Where commands compute; what a cluster of Ray does is tested in tests/clusters."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cli.conftest import Shell

pytest.importorskip("typer")

from tidegate.cli.places import Place
from tidegate.cli.reading import texts
from tidegate.cli.reading.inputs import Part
from tidegate.data import tables


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            "--workers 2",
            "--workers are processes of a cluster, but no --ray-address names one: here there are --threads",
        ),
        ("--ray-address local", "a cluster needs Ray: pip install 'tidegate[ray]'"),
    ],
)
def test_a_place_that_is_not_there_is_an_error(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, options: str, said: str
) -> None:
    """Workers without a cluster, and a cluster without Ray, are errors of a line."""
    monkeypatch.setitem(sys.modules, "ray", None)
    for command in ("embed model.safetensors test.csv -o v.npy", "predict model.safetensors test.csv -o p.csv"):
        code, _, err = shell(f"{command} {options}")
        assert (code, err.count("\n")) == (2, 1)
        assert said in err


@pytest.mark.parametrize("command", ["embed model.safetensors - -o v.npy", "predict model.safetensors -"])
def test_a_cluster_does_not_work_on_a_pipe(shell: Shell, command: str) -> None:
    """It would wait for several parts, where rows that come by a pipe are answered at once."""
    code, out, err = shell(f"{command} --ray-address local", stdin="text\ngood\n")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--ray-address is for files" in err


def test_a_large_part_is_cut_for_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read at once goes to several workers, with its columns; what they are asked for is what was said."""
    asked: list[Any] = []

    def worked_on_cluster(parts: Any, work: Any, workers: Any) -> Any:
        asked.append(workers)
        return ((part, work(part.sequences, part.first)) for part in parts)

    cluster = SimpleNamespace(Workers=lambda *given: given, worked_on_cluster=worked_on_cluster)
    monkeypatch.setitem(sys.modules, "tidegate.ray.working", cluster)
    whole = Part(list(range(2500)), {"x": np.arange(2500)}, "types", 0)

    def work(rows: Any, first: int) -> dict[str, int]:
        return {"sum": sum(rows), "first": first}

    done = list(Place(3, 2, "auto").worked_on("rows.csv", iter([whole]), work))
    assert asked == [("auto", 2, 3)]
    assert [len(part) for part, _ in done] == [1024, 1024, 452]
    assert [columns["sum"] for _, columns in done] == [part.columns["x"].sum() for part, _ in done]
    assert [columns["first"] for _, columns in done] == [0, 1024, 2048]
    assert {part.schema for part, _ in done} == {"types"}


@pytest.mark.parametrize("command", ["embed", "predict"])
def test_a_cluster_is_left_before_an_error_is_dealt_with(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """If a part cannot be written, its workers are given back and standard output is the program's again at once.

    That does not wait until nothing refers to the parts any more, as a debugger or a kept error may.
    """
    seen: list[Any] = []
    kept: list[Any] = []
    parts_of = Place.worked_on

    def worked_on(*given: Any) -> Any:
        kept.append(parts_of(*given))
        return kept[-1]

    monkeypatch.setattr(Place, "worked_on", worked_on)

    def worked_on_cluster(parts: Any, work: Any, workers: Any) -> Iterator[Any]:
        try:
            for part in parts:
                yield part, work(part.sequences, part.first)
        finally:
            seen.append("workers are given back")

    @contextmanager
    def writer(*_: Any) -> Iterator[Any]:
        out = sys.stdout
        try:
            yield lambda *_: None
        finally:
            seen.append(sys.stdout is out)

    def joined(*_: Any) -> None:
        raise ValueError("no room")

    cluster = SimpleNamespace(Workers=lambda *given: given, worked_on_cluster=worked_on_cluster)
    monkeypatch.setitem(sys.modules, "tidegate.ray.working", cluster)
    monkeypatch.setattr(tables, "writer", writer)
    monkeypatch.setattr(texts, "joined", joined)
    code, _, err = shell(f"{command} model.safetensors test.csv -o rows.parquet --ray-address auto")
    assert (code, seen) == (2, ["workers are given back", True])
    assert "no room" in err
