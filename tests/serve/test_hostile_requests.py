"""The page's server under requests that no browser sends: it refuses, never fails, and answers the next one."""

import json
import socket
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("fastapi")
from tidegate.models.text_model import TextModel
from tidegate.serve.limits import Limits
from tidegate.serve.page.messages import LONGEST_TEXT, MOST_STEPS, Question, QuestionError
from tidegate.serve.page.readings import Readings


@pytest.fixture(scope="module")
def port(start: Callable[..., int], random_model: Callable[..., TextModel]) -> int:
    """The port of a server with a small GRU."""
    return start({"tiny": random_model()})


def status_of(port: int, request: bytes, *, whole: bool = True) -> int:
    """Sends bytes and returns the status of the answer; 0 if the server hangs up, or waits for the rest."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        try:
            connection.sendall(request)
            if not whole:  # it need not be answered; what the server says of it is there when the next one is answered
                assert status_of(port, question({"text": "a good film"})) == 200
                connection.settimeout(0.01)
            line = connection.makefile("rb").readline()
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            return 0
    return int(line.split()[1]) if line else 0


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request with the headers that every one needs."""
    lines = (line, "Host: 127.0.0.1", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers)
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


def question(body: Any, path: str = "words") -> bytes:
    """A question, as JSON or as it is."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request(f"POST {path if path.startswith('/') else '/api/' + path} HTTP/1.1", body=data)


INFER = "/v2/models/tiny/infer"
TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a good film"]}
SURROGATE = b'"\\ud800"'

HOSTILE: dict[str, bytes] = {
    "a null in the path": request("GET /%00 HTTP/1.1"),
    "a null behind a name": request("GET /page.js%00.html HTTP/1.1"),
    "a path outside": request("GET /..%2f..%2fpage.py HTTP/1.1"),
    "a path outside, raw": request("GET /../../page.py HTTP/1.1"),
    "an absolute path": request("GET //etc/passwd HTTP/1.1"),
    "a long path": request(f"GET /{'a' * 5000} HTTP/1.1"),
    "a deep path": request(f"GET {'/a' * 5000} HTTP/1.1"),
    "a path that is not UTF-8": request("GET /%ff%fe HTTP/1.1"),
    "a path of surrogates": request("GET /%ed%a0%80 HTTP/1.1"),
    "a path with a backslash": request("GET /..\\..\\page.py HTTP/1.1"),
    "an open escape": request("GET /% HTTP/1.1"),
    "no path": request("OPTIONS * HTTP/1.1"),
    "a whole address": request("GET http://127.0.0.1/api/model HTTP/1.1"),
    "an unknown method": request("BREW /api/words HTTP/1.1"),
    "a long method": request(f"{'A' * 5000} / HTTP/1.1"),
    "DELETE": request("DELETE / HTTP/1.1"),
    "PUT": request("PUT /api/words HTTP/1.1", body=b"{}"),
    "TRACE": request("TRACE / HTTP/1.1"),
    "CONNECT": request("CONNECT 127.0.0.1:22 HTTP/1.1"),
    "GET of a question": request("GET /api/words HTTP/1.1"),
    "HEAD of the model": request("HEAD /api/model HTTP/1.1"),
    "version 0.9": b"GET /\r\n\r\n",
    "version 3": request("GET / HTTP/3.0"),
    "no request": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    "empty lines": b"\r\n" * 1000,
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": request("GET / HTTP/1.1", "Host: example.org"),
    "a host with a port": b"GET / HTTP/1.1\r\nHost: 127.0.0.1:99999999\r\n\r\n",
    "a host of nothing": b"GET / HTTP/1.1\r\nHost: \r\n\r\n",
    "a host that is not ASCII": b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
    "many headers": request("GET / HTTP/1.1", *(f"X-{i}: {i}" for i in range(2000))),
    "a long header": request("GET / HTTP/1.1", "X: " + "a" * 200_000),
    "a header without end": b"GET / HTTP/1.1\r\nX: " + b"a" * 1_000_000,
    "a folded header": request("GET / HTTP/1.1", "X: a", " b"),
    "a header without a colon": request("GET / HTTP/1.1", "nonsense"),
    "many ranges": request("GET /page.js HTTP/1.1", "Range: bytes=" + ",".join(["0-0"] * 5000)),
    "a range of nonsense": request("GET /page.js HTTP/1.1", "Range: bytes=9-1,-,a-b"),
    "a range beyond": request("GET /page.js HTTP/1.1", f"Range: bytes={'9' * 5000}-"),
    "a date of nonsense": request("GET /page.js HTTP/1.1", "If-Modified-Since: yesterday"),
    "a date beyond": request("GET /page.js HTTP/1.1", "If-Modified-Since: Fri, 31 Dec 99999 23:59:59 GMT"),
    "a length of nonsense": b"POST /api/words HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: many\r\n\r\n",
    "a negative length": b"POST /api/words HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    "a length of exabytes": b"POST /api/words HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: "
    + b"9" * 19
    + b"\r\n\r\n{}",
    "less than announced": b"POST /api/words HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{}",
    "chunks of nonsense": request("POST /api/words HTTP/1.1", "Transfer-Encoding: chunked") + b"zz\r\nabc\r\n",
    "an unknown encoding": request("POST /api/words HTTP/1.1", "Transfer-Encoding: gzip"),
    "an upgrade": request(
        "GET / HTTP/1.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AA==",
    ),
    "another upgrade": request(
        "GET / HTTP/1.1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: "
    ),
    "an expectation": request("POST /api/words HTTP/1.1", "Expect: 200-maybe", body=b"{}"),
    "a form": request("POST /api/words HTTP/1.1", "Content-Type: multipart/form-data", body=b"--"),
    "no JSON": question(b"\xff\xfe{"),
    "JSON of another encoding": question('{"text": "a"}'.encode("utf-16")),
    "nothing": question(b""),
    "null": question(None),
    "a list": question([]),
    "a nest of lists": question(b"[" * 200_000),
    "a nest in a question": question(b'{"vectors": ' + b"[" * 200_000),
    "a nest of objects": question(b'{"a":' * 200_000),
    "a long number": question(b'{"text": ' + b"9" * 5000 + b"}"),
    "a surrogate as text": question(b'{"text": ' + SURROGATE + b"}"),
    "a surrogate as a name": question(b"{" + SURROGATE + b": 1}"),
    "a surrogate as a gate": question(b'{"text": "a", "gate": ' + SURROGATE + b"}", "gates"),
    "a surrogate as a value": question(
        b'{"text": "a", "unit": 0, "step": 0, "values": {' + SURROGATE + b": 0.5}}", "what-if"
    ),
    "a long name": question({"a" * 1_000_000: 1}),
    "a long gate": question({"text": "a", "gate": "a" * 1_000_000}, "gates"),
    "many names": question({str(i): i for i in range(100_000)}),
    "many values": question({"text": "a", "unit": 0, "step": 0, "values": {str(i): 0 for i in range(1000)}}, "what-if"),
    "a value of nothing": question(b'{"text": "a", "unit": 0, "step": 0, "values": {"update": NaN}}', "what-if"),
    "a value without end": question(b'{"text": "a", "unit": 0, "step": 0, "values": {"update": 1e999}}', "what-if"),
    "a huge unit": question(b'{"text": "a", "unit": ' + b"9" * 400 + b"}", "unit"),
    "a unit of truth": question({"text": "a", "unit": True}, "unit"),
    "a huge layer": question({"text": "a", "layer": 2**70}, "ledger"),
    "a huge step": question({"text": "a", "unit": 0, "step": 2**63, "values": {}}, "what-if"),
    "no words": question({"text": ""}),
    "no words in the ledger": question({"text": ""}, "ledger"),
    "no words in the flow": question({"text": ""}, "flow"),
    "no words in a map": question({"text": "", "gate": "update"}, "gates"),
    "no words and a unit": question({"text": "", "unit": 0}, "unit"),
    "no vectors": question({"vectors": []}),
    "no vectors in the flow": question({"vectors": []}, "flow"),
    "empty vectors": question({"vectors": [[]]}),
    "vectors of two sizes": question({"vectors": [[1, 2, 3, 4], [1]]}),
    "huge vectors": question({"vectors": [[3e38] * 4] * 3}),
    "vectors beyond float32": question({"vectors": [[1e300] * 4]}),
    "vectors of no numbers": question(b'{"vectors": [[NaN, Infinity, -Infinity, 0]]}'),
    "many vectors": question({"vectors": [[0, 0, 0, 0]] * 6000}),
    "many empty vectors": question(b'{"vectors": [' + b"[]," * 500_000 + b"[]]}"),
    "many words": question({"text": "a " * 6000}),
    "one long word": question({"text": "a" * LONGEST_TEXT}),
    "a text that is too long": question({"text": "a" * (LONGEST_TEXT + 1)}),
    "too many bytes": question(b" " * 9_000_000),
    "a nest in a prediction": question(b'{"sequences": ' + b"[" * 200_000, "/predict"),
    "a surrogate to predict": question(b'{"text": ' + SURROGATE + b"}", "/predict"),
    "a surrogate as a model": question(b'{"text": "a", "model": ' + SURROGATE + b"}", "/predict"),
    "many texts": question({"texts": [""] * 500_000}, "/predict"),
    "many steps": question(b'{"sequence": [' + b"[]," * 500_000 + b"[]]}", "/predict"),
    "a long text to explain": question({"text": "a " * 99_000}, "/explain"),
    "a model of a path": question({"text": "a"}, "/models/..%2f..%2ftiny/predict"),
    "a tensor of nothing": question({"inputs": [{}]}, INFER),
    "a tensor of many axes": question({"inputs": [TENSOR | {"shape": [1] * 1000}]}, INFER),
    "a tensor of no end": question({"inputs": [TENSOR | {"shape": [2**62, 2**62]}]}, INFER),
    "a nest in a tensor": question(b'{"inputs": [{"name": "text", "data": ' + b"[" * 200_000, INFER),
    "a deep tensor": question({"inputs": [TENSOR | {"data": [[[[[[[[[["a"]]]]]]]]]]}]}, INFER),
    "a length beyond the bytes": request(f"POST {INFER} HTTP/1.1", "Inference-Header-Content-Length: 99", body=b"{}"),
    "a length of letters": request(f"POST {INFER} HTTP/1.1", "Inference-Header-Content-Length: ²", body=b"{}"),
    "many outputs": question({"inputs": [TENSOR], "outputs": [{"name": "label"}] * 100_000}, INFER),
    "many classes": question(
        {"inputs": [TENSOR], "outputs": [{"name": "probabilities", "parameters": {"classification": 2**70}}]}, INFER
    ),
}


WAITED_FOR = tuple(
    HOSTILE[name] for name in ("a header without end", "a length of exabytes", "less than announced", "empty lines")
)
"""What is no whole request: for all that the server knows, the rest is under way."""


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_request_is_no_fault_of_the_server(port: int, data: bytes) -> None:
    """It is answered or refused with a status below 500, or the line is dead; the next question is answered."""
    assert status_of(port, data, whole=not data.startswith(WAITED_FOR)) < 500
    assert status_of(port, question({"text": "a good film"})) == 200


def test_a_body_that_stops_is_not_taken_for_a_whole_one(port: int) -> None:
    """A client that goes away in the middle of a question has asked nothing, even if what came is a question."""
    body = b'{"text": "a good film"}'
    head = "POST /api/words HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json"
    head += f"\r\nContent-Length: {len(body) + 9}"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"{head}\r\n\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answered = connection.makefile("rb").read()
    assert b" 200 " not in answered


def test_slow_clients_keep_nobody_waiting(port: int) -> None:
    """While fifty connections wait in the middle of a header or a body, another client is answered."""
    starts = (b"GET / HT", b"POST /api/words HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    try:
        for place, connection in enumerate(slow):
            connection.sendall(starts[place % 2])
        assert status_of(port, question({"text": "a good film"})) == 200
    finally:
        for connection in slow:
            connection.close()


def test_a_body_that_does_not_come_is_given_up(
    start: Callable[..., int], random_model: Callable[..., TextModel]
) -> None:
    """What was kept of a body is not kept for ever: after a while the answer is 408."""
    port = start({"tiny": random_model()}, limits=Limits(seconds=0.2))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /api/words HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")
        assert b" 408 " in connection.makefile("rb").readline()


def test_a_body_in_many_pieces_is_put_together_once(port: int) -> None:
    """A body of thousands of chunks costs no more than one of a single chunk: copying would be quadratic."""
    pieces = b"".join(b"1\r\n \r\n" for _ in range(200_000)) + b'17\r\n{"text": "a good film"}\r\n0\r\n\r\n'
    head = b"POST /api/words HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    assert status_of(port, head + pieces) == 200


def test_a_text_is_counted_before_it_is_read(random_model: Callable[..., TextModel]) -> None:
    """A text of too many words is refused before their vectors take memory."""
    model = random_model(embedding_size=2000)
    readings = Readings(model)
    tracemalloc.start()
    try:
        with pytest.raises(QuestionError, match="the text has 50,000 words, expected at most 5,000 on the page"):
            readings.of(Question(text="a " * 50_000))
        assert tracemalloc.get_traced_memory()[1] < 4 * 50_000 * 2000 / 4
    finally:
        tracemalloc.stop()
    assert MOST_STEPS == 5000


def test_the_server_is_still_there(port: int) -> None:
    """After all that, the page and the model are served as before."""
    assert status_of(port, request("GET / HTTP/1.1")) == 200
    assert status_of(port, request("GET /api/model HTTP/1.1")) == 200
