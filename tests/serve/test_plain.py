"""The plain interface: what /predict, /embed and /explain answer, and what they refuse."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

import pydantic_core

from tidegate.models.config import TextConfig
from tidegate.models.files.model_file import metadata_of
from tidegate.models.loading import load
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel
from tidegate.serve.limits import Limits
from tidegate.serve.metrics import Metrics
from tidegate.serve.plain import Inputs, rows_of
from tidegate.serve.refusals import Refusal
from tidegate.serve.served import Served
from tidegate.text.tokenizer import Tokenizer

TEXTS = ["a good film", "a bad film", "", "unknown words, and a film"]
SEQUENCES = [[[1.0, 2.0], [3.0, None], [0.5, -1.0]], [[4.0, None]]]

Ask = Callable[..., Any]
Models = Mapping[str, Network]


def test_predictions_are_those_of_the_model(ask: Ask, port: int, models: Models) -> None:
    """Each text gets the label and the probabilities that the model gives it, to the bit."""
    answer = ask(port, "/predict", {"texts": TEXTS}).json
    model = models["reviews"]
    assert answer["model"] == "reviews"
    assert [each["label"] for each in answer["predictions"]] == model.predict(TEXTS).tolist()
    found = [[each["probabilities"][label] for label in model.labels] for each in answer["predictions"]]
    np.testing.assert_array_equal(np.array(found, np.float32), model.predict_proba(TEXTS))


def test_one_text_is_a_batch_of_one(ask: Ask, port: int) -> None:
    """A text alone gets the answer that it has among others."""
    several = ask(port, "/predict", {"texts": TEXTS}).json["predictions"]
    assert ask(port, "/predict", {"text": TEXTS[0]}).json["predictions"] == several[:1]


@pytest.mark.parametrize(
    ("path", "key"), [("/predict", "predictions"), ("/embed", "embeddings"), ("/explain", "explanations")]
)
def test_no_texts_have_no_answers(ask: Ask, port: int, path: str, key: str) -> None:
    """A batch of nothing is answered by nothing."""
    assert ask(port, path, {"texts": []}).json[key] == []
    assert ask(port, f"/models/sensors{path}", {"sequences": []}).json[key] == []


@pytest.mark.parametrize("path", ["/predict", "/models/sensors/predict"])
def test_a_model_is_chosen_by_its_name(ask: Ask, port: int, models: Models, path: str) -> None:
    """The name of the model stands in the message or in the path; null is a missing number."""
    answer = ask(port, path, {"sequences": SEQUENCES, "model": "sensors"}).json
    expected = models["sensors"].predict_proba([np.array(each, float) for each in SEQUENCES])
    found = [list(each["probabilities"].values()) for each in answer["predictions"]]
    np.testing.assert_array_equal(np.array(found, np.float32), expected)


def test_a_regression_answers_numbers(ask: Ask, port: int, models: Models) -> None:
    """A regression answers its numbers by name, and takes sequences in the layout of the model."""
    sequence = [[1.0, 2.0, 3.0], [0.0, None, 1.0]]
    (found,) = ask(port, "/models/heat/predict", {"sequence": sequence}).json["predictions"]
    assert np.float32(found["values"]["celsius"]) == models["heat"].predict([np.array(sequence, float)])[0]


def test_of_next_words_the_most_probable_are_sent(ask: Ask, start: Callable[..., int]) -> None:
    """A vocabulary has tens of thousands of words: the ten that come next most probably are named, in their order."""
    tokenizer = Tokenizer.train(["abcdefghijklmnop"] * 2, unit="characters")
    config = TextConfig(cell="gru", task="next-token", vocab_size=len(tokenizer), embedding_size=4, hidden_size=6)
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in config.shapes().items()}
    model = TextModel(config, tokenizer, arrays)
    port = start({"letters": model})
    (listed,) = ask(port, "/models").json["models"]
    assert (listed["labels"], listed["vocabulary"]) == ([], len(tokenizer))
    answer = ask(port, "/predict", {"text": "abc"}).json["predictions"][0]
    probable = np.sort(model.predict_proba(["abc"])[0])[::-1]
    assert next(iter(answer["probabilities"])) == answer["label"] == model.predict(["abc"])[0]
    np.testing.assert_array_equal(np.array(list(answer["probabilities"].values()), np.float32), probable[:10])


def test_embeddings_are_those_of_the_model(ask: Ask, port: int, models: Models) -> None:
    """Each text gets its summary vector, to the bit."""
    found = ask(port, "/embed", {"texts": TEXTS}).json["embeddings"]
    np.testing.assert_array_equal(np.array(found, np.float32), models["reviews"].encode(TEXTS))


def test_explanations_are_those_of_the_model(ask: Ask, port: int, models: Models) -> None:
    """An explanation has the figures of `explain`, with label and probabilities, of texts and of sequences."""
    model = models["reviews"]
    (found,) = ask(port, "/explain", {"text": TEXTS[0]}).json["explanations"]
    explanation = model.explain(TEXTS[0])
    assert {key: found[key] for key in explanation.as_dict()} == explanation.as_dict()
    assert found["label"] == model.predict(TEXTS[:1])[0]
    assert found["probabilities"] == explanation.probabilities.tolist()
    (found,) = ask(port, "/models/sensors/explain", {"sequence": SEQUENCES[0]}).json["explanations"]
    assert found["contributions"] == models["sensors"].explain(np.array(SEQUENCES[0], float)).contributions.tolist()


def test_the_numbers_of_a_regression_are_explained(ask: Ask, port: int, models: Models) -> None:
    """What each step adds to each number adds up to it, and there are no probabilities."""
    sequence = [[20.5, 21.0, 3.0], [1.0, None, 2.0]]
    (found,) = ask(port, "/models/heat/explain", {"sequence": sequence}).json["explanations"]
    (value,) = models["heat"].predict([np.array(sequence, float)]).tolist()
    assert found["values"] == {"celsius": pytest.approx(value, rel=1e-6)}
    account = np.array([found["bias"], found["initial"], np.sum(found["contributions"], axis=0)])
    assert account.sum() == pytest.approx(value, rel=1e-5)
    assert not {"label", "probabilities", "probability_after", "logits"} & found.keys()


def test_models_are_listed(ask: Ask, port: int, models: Models) -> None:
    """The models say what they read and answer, and which file each is."""
    first, second, third = ask(port, "/models").json["models"]
    assert (first["name"], first["reads"], first["labels"]) == ("reviews", "texts", ["negative", "positive"])
    assert (second["reads"], second["features"], second["embedding"]) == ("sequences", 2, 8)
    assert third["task"] == "regression"
    reviews = models["reviews"]
    assert isinstance(reviews, TextModel)
    assert (first["vocabulary"], second["vocabulary"]) == (len(reviews.vocabulary), None)
    assert first["sha256"] is None


def test_a_listed_model_has_the_fingerprint_of_its_file(
    ask: Ask, start: Callable[..., int], models: Models, tmp_path: Path
) -> None:
    """It is the digest in the metadata of the file, by which a deployed model is told from others."""
    models["heat"].save(tmp_path / "heat.safetensors")
    (found,) = ask(start({"heat": load(tmp_path / "heat.safetensors")}), "/models").json["models"]
    assert found["sha256"] == metadata_of(tmp_path / "heat.safetensors")["sha256"]


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/predict", {"text": 5}, 422, "text: Input should be a valid string"),
        ("/predict", {}, 422, "holds none of text, texts, sequence and sequences"),
        ("/predict", {"text": "a", "texts": ["b"]}, 422, "holds text and texts of"),
        ("/predict", {"texts": "a"}, 422, "texts: Input should be a valid array"),
        ("/predict", {"text": "a", "extra": 1}, 422, "extra: Extra inputs are not permitted"),
        ("/predict", b"{", 422, "Invalid JSON"),
        ("/predict", b"", 422, "Invalid JSON"),
        ("/predict", [], 422, "Input should be an object"),
        ("/predict", {"text": "a", "model": "nobody"}, 404, "there is no model 'nobody', only reviews, sensors, heat"),
        ("/models/nobody/predict", {"text": "a"}, 404, "there is no model 'nobody'"),
        ("/models/reviews/predict", {"text": "a", "model": "heat"}, 422, "expected 'reviews' as in the path"),
        ("/predict", {"sequence": [[1, 2]]}, 422, "expected text or texts: reviews is a model that reads texts"),
        ("/models/sensors/predict", {"text": "a"}, 422, "expected sequence or sequences"),
        ("/models/sensors/predict", {"sequence": [[1, 2], [1]]}, 422, "the steps of sequence 0 have different numbers"),
        (
            "/models/sensors/predict",
            {"sequence": [[1]]},
            400,
            "sequences[0] has shape (1, 1), expected [T, I] with I=2",
        ),
        ("/models/sensors/predict", {"sequence": [[None, 1]]}, 400, "missing"),
        ("/models/sensors/predict", {"sequence": [["1", 1]]}, 422, "sequence.0.0: Input should be a valid number"),
        ("/models/sensors/predict", {"sequence": [1, 2]}, 422, "sequence 0 is a list of numbers, expected a list for"),
        ("/models/sensors/predict", {"sequence": [1, [2]]}, 422, "sequence.0: Input should be a valid array"),
        ("/models/sensors/predict", b'{"sequence": [[1e999, 1]]}', 400, "sequences[0]"),
        ("/predict", {"text": "a" * 200_001}, 413, "row 0 has 200,001 characters, expected at most 200,000"),
        ("/predict", {"texts": ["a"] * 1025}, 413, "1,025 texts or sequences, expected at most 1,024"),
        ("/explain", {"text": "a " * 5001}, 413, "5,001 steps, expected at most 5,000 to be explained"),
        ("/nothing", {}, 405, "Method Not Allowed"),
    ],
)
def test_a_wrong_request_gets_one_clear_line(
    ask: Ask, port: int, path: str, body: Any, status: int, error: str
) -> None:
    """What cannot be answered is refused with a status and one line that says why, in the form of all errors."""
    reply = ask(port, path, body)
    assert reply.status == status, reply.body
    assert error in reply.json["error"]
    assert set(reply.json) == {"error"}


def test_only_json_is_taken(ask: Ask, port: int) -> None:
    """A form on another site can ask nothing, because it cannot send JSON by its type."""
    assert ask(port, "/predict", {"text": "a"}, Content_Type="text/plain").status == 422
    assert ask(port, "/predict", {"text": "a"}, Content_Type="application/json; charset=utf-8").status == 200


def test_the_interface_is_described(ask: Ask, port: int) -> None:
    """OpenAPI describes every endpoint of the service with an example, and none of the page."""
    found = ask(port, "/openapi.json").json
    assert {"/predict", "/embed", "/explain", "/v2/models/{model}/infer", "/metrics"} <= found["paths"].keys()
    assert not [path for path in found["paths"] if path.startswith("/api")]
    schema = found["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    example = found["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["examples"][0]
    assert ask(port, "/predict", example).status == 200
    assert "Predictions" in found["components"]["schemas"]


def test_sequences_are_counted_first(models: Models) -> None:
    """Too many sequences are refused before each becomes an array."""
    served = Served("sensors", models["sensors"], Limits(rows=2), Metrics())
    with pytest.raises(Refusal, match="3 texts or sequences, expected at most 2"):
        rows_of(served, Inputs.model_validate({"sequences": [[], [[1.0], [2.0, 3.0]], []]}))


def test_explanations_are_written_where_they_are_made(ask: Ask, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that reads writes their JSON, so that nobody waits for that; only a line is left to do."""
    writers: list[str] = []

    def to_json(*args: Any, **rest: Any) -> bytes:
        writers.append(threading.current_thread().name)
        return pydantic_core.to_json(*args, **rest)

    monkeypatch.setattr("tidegate.serve.served.to_json", to_json)
    assert len(ask(port, "/explain", {"texts": TEXTS}).json["explanations"]) == len(TEXTS)
    assert [name.startswith("tidegate-batch") for name in writers] == [True] * len(TEXTS)
