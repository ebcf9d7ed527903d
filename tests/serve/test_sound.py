"""A model of sound in the service."""

import asyncio
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from tidegate import SequenceConfig, SequenceModel
from tidegate.serve.limits import Limits
from tidegate.serve.metrics import Metrics
from tidegate.serve.refusals import Refusal
from tidegate.serve.served import Served

FRONT_END = "logmel sample_rate=8000 n_mels=4 win_length=32 hop_length=16 n_fft=64"


def test_a_clip_is_a_sequence_of_single_numbers() -> None:
    """Its numbers are those of the model; what may be explained is counted in frames, as an explanation has them."""
    config = SequenceConfig(cell="average", labels=("a", "b"), features=4, frontend=FRONT_END)
    rng = np.random.default_rng(5)
    arrays = {name: rng.uniform(0.1, 0.9, shape).astype(np.float32) for name, shape in config.shapes().items()}
    model, clip = SequenceModel(config, arrays), rng.normal(0, 0.1, (100, 1))

    async def ask(explained: int) -> Any:
        served = Served("sound", model, Limits(explained=explained), Metrics())
        try:
            assert served.features == 1
            [scored] = await served.predict([clip])
            assert scored.numbers == model.predict_proba([clip])[0].tolist()
            return await served.explain([clip])
        finally:
            served.close()

    [explained] = asyncio.run(ask(5))
    assert explained.startswith(b"{")
    with pytest.raises(Refusal, match="have 5 steps, expected at most 4 to be explained"):
        asyncio.run(ask(4))
