"""What is said when a cluster is lost, without Ray: here a stand-in for it answers nothing any more."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tidegate.ray.working import Workers, worked_on_cluster


def test_the_first_error_is_the_one_that_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker is asked to end, and that none of them hears it does not hide what went wrong before."""
    asked: list[str] = []

    def kill(actor: str) -> None:
        asked.append(actor)
        raise RuntimeError("the cluster is lost")

    def parts() -> Iterator[Any]:
        raise ValueError("row 3 is wrong")
        yield

    names = iter(("first", "second"))
    kind = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda threads: next(names)))
    ray = SimpleNamespace(
        init=lambda **_: None, put=lambda work: work, cluster_resources=dict, remote=lambda _: kind, kill=kill
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(ValueError, match=r"^row 3 is wrong$"):
        list(worked_on_cluster(parts(), lambda *_: None, Workers("auto", 2)))
    assert asked == ["first", "second"]
