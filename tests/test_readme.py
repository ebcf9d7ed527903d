"""The README's Python runs as it stands."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = list(re.finditer(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))


def test_the_readme_shows_python() -> None:
    """There is something for the next test to run."""
    assert BLOCKS


def test_the_readme_runs(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's Python blocks run one after another, beside a model file of the name that they use."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tiny_model.parent)
    namespace: dict[str, object] = {}
    for block in BLOCKS:
        lines_above = "\n" * TEXT.count("\n", 0, block.start(1))  # so that a traceback names the README's own line
        exec(compile(lines_above + block[1], str(README), "exec"), namespace)
