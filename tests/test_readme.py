"""The Python of the README and of the guides runs as it stands."""

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/torch.md",
    "docs/sequences.md",
    "docs/scaling.md",
    "docs/deployment.md",
    "docs/streams.md",
    "docs/service.md",
    "docs/conversion.md",
    "docs/export.md",
    "docs/inspection.md",
    "docs/gradient-flow.md",
)


def python_blocks(text: str) -> list[re.Match[str]]:
    """The Python blocks of a page."""
    return list(re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_python(page: str) -> None:
    """Every page of the list has something for the next test to run."""
    assert python_blocks((ROOT / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(
    page: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python blocks of a page run one after another, next to a model file of the name that they use."""
    pytest.importorskip("torch")
    if page in {"docs/conversion.md", "docs/export.md"}:
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
        pytest.importorskip("h5py")
    shutil.copy(tiny_model, tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    text, namespace = (ROOT / page).read_text(encoding="utf-8"), dict[str, object]()
    for block in python_blocks(text):
        lines_above = "\n" * text.count("\n", 0, block.start(1))  # so that a traceback names the page's own line
        exec(compile(lines_above + block[1], page, "exec"), namespace)
