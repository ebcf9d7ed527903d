"""The models that the targets of the page ask."""

import numpy as np

from tidegate.models.config import TextConfig
from tidegate.models.text_model import TextModel
from tidegate.text.tokenizer import Tokenizer


def make_model(cell: str = "gru", **changes: object) -> TextModel:
    """Makes a small classifier with random weights."""
    tokenizer = Tokenizer.train(["a good film", "a bad film"], min_frequency=1)
    sizes = {"vocab_size": len(tokenizer), "embedding_size": 2, "hidden_size": 3, **changes}
    config = TextConfig(cell=cell, labels=("bad", "good"), **sizes)
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in config.shapes().items()}
    return TextModel(config, tokenizer, arrays)
