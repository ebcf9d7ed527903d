"""The plain interface: JSON in, JSON out, for curl and for clients written by hand."""

from typing import Any, cast

import numpy as np
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from tidegate.serve.metrics import Metrics
from tidegate.serve.models import Models
from tidegate.serve.refusals import Refusal
from tidegate.serve.served import Scored, Served, by_label
from tidegate.serve.thin import JSON, Endpoint, Thin

Sequence = list[list[float | None]] | list[float]


class Inputs(BaseModel):
    """What is asked about: one or several texts, or one or several sequences of numbers, and which model is asked.

    A sequence has a list of numbers for each step, with null where one is missing; or in the layout of the model. Sound
    may be a list of its samples.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"text": "I love this movie so much."},
                {"texts": ["I love this movie so much.", "The plot is long, and really boring."]},
                {"sequences": [[[20.5, 1.0], [21.0, None]], [[3.0, 0.0]]], "model": "sensors"},
            ]
        },
    )

    model: str | None = Field(default=None, description="The name of a model; the first one without it.")
    text: str | None = None
    texts: list[str] | None = None
    sequence: Sequence | None = None
    sequences: list[Sequence] | None = None


class Label(TypedDict):
    """What a classifier says of a text or a sequence."""

    label: Any
    probabilities: dict[str, float]


class Value(TypedDict):
    """What a regression says of a text or a sequence: its numbers by name."""

    values: dict[str, float]


class Predictions(TypedDict):
    """One prediction for each text or sequence, in their order."""

    model: str
    predictions: list[Label | Value]


class Embeddings(TypedDict):
    """One summary vector for each text or sequence, in their order."""

    model: str
    embeddings: list[list[float]]


class Account(TypedDict):
    """What each word or step adds to each number: bias + initial + the sum of contributions [T, C]."""

    labels: list[str]
    words: list[str]
    contributions: list[list[float]]
    kept: list[float]
    bias: list[float]
    initial: list[float]


class Explanation(Account):
    """The account of a classifier, which adds up to the logits."""

    label: str
    probabilities: list[float]
    logits: list[float]
    probability_after: list[list[float]]


class ValueExplanation(Account):
    """The account of a regression, which adds up to its numbers."""

    values: dict[str, float]


class Explanations(TypedDict):
    """One explanation for each text or sequence, in their order."""

    model: str
    explanations: list[Explanation | ValueExplanation]


class Description(TypedDict):
    """A model of the service.

    `features` are the numbers of a step, null where it reads texts; `vocabulary` counts the words that it knows, null
    where it reads none. A model of next words has no labels: what may come next is its vocabulary. `sha256` is the
    fingerprint of its file, null of a model that was made in memory.
    """

    name: str
    reads: str
    task: str
    labels: list[str]
    features: int | None
    vocabulary: int | None
    embedding: int
    sha256: str | None


class Descriptions(TypedDict):
    """The models of the service, the first one first."""

    models: list[Description]


class Health(TypedDict):
    """That the service answers."""

    status: str


class Plain:
    """The endpoints of the plain interface."""

    def __init__(self, models: Models, metrics: Metrics) -> None:
        self._models, self._metrics = models, metrics

    def routes(self) -> list[APIRoute]:
        """Lists the routes, those that are asked most first."""
        tasks: list[tuple[str, Endpoint, Any]] = [
            ("/predict", self.predict, Predictions),
            ("/embed", self.embed, Embeddings),
            ("/explain", self.explain, Explanations),
            ("/models/{name}/predict", self.predict_by, Predictions),
            ("/models/{name}/embed", self.embed_by, Embeddings),
            ("/models/{name}/explain", self.explain_by, Explanations),
        ]
        routes: list[APIRoute] = [Thin(path, task, ["POST"], response_model=answer) for path, task, answer in tasks]
        routes += [Thin(f"/{task.__name__}", task, ["GET"]) for task in (self.models, self.health)]
        about: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
        return [*routes, APIRoute("/metrics", self.metrics, response_class=Response, responses=about)]

    async def predict(self, inputs: Inputs) -> Predictions:
        """Predict the class, or the numbers of a regression, of each text or sequence."""
        served = self._models.of(inputs.model)
        scored = await served.predict(rows_of(served, inputs))
        return {"model": served.name, "predictions": [_prediction(served, each) for each in scored]}

    async def embed(self, inputs: Inputs) -> Embeddings:
        """Summarise each text or sequence by one vector."""
        served = self._models.of(inputs.model)
        vectors = await served.embed(rows_of(served, inputs))
        return {"model": served.name, "embeddings": vectors.tolist()}

    async def explain(self, inputs: Inputs) -> Response:
        """Account for the answer to each text or sequence, word by word or step by step, exactly."""
        served = self._models.of(inputs.model)
        explained = await served.explain(rows_of(served, inputs))
        answer = b'{"model":%b,"explanations":[%b]}' % (to_json(served.name), b",".join(explained))
        return Response(answer, media_type=JSON)

    async def predict_by(self, name: str, inputs: Inputs) -> Predictions:
        """Predict by the model of this name."""
        return await self.predict(_by(name, inputs))

    async def embed_by(self, name: str, inputs: Inputs) -> Embeddings:
        """Summarise by the model of this name."""
        return await self.embed(_by(name, inputs))

    async def explain_by(self, name: str, inputs: Inputs) -> Response:
        """Explain by the model of this name."""
        return await self.explain(_by(name, inputs))

    async def models(self) -> Descriptions:
        """List the models."""
        return {"models": [_description(served) for served in self._models]}

    async def health(self) -> Health:
        """Say that the service answers."""
        return {"status": "ok"}

    async def metrics(self) -> Response:
        """Say what was counted, in the format of Prometheus."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def rows_of(served: Served, inputs: Inputs) -> list[Any]:
    """Returns the texts, or the sequences as arrays.

    Raises:
        Refusal: It is neither or more than one of them, or not what the model reads.
    """
    given = [name for name in ("text", "texts", "sequence", "sequences") if getattr(inputs, name) is not None]
    if len(given) != 1:
        held = " and ".join(given) or "none"
        raise Refusal(422, f"the request holds {held} of text, texts, sequence and sequences, expected one of them")
    [name] = given
    if name.startswith("text") != served.reads_texts:
        expected = "text or texts" if served.reads_texts else "sequence or sequences"
        raise Refusal(422, f"the request holds {name}, expected {expected}: {served.name} is {served.model.described}")
    value: Any = getattr(inputs, name)
    rows = value if name.endswith("s") else [value]
    served.check_count(len(rows))  # before each becomes an array
    return rows if served.reads_texts else [_array(served, i, row) for i, row in enumerate(rows)]


def _array(served: Served, i: int, sequence: Sequence) -> Any:
    """Makes an array of a sequence; NaN stands for what is missing."""
    if sequence and not isinstance(sequence[0], list):
        if not served.model.reads_sound:
            raise Refusal(422, f"sequence {i} is a list of numbers, expected a list for each step: only sound is one")
        return np.array(sequence, np.float64)[:, None]
    if len({len(step) for step in cast("list[list[Any]]", sequence)}) > 1:
        raise Refusal(422, f"the steps of sequence {i} have different numbers of values, expected as many in each")
    return np.array(sequence, np.float64)


def _by(name: str, inputs: Inputs) -> Inputs:
    """Puts the name of the path into a message.

    Raises:
        Refusal: The message names another model.
    """
    if inputs.model not in {None, name}:
        raise Refusal(422, f"model is {inputs.model!r:.80}, expected {name!r:.80} as in the path, or none")
    inputs.model = name
    return inputs


def _prediction(served: Served, scored: Scored) -> Label | Value:
    by_name = by_label(served.model, scored.numbers)
    if not served.model.config.aim.has_probabilities:
        return {"values": by_name}
    return {"label": scored.prediction, "probabilities": by_name}


def _description(served: Served) -> Description:
    config: Any = served.model.config
    return {
        "name": served.name,
        "reads": "texts" if served.reads_texts else "sequences",
        "task": config.task,
        "labels": list(config.labels),
        "features": None if served.reads_texts else served.features,
        "vocabulary": config.vocab_size if served.reads_texts else None,
        "embedding": config.summary_size,
        "sha256": served.model.sha256,
    }
