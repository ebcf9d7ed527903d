"""The Open Inference Protocol, as bytes: descriptions, tensors as JSON and behind it, and what is refused."""

import asyncio
import json
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("fastapi")

from tidegate.models.config import NetworkConfig
from tidegate.models.network import Network
from tidegate.serve.inference.messages import Question
from tidegate.serve.inference.routes import Inference
from tidegate.serve.limits import Limits
from tidegate.serve.metrics import Metrics
from tidegate.serve.models import Models as ServedModels
from tidegate.serve.refusals import Refusal

TEXTS = ["a good film", "ein schöner Film", ""]
INFER = "/v2/models/reviews/infer"

Ask = Callable[..., Any]
Models = Mapping[str, Network]


def text_input(texts: Sequence[str], **rest: Any) -> dict[str, Any]:
    """Texts as an input in JSON."""
    return {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)} | rest


def packed(texts: Sequence[str]) -> bytes:
    """Texts as bytes, each with its length before it."""
    return b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in texts)


def infer(ask: Ask, port: int, question: Any, binary: bytes = b"", model: str = "reviews") -> Any:
    """Asks with bytes behind the JSON; returns the answer's JSON and what stands behind it."""
    head = json.dumps(question).encode()
    given = {"Inference_Header_Content_Length": str(len(head))} if binary else {}
    reply = ask(port, f"/v2/models/{model}/infer", head + binary, **given)
    assert reply.status == 200, reply.body
    length = int(reply.headers.get("inference-header-content-length", len(reply.body)))
    return json.loads(reply.body[:length]), reply.body[length:]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/sensors/ready", {"name": "sensors", "ready": True}),
        ("/v2/models/sensors/versions/1/ready", {"name": "sensors", "ready": True}),
    ],
)
def test_the_server_and_its_models_are_ready(ask: Ask, port: int, path: str, expected: Any) -> None:
    """Who asks whether the server or a model is ready learns that it is."""
    reply = ask(port, path)
    assert (reply.status, reply.json) == (200, expected)


def test_models_are_described(ask: Ask, port: int) -> None:
    """A model says which tensors it reads and returns, in its own layout."""
    reviews, sensors, heat = (ask(port, f"/v2/models/{name}").json for name in ("reviews", "sensors", "heat"))
    assert reviews["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert [each["name"] for each in reviews["outputs"]] == ["probabilities", "label", "embedding"]
    assert [each["shape"] for each in sensors["inputs"]] == [[-1, -1, 2], [-1]]
    assert sensors["outputs"][0] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}
    assert heat["inputs"][0]["shape"] == [-1, 2, -1]
    assert [each["name"] for each in heat["outputs"]] == ["values", "embedding"]
    assert ask(port, "/v2").json["name"] == "tidegate"


@pytest.mark.parametrize("binary", [False, True])
def test_texts_are_answered(ask: Ask, port: int, models: Models, binary: bool) -> None:
    """Texts, as JSON or as bytes, get the label and the probabilities of the model, as JSON or as bytes, to the bit."""
    data = packed(TEXTS)
    given = text_input(TEXTS)
    if binary:
        given = {"name": "text", "shape": [3, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}
    question = {"id": "7", "inputs": [given], "parameters": {"binary_data_output": binary}}
    answer, behind = infer(ask, port, question, data if binary else b"")
    probabilities, label = answer["outputs"]
    expected = models["reviews"].predict_proba(TEXTS)
    assert (answer["id"], answer["model_name"], probabilities["shape"]) == ("7", "reviews", [3, 2])
    if binary:
        assert probabilities["parameters"]["binary_data_size"] == 24
        found = np.frombuffer(behind[:24], "<f4").reshape(3, 2)
        assert behind[24:] == packed(models["reviews"].predict(TEXTS).tolist())
    else:
        found = np.array(probabilities["data"], np.float32).reshape(3, 2)
        assert label["data"] == models["reviews"].predict(TEXTS).tolist()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["sensors", "heat"])
def test_sequences_are_answered(ask: Ask, port: int, models: Models, name: str) -> None:
    """Sequences of different lengths, padded, get the answers that they get alone, in the layout of the model."""
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((3, 5, 2)).astype("<f4")
    steps[0, 1, 1] = np.nan
    padded, lengths = steps.swapaxes(1, 2).copy() if name == "heat" else steps, [5, 2, 1]
    rows = [row[:, :n] if name == "heat" else row[:n] for row, n in zip(padded, lengths, strict=True)]
    inputs = [
        {"name": "sequence", "shape": padded.shape, "datatype": "FP32", "parameters": {"binary_data_size": 120}},
        {"name": "lengths", "shape": [3], "datatype": "INT32", "data": lengths},
    ]
    wanted = ["values" if name == "heat" else "probabilities", "embedding"]
    question = {"inputs": inputs, "outputs": [{"name": each} for each in wanted]}
    answer, _ = infer(ask, port, question, padded.tobytes(), name)
    numbers, embedding = (np.array(each["data"], np.float32).reshape(each["shape"]) for each in answer["outputs"])
    model = models[name]
    expected = model.predict(rows)[:, None] if name == "heat" else model.predict_proba(rows)
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_array_equal(embedding, model.encode(rows))


def test_sequences_may_be_nested_lists(ask: Ask, port: int, models: Models) -> None:
    """Numbers in JSON may be nested as the shape; without lengths, all sequences are whole."""
    nested = [[[1, 2], [3.5, 4]]]
    question = {"inputs": [{"name": "sequence", "shape": [1, 2, 2], "datatype": "FP32", "data": nested}]}
    answer, _ = infer(ask, port, question, model="sensors")
    found = np.array(answer["outputs"][0]["data"], np.float32)
    np.testing.assert_array_equal(found, models["sensors"].predict_proba(np.array(nested))[0])


def test_null_is_a_missing_number(ask: Ask, port: int, models: Models) -> None:
    """A number of FP32 may be null, flat or nested, where the model knows gaps; nothing else may be among numbers."""
    expected = models["sensors"].predict_proba([np.array([[1.0, np.nan], [2.0, 0.5]])])[0].tolist()
    for data in ([1.0, None, 2, 0.5], [[[1.0, None], [2, 0.5]]]):
        tensor = NUMBERS | {"shape": [1, 2, 2], "data": data}
        answer, _ = infer(ask, port, {"inputs": [tensor]}, model="sensors")
        assert answer["outputs"][0]["data"] == expected
    for wrong in ("1.5", True, 10**400):
        tensor = NUMBERS | {"shape": [1, 2, 2], "data": [1.0, None, 2.0, wrong]}
        reply = ask(port, "/v2/models/sensors/infer", {"inputs": [tensor]})
        assert (reply.status, "no numbers of the datatype" in reply.json["error"]) == (400, True), reply.body


def test_no_texts_have_no_answers(ask: Ask, port: int) -> None:
    """A batch of nothing is answered by tensors of nothing."""
    question = {"inputs": [text_input([])], "outputs": [{"name": "embedding"}, {"name": "label"}]}
    answer, _ = infer(ask, port, question)
    assert [(each["shape"], each["data"]) for each in answer["outputs"]] == [([0, 8], []), ([0], [])]


def test_classes_are_ranked(ask: Ask, port: int, models: Models) -> None:
    """With the parameter `classification` the most probable classes are texts, as Triton writes them."""
    wanted = {"name": "probabilities", "parameters": {"classification": 1}}
    answer, _ = infer(ask, port, {"inputs": [text_input(TEXTS)], "outputs": [wanted]})
    (ranked,) = answer["outputs"]
    assert (ranked["datatype"], ranked["shape"]) == ("BYTES", [3, 1])
    best = [(row.max(), row.argmax()) for row in models["reviews"].predict_proba(TEXTS)]
    labels = models["reviews"].labels
    assert ranked["data"] == [f"{value:f}:{index}:{labels[index]}" for value, index in best]


def test_sequences_of_requests_go_to_sessions(start: Any, ask: Ask, models: Models) -> None:
    """A request with a `sequence_id` is answered by what has sessions, with its parameters; others are not."""
    asked: list[Any] = []

    async def sessions(name: str, rows: Sequence[Any], parameters: Mapping[str, Any]) -> npt.NDArray[np.float32]:
        asked.append((name, list(rows), dict(parameters)))
        return np.array([[0, 3]], np.float32)

    port = start(models, sessions=sessions)
    question = {"inputs": [text_input(["a goo"])], "parameters": {"sequence_id": 5, "sequence_start": True}}
    answer, _ = infer(ask, port, question)
    assert asked == [("reviews", ["a goo"], {"sequence_id": 5, "sequence_start": True})]
    assert answer["outputs"][1]["data"] == ["positive"]
    infer(ask, port, {"inputs": [text_input(["a goo"])], "parameters": {"sequence_id": 0}})
    assert len(asked) == 1
    assert "sequence" in ask(port, "/v2").json["extensions"]


# What names no sequence; 0 and the empty string say that there is none.
WRONG_IDS: tuple[Any, ...] = (-1, 2**64, "x" * 129, [], {}, None, True, False, 1.5, 0.0)
NUMBERS = {"name": "sequence", "shape": [1, 1, 2], "datatype": "FP32", "data": [1, 2]}
SIZED = {"name": "text", "shape": [1], "datatype": "BYTES"}


@pytest.mark.parametrize(
    ("question", "error"),
    [
        (b"{", "Invalid JSON"),
        ({}, "inputs: Field required"),
        ({"inputs": []}, "the inputs are , expected 'text'"),
        ({"inputs": [NUMBERS]}, "the inputs are 'sequence', expected 'text' of 'text'"),
        ({"inputs": [text_input(["a"]), NUMBERS]}, "expected 'text' of 'text'"),
        ({"inputs": [text_input(["a"], shape=[2])]}, "has 1 elements, expected 2 for its shape [2]"),
        ({"inputs": [text_input(["a"], shape=[-1])]}, "inputs.0.shape.0: Input should be greater than or equal to 0"),
        ({"inputs": [text_input(["a"], shape=[2**62])]}, "has 1 elements"),
        ({"inputs": [text_input(["a"], shape=[2**70])]}, "inputs.0.shape.0: Input should be less than"),
        *(
            ({"inputs": [text_input(["a"])], "parameters": {"sequence_id": wrong}}, "sequence_id is")
            for wrong in WRONG_IDS
        ),
        ({"inputs": [text_input(["a"], datatype="FP64")]}, "the datatype 'FP64', expected one of BYTES, FP32"),
        ({"inputs": [text_input(["a"], datatype="FP32")]}, "has data that are no numbers of the datatype FP32"),
        ({"inputs": [text_input([5])]}, "has 5 in its data, expected texts"),  # type: ignore[list-item]
        ({"inputs": [NUMBERS | {"name": "text"}]}, "'text' has another datatype, expected BYTES"),
        ({"inputs": [text_input(["a"])], "outputs": [{"name": "logits"}]}, "'logits' is unknown, expected one of"),
        (
            {"inputs": [text_input(["a"])], "outputs": [{"name": "label"}] * 9},
            "outputs: List should have at most 8 items",
        ),
        (
            {"inputs": [text_input(["a"])], "outputs": [{"name": "label", "parameters": {"classification": 2}}]},
            "classification is 2, expected a number of classes, of probabilities",
        ),
        (
            {"inputs": [text_input(["a"])], "parameters": {"sequence_id": 5}, "outputs": [{"name": "embedding"}]},
            "there is a sequence_id, expected none: this output has no sessions",
        ),
        ({"inputs": [text_input(["a"])], "parameters": {"sequence_id": -5}}, "sequence_id is -5, expected"),
        (
            {"inputs": [SIZED | {"parameters": {"binary_data_size": 5}}]},
            "binary_data_size of 'text' is 5, but 0 bytes are left",
        ),
        ({"inputs": [SIZED | {"parameters": {"binary_data_size": True}}]}, "binary_data_size of 'text' is True"),
    ],
)
def test_a_wrong_question_is_refused(ask: Ask, port: int, question: Any, error: str) -> None:
    """Every mistake in a request is 400 with one line, as the protocol says."""
    reply = ask(port, INFER, question)
    assert reply.status == 400, reply.body
    assert error in reply.json["error"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"shape": [2]}, "has the shape [2], expected 3 axes"),
        ({"shape": [1, 2, 1]}, "sequences[0]"),
        ({"data": [1, "2"]}, "no numbers"),
        ({"data": [None, 1]}, "missing"),
        ({"data": [[1], [2, 3]]}, "lists of different lengths"),
        ({"data": [10**400, 1]}, "no numbers"),
        ({"data": []}, "has 0 elements, expected 2"),
        ({"data": [], "shape": [0, 2**62, 2**62]}, "expected axes that an array can have"),
        ({"data": [], "shape": [0, 10**30]}, "inputs.0.shape.1: Input should be less than"),
    ],
)
def test_wrong_numbers_are_refused(ask: Ask, port: int, change: Any, error: str) -> None:
    """Numbers that do not fit their shape, or are none, are refused."""
    reply = ask(port, "/v2/models/sensors/infer", {"inputs": [NUMBERS | change]})
    assert reply.status == 400, reply.body
    assert error in reply.json["error"]


@pytest.mark.parametrize(
    ("lengths", "error"),
    [
        ({"data": [2]}, "'lengths' has 2, expected 0..1"),
        ({"data": [-1]}, "'lengths' has -1"),
        ({"data": [1, 1], "shape": [2]}, "expected 1 numbers, INT32 or INT64"),
        ({"data": [1.5]}, "no numbers of the datatype INT64"),
        ({"data": [2**63]}, "beyond INT64"),
        ({"data": [1.0], "datatype": "FP32"}, "expected 1 numbers, INT32 or INT64"),
    ],
)
def test_wrong_lengths_are_refused(ask: Ask, port: int, lengths: Any, error: str) -> None:
    """Lengths that do not fit the sequences are refused."""
    given = {"name": "lengths", "shape": [1], "datatype": "INT64"} | lengths
    reply = ask(port, "/v2/models/sensors/infer", {"inputs": [NUMBERS, given]})
    assert reply.status == 400, reply.body
    assert error in reply.json["error"]


@pytest.mark.parametrize(
    ("size", "binary", "length", "error"),
    [
        (5, b"\1\0\0\0a", "-1", "Inference-Header-Content-Length is b'-1'"),
        (5, b"\1\0\0\0a", "9" * 30, "expected 0.."),
        (5, b"\1\0\0\0a", "3", "Invalid JSON"),
        (5, b"\1\0\0\0ab", "", "1 bytes behind the JSON belong to no input"),
        (5, b"\2\0\0\0a", "", "ends within a text: it has 5 bytes, expected 6"),
        (4, b"\xff\xff\xff\xff", "", "ends within a text"),
        (2, b"\1\0", "", "ends within a text"),
        (5, b"\1\0\0\0\xff", "", "has a text that is not UTF-8"),
    ],
)
def test_wrong_bytes_are_refused(ask: Ask, port: int, size: int, binary: bytes, length: str, error: str) -> None:
    """Bytes behind the JSON that are not what it says are refused."""
    head = json.dumps({"inputs": [SIZED | {"parameters": {"binary_data_size": size}}]}).encode()
    reply = ask(port, INFER, head + binary, Inference_Header_Content_Length=length or str(len(head)))
    assert reply.status == 400, reply.body
    assert error in reply.json["error"]


@pytest.mark.parametrize("sequence_id", [0, ""])
def test_no_sequence_may_be_said(ask: Ask, port: int, sequence_id: Any) -> None:
    """What clients send for no sequence is none."""
    infer(ask, port, {"inputs": [text_input(["a"])], "parameters": {"sequence_id": sequence_id}})


def test_rows_without_data_are_counted_first(models: Models) -> None:
    """Millions of sequences of no steps, which are a few bytes, are refused before each is an array of its own."""
    inference = Inference(ServedModels(models, Limits(), Metrics()))
    question = Question.model_validate({"inputs": [NUMBERS | {"shape": [2_000_000, 0, 2], "data": []}]})
    tracemalloc.start()
    try:
        with pytest.raises(Refusal, match="2,000,000 texts or sequences, expected at most 1,024"):
            asyncio.run(inference.infer("sensors", question))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_sequence_has_the_limits_of_a_request(start: Any, ask: Ask, models: Models) -> None:
    """What a session reads is no longer than what is read without one, and no more of it waits."""
    port = start(models, limits=Limits(characters=10, steps=3))
    begin = {"sequence_id": 5, "sequence_start": True}
    text = {"inputs": [text_input(["a long film"])], "parameters": begin}
    numbers = {"inputs": [NUMBERS | {"shape": [1, 4, 2], "data": [0.0] * 8}], "parameters": begin}
    for model, question, error in (
        ("reviews", text, "11 characters, expected at most 10"),
        ("sensors", numbers, "4 steps, expected at most 3"),
    ):
        reply = ask(port, f"/v2/models/{model}/infer", question)
        assert reply.status == 413, reply.body
        assert error in reply.json["error"]


def test_what_is_not_asked_for_is_chosen_by_name(start: Any, ask: Ask, models: Models) -> None:
    """Without `outputs` a regression returns its numbers, also of a sequence, and an encoder its vector."""
    config = NetworkConfig(cell="average", task="encoding", labels=(), input_size=2)
    port = start({"heat": models["heat"], "encoder": Network(config, {})})
    question = {"inputs": [NUMBERS | {"shape": [1, 2, 1]}]}
    for parameters in ({}, {"sequence_id": 5, "sequence_start": True}):
        answer, _ = infer(ask, port, question | {"parameters": parameters}, model="heat")
        assert [each["name"] for each in answer["outputs"]] == ["values"]
    answer, _ = infer(ask, port, {"inputs": [NUMBERS]}, model="encoder")
    assert [(each["name"], each["data"]) for each in answer["outputs"]] == [("embedding", [1.0, 2.0])]


@pytest.mark.parametrize("path", ["/v2/models/nobody", "/v2/models/nobody/ready", "/v2/models/reviews/versions/2"])
def test_what_is_not_there_is_not_found(ask: Ask, port: int, path: str) -> None:
    """An unknown model, or a version of one that there is not, is 404."""
    reply = ask(port, path)
    assert reply.status == 404
    assert reply.json["error"]


def test_a_sequence_goes_on_from_request_to_request(ask: Ask, port: int, models: Models) -> None:
    """Between its start and its end the model remembers; without a start there is no such session."""

    def step(text: str, **flags: bool) -> Any:
        parameters = {"sequence_id": "ann"} | {f"sequence_{name}": flag for name, flag in flags.items()}
        return ask(port, INFER, {"inputs": [text_input([text])], "parameters": parameters})

    assert (step("a good film").status, step("a good fi", start=True).status) == (404, 200)
    found = step("lm", end=True).json["outputs"][0]["data"]
    assert np.array(found, np.float32).tobytes() == models["reviews"].predict_proba(["a good film"]).tobytes()
    assert step("a good film").json["error"].startswith("there is no such session")
