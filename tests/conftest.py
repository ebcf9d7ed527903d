"""Fixtures that more than one file of tests uses."""

import os
from pathlib import Path

# Before torch is imported, here or in a child: the arrays of tests are tiny, and threads would mostly wait for each
# other. Tests of threads ask for them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets that TIDEGATE_DATA names; tests that ask for it are skipped where there is none."""
    folder = Path(os.environ.get("TIDEGATE_DATA") or "nowhere")
    if not folder.is_dir():
        pytest.skip("TIDEGATE_DATA names no folder of data sets")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small GRU classifier with random weights and the labels "negative" and "positive"."""
    from tidegate.config import Config
    from tidegate.model import Model
    from tidegate.text import Tokenizer

    tokenizer = Tokenizer.train(["a good film", "a bad film"], min_frequency=1)
    V, E, H, C = len(tokenizer), 4, 8, 2
    config = Config(cell="gru", labels=("negative", "positive"), vocab_size=V, embedding_size=E, hidden_size=H)
    shapes = {
        "embedding.weight": (V, E),
        "rnn.weight_ih_l0": (3 * H, E),
        "rnn.weight_hh_l0": (3 * H, H),
        "rnn.bias_ih_l0": (3 * H,),
        "rnn.bias_hh_l0": (3 * H,),
        "head.weight": (C, H),
        "head.bias": (C,),
    }
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    Model(config, tokenizer, arrays).save(path)
    return path
