"""What every request goes through: names, tokens, limits, counters, and lines about requests."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tidegate.models.network import Network

Ask = Callable[..., Any]
Models = Mapping[str, Network]

TOKEN = "correct-horse-battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """What the server of `guarded` has written about requests."""
    return []


@pytest.fixture(scope="module")
def guarded(start: Callable[..., int], models: Models, lines: list[str]) -> int:
    """The port of a server that other machines could reach, with a token and small limits."""
    from tidegate.serve import Limits

    limits = Limits(body=2000, rows=3, characters=100, steps=4, explained=3)
    return start(models, hosts=("*",), token=TOKEN, limits=limits, log=lines.append)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"Authorization": "Basic " + TOKEN}, 401),
        ({"Cookie": "tidegate-token=wrong"}, 401),
        ({"Cookie": '=;;a="; tidegate-token'}, 401),
        (BEARER, 200),
        ({"Authorization": f"bearer  {TOKEN}"}, 200),
        ({"Cookie": f"a=b; tidegate-token={TOKEN}"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/models", "/", "/metrics", "/openapi.json", "/api/model", "/v2"])
def test_a_token_is_needed(ask: Ask, guarded: int, path: str, headers: dict[str, str], status: int) -> None:
    """Nothing is answered without the token, in a header or as a cookie."""
    reply = ask(guarded, path, **headers)
    assert reply.status == status
    if status == 401:
        assert reply.headers["www-authenticate"] == "Bearer"
        assert "a token is needed" in reply.json["error"]


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/", 200), ("/v2", 200), ("/nothing", 404)])
def test_head_is_answered_like_get(ask: Ask, guarded: int, path: str, status: int) -> None:
    """HEAD has the status and the headers of GET, and no body, wherever it is asked."""
    whole, head = (ask(guarded, path, method=method, **BEARER) for method in ("GET", "HEAD"))
    assert (whole.status, head.status) == (status, status)
    assert (head.body, head.headers["content-length"]) == (b"", whole.headers["content-length"])
    assert whole.body
    assert ask(guarded, path, method="HEAD").status == (200 if path == "/health" else 401)


def test_the_description_tells_of_the_token(ask: Ask, guarded: int, port: int) -> None:
    """Where a token is needed, OpenAPI has its scheme, and 401 everywhere but where all may ask."""
    found = ask(guarded, "/openapi.json", **BEARER).json
    assert found["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert found["security"] == [{"token": []}]
    assert "401" in found["paths"]["/predict"]["post"]["responses"]
    health = found["paths"]["/health"]["get"]
    assert ("401" in health["responses"], health["security"]) == (False, [])
    assert "security" not in ask(port, "/openapi.json").json


@pytest.mark.parametrize("path", ["/health", "/v2/health/live", "/v2/health/ready"])
def test_health_needs_no_token(ask: Ask, guarded: int, path: str) -> None:
    """Who looks after the server may ask whether it is there."""
    assert ask(guarded, path).status == 200


def test_a_browser_gets_a_cookie(ask: Ask, guarded: int) -> None:
    """A browser that opens the page with the token in the address gets it as a cookie that scripts cannot read."""
    reply = ask(guarded, f"/?token={TOKEN}")
    assert (reply.status, reply.headers["location"]) == (303, "/")
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert b"tidegate" in ask(guarded, "/", Cookie=cookie.partition(";")[0]).body
    assert ask(guarded, "/?token=wrong").status == 401
    assert ask(guarded, f"/models?token={TOKEN}").status == 401


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/predict", {"texts": ["a"] * 4}, 413, "4 texts or sequences, expected at most 3"),
        ("/predict", {"text": "a" * 101}, 413, "101 characters, expected at most 100"),
        ("/models/sensors/predict", {"sequence": [[1, 2]] * 5}, 413, "5 steps, expected at most 4"),
        ("/models/heat/predict", {"sequence": [[1] * 5, [2] * 5]}, 413, "5 steps, expected at most 4"),
        ("/explain", {"text": "a b c d"}, 413, "4 steps, expected at most 3 to be explained"),
        ("/explain", {"texts": ["a b", "c d"]}, 413, "4 steps, expected at most 3 to be explained"),
        ("/predict", b" " * 2001, 413, "more than 2,000 bytes"),
    ],
)
def test_limits_hold(ask: Ask, guarded: int, path: str, body: Any, status: int, error: str) -> None:
    """What is beyond a limit is refused, and the refusal says which."""
    reply = ask(guarded, path, body, **BEARER)
    assert (reply.status, error in reply.json["error"]) == (status, True), reply.body


def test_a_compressed_body_is_refused(ask: Ask, port: int) -> None:
    """No body is unpacked, which could become large."""
    reply = ask(port, "/predict", b"x", Content_Encoding="gzip")
    assert (reply.status, reply.json["error"]) == (415, "the request is compressed by gzip, expected it as it is")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 400),
        ({"Host": ""}, 400),
        ({"Host": "127.0.0.1:1"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost:5", "Origin": "http://localhost:5"}, 200),
    ],
)
def test_other_sites_are_kept_out(ask: Ask, port: int, headers: dict[str, str], status: int) -> None:
    """A page of another site can ask nothing, neither by a foreign name nor from a visitor's browser."""
    assert ask(port, "/models", **headers).status == status


def test_requests_are_written_without_texts(ask: Ask, guarded: int, lines: list[str]) -> None:
    """A line of JSON about each request says what was asked and how it ended, and nothing of what a text says."""
    lines.clear()
    ask(guarded, "/predict?token=hidden", {"text": "a secret"}, **BEARER)
    ask(guarded, "/predict", {"text": "a secret"})
    first, second = map(json.loads, lines)
    assert (first["method"], first["path"], first["status"], first["client"]) == ("POST", "/predict", 200, "127.0.0.1")
    assert first["bytes"] > 50
    assert first["milliseconds"] > 0
    assert second["status"] == 401
    assert not {"secret", "hidden", TOKEN} & set(" ".join(lines).replace('"', " ").split())


def test_requests_are_counted(ask: Ask, guarded: int) -> None:
    """Prometheus finds requests by method, route and status, whatever paths and methods clients invent."""

    def count(line: str) -> float:
        found = ask(guarded, "/metrics", **BEARER).body.decode().splitlines()
        return sum(float(each.split()[-1]) for each in found if each.startswith(line))

    line = 'http_requests_total{handler="/models/{name}/predict",method="POST",status="200"}'
    before = count(line)
    for _ in range(3):
        ask(guarded, "/models/reviews/predict", {"text": "a"}, **BEARER)
    ask(guarded, "/invented", method="PROPFIND")
    assert count(line) == before + 3
    assert count('http_requests_total{handler="other",method="other",status="401"}') == 1
    assert count('http_request_duration_seconds_count{handler="/models/{name}/predict"') >= 3
    assert count("invented") == count("PROPFIND") == 0
