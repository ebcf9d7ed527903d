"""A model of sound in the service: samples by each of its doors."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("websockets")

from websockets.sync.client import connect

from tidegate import SequenceConfig, SequenceModel
from tidegate.serve.limits import Limits
from tidegate.serve.metrics import Metrics
from tidegate.serve.refusals import Refusal
from tidegate.serve.served import Served

FRONT_END = "logmel sample_rate=8000 n_mels=4 win_length=32 hop_length=16 n_fft=64"
CLIP = np.random.default_rng(6).normal(0, 0.1, 100).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> SequenceModel:
    """A classifier of sound with random weights."""
    config = SequenceConfig(cell="average", labels=("a", "b"), features=4, frontend=FRONT_END)
    rng = np.random.default_rng(5)
    arrays = {name: rng.uniform(0.1, 0.9, shape).astype(np.float32) for name, shape in config.shapes().items()}
    return SequenceModel(config, arrays)


@pytest.fixture(scope="module")
def port(start: Callable[..., int], model: SequenceModel) -> int:
    """The port of a server with that model."""
    return start({"sound": model})


def test_a_clip_is_a_sequence_of_single_numbers(model: SequenceModel) -> None:
    """Its numbers are those of the model; what may be explained is counted in frames, as an explanation has them."""
    clip = CLIP[:, None]

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


@pytest.mark.parametrize("samples", [CLIP.tolist(), CLIP[:, None].tolist()], ids=["flat", "one list a sample"])
def test_samples_may_be_flat(ask: Callable[..., Any], port: int, model: SequenceModel, samples: list[Any]) -> None:
    """A list of numbers is sound as well as a list of lists of one, by JSON, by the protocol and in a stream."""
    expected = model.predict_proba([CLIP])[0].tolist()
    for body in ({"sequence": samples}, {"sequences": [samples]}):
        [found] = ask(port, "/predict", body).json["predictions"]
        assert list(found["probabilities"].values()) == expected
    assert ask(port, "/explain", {"sequence": samples}).json["explanations"][0]["probabilities"] == pytest.approx(
        expected
    )
    tensor = {"name": "sequence", "shape": [1, *np.shape(samples)], "datatype": "FP32", "data": CLIP.tolist()}
    [output, _] = ask(port, "/v2/models/sound/infer", {"inputs": [tensor]}).json["outputs"]
    assert output["data"] == expected
    with connect(f"ws://127.0.0.1:{port}/stream/sound", open_timeout=None) as socket:
        for message in ({"begin": True}, {"vectors": samples[:33]}, {"vectors": samples[33:]}):
            socket.send(json.dumps(message))
            answer = json.loads(socket.recv())
        assert list(answer["probabilities"].values()) == expected
