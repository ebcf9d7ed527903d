"""NVIDIA's client of the protocol, as PyPI has it, against the service."""

from collections.abc import Mapping

import numpy as np
import pytest

from tidegate.models.network import Network

client = pytest.importorskip("tritonclient.http", reason="pip install 'tritonclient[http]'")

TEXTS = np.array(["a good film", "ein schöner Film", ""], dtype=object)


@pytest.mark.parametrize("binary", [False, True])
def test_the_client_is_answered(port: int, models: Mapping[str, Network], binary: bool) -> None:
    """It finds the server and its models ready, and gets the bits of the model, with tensors as JSON and as bytes."""
    with client.InferenceServerClient(f"127.0.0.1:{port}") as server:
        assert server.is_server_live()
        assert server.is_server_ready()
        assert server.is_model_ready("reviews")
        assert server.get_server_metadata()["name"] == "tidegate"
        assert server.get_model_metadata("reviews")["inputs"][0]["datatype"] == "BYTES"
        given = client.InferInput("text", [3], "BYTES")
        given.set_data_from_numpy(TEXTS, binary_data=binary)
        wanted = [client.InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "embedding")]
        result = server.infer("reviews", [given], outputs=wanted, request_id="7")
        model = models["reviews"]
        np.testing.assert_array_equal(result.as_numpy("probabilities"), model.predict_proba(TEXTS.tolist()))
        np.testing.assert_array_equal(result.as_numpy("embedding"), model.encode(TEXTS.tolist()))
        labels = server.infer("reviews", [given]).as_numpy("label")
        assert [label.decode() for label in labels.tolist()] == model.predict(TEXTS.tolist()).tolist()
        ranked = server.infer("reviews", [given], outputs=[client.InferRequestedOutput("probabilities", class_count=2)])
        assert ranked.as_numpy("probabilities").shape == (3, 2)


def test_the_client_sends_sequences(port: int, models: Mapping[str, Network]) -> None:
    """It sends numbers with their lengths."""
    steps, lengths = np.random.default_rng(0).standard_normal((2, 4, 2)).astype(np.float32), np.array([4, 1])
    with client.InferenceServerClient(f"127.0.0.1:{port}") as server:
        inputs = [client.InferInput("sequence", [2, 4, 2], "FP32"), client.InferInput("lengths", [2], "INT64")]
        inputs[0].set_data_from_numpy(steps)
        inputs[1].set_data_from_numpy(lengths)
        found = server.infer("sensors", inputs).as_numpy("probabilities")
    np.testing.assert_array_equal(found, models["sensors"].predict_proba([steps[0], steps[1, :1]]))


def test_the_client_is_told_what_is_wrong(port: int) -> None:
    """An error has the text of the server."""
    given = client.InferInput("text", [3], "BYTES")
    given.set_data_from_numpy(TEXTS)
    with client.InferenceServerClient(f"127.0.0.1:{port}") as server:
        with pytest.raises(client.InferenceServerException, match="there is no model 'nobody'"):
            server.infer("nobody", [given])
        with pytest.raises(client.InferenceServerException, match="compressed by gzip, expected"):
            server.infer("reviews", [given], request_compression_algorithm="gzip")


@pytest.mark.parametrize("name", [7, "seven"])
def test_the_client_sends_a_sequence_step_by_step(port: int, models: Mapping[str, Network], name: int | str) -> None:
    """Its parameters for sequences give the bits of the whole one; a step before the start is an error."""
    steps = np.random.default_rng(0).standard_normal((1, 4, 2)).astype(np.float32)
    with client.InferenceServerClient(f"127.0.0.1:{port}") as server:

        def infer(first: int, last: int, **flags: bool) -> np.ndarray:
            part = client.InferInput("sequence", [1, last - first, 2], "FP32")
            part.set_data_from_numpy(steps[:, first:last])
            found: np.ndarray = server.infer("sensors", [part], sequence_id=name, **flags).as_numpy("probabilities")
            return found

        with pytest.raises(client.InferenceServerException, match="there is no such session"):
            infer(0, 1)
        infer(0, 1, sequence_start=True)
        infer(1, 3)
        found = infer(3, 4, sequence_end=True)
    np.testing.assert_array_equal(found, models["sensors"].predict_proba([steps[0]]))
