"""The README's Python runs as it stands."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_readme_shows_python() -> None:
    """There is something for the next test to run."""
    assert BLOCKS


def test_the_readme_runs(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's Python blocks run one after another, beside a model file of the name that they use."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tiny_model.parent)
    namespace: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, str(README), "exec"), namespace)
