"""Fixtures that more than one file of tests uses."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.models.text_model import TextModel

# Before torch is imported, here or in a child: the arrays of tests are tiny, and threads would mostly wait for each
# other. Tests of threads ask for them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest

# No test measures time, and on a busy machine any example may take long.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets that TIDEGATE_DATA names; tests that ask for it are skipped where there is none."""
    folder = Path(os.environ.get("TIDEGATE_DATA") or "nowhere")
    if not folder.is_dir():
        pytest.skip("TIDEGATE_DATA names no folder of data sets")
    return folder


@pytest.fixture(scope="session")
def random_model() -> Callable[..., "TextModel"]:
    """Makes classifiers with random weights; choices of the cell are keywords."""
    from tidegate.models.config import TextConfig
    from tidegate.models.text_model import TextModel
    from tidegate.ops.cells import CELLS, Cell
    from tidegate.text.tokenizer import Tokenizer

    def make(
        cell: str = "gru", labels: tuple[str, ...] = ("negative", "positive"), texts: Sequence[str] = (), **rest: Any
    ) -> TextModel:
        tokenizer = Tokenizer.train(["a good film", "a bad film", *texts], min_frequency=1)
        chosen = {name: rest.pop(name) for name in CELLS[cell].choices if name in rest} if cell in CELLS else {}
        cell = str(Cell.of(cell, **chosen)) if chosen else cell
        sizes: dict[str, Any] = {"embedding_size": 4, "hidden_size": 8} | rest
        config = TextConfig(cell=cell, labels=labels, vocab_size=len(tokenizer), **sizes)
        rng = np.random.default_rng(0)
        arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in config.shapes().items()}
        return TextModel(config, tokenizer, arrays)

    return make


@pytest.fixture(scope="session")
def tiny_model(random_model: Callable[..., "TextModel"], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small GRU classifier with random weights and the labels "negative" and "positive"."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    random_model().save(path)
    return path


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """The address of a Ray cluster: one that is running, or one of the tests' own, which ends with them."""
    ray = pytest.importorskip("ray")
    yield "auto" if "RAY_ADDRESS" in os.environ else "local"
    ray.shutdown()
