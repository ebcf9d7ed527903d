"""`tidegate serve`: from the command to the page, and to its end."""

import json
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

pytest.importorskip("fastapi")

if TYPE_CHECKING:
    import subprocess

Shell = Callable[..., tuple[int, str, str]]


def test_the_page_is_served_until_ctrl_c(process: Callable[[str], "subprocess.Popen[str]"]) -> None:
    """The command prints where the page is, serves it, and ends cleanly with Ctrl-C."""
    with process("serve model.safetensors --port 0 --threads 1") as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line.startswith("model is at http://127.0.0.1:")
        with urlopen(line.split()[3]) as page:
            assert b"tidegate" in page.read()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate()
        assert (running.returncode, out, err) == (0, "", "stopped\n")


def test_a_port_in_use_is_told(shell: Shell) -> None:
    """A port that another program has is an error of one line."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        code, _, err = shell(f"serve model.safetensors --port {number}")
    assert code == 2
    assert err == f"error: cannot serve on 127.0.0.1:{number}: Address already in use; choose another with --port\n"


def test_a_missing_model_is_told(shell: Shell) -> None:
    """A file that is not there is an error of one line."""
    assert shell("serve nothing.safetensors") == (2, "", "error: nothing.safetensors: No such file or directory\n")


def test_a_missing_extra_has_its_install_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the packages of the extra, the line that installs them is printed."""
    for module in [module for module in sys.modules if module.startswith("tidegate.serve")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    import tidegate

    monkeypatch.delattr(tidegate, "serve", raising=False)
    code, _, err = shell("serve model.safetensors")
    assert (code, err) == (2, "error: the page needs fastapi: pip install 'tidegate[serve]'\n")


def listens(port: int) -> bool:
    """Whether a server takes new connections."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("numbers", [[signal.SIGTERM], [signal.SIGHUP], [signal.SIGTERM, signal.SIGHUP]], ids=str)
def test_what_is_under_way_is_answered(
    process: Callable[[str], "subprocess.Popen[str]"], numbers: list[signal.Signals]
) -> None:
    """A request that has begun when the server is told to end is answered, and the command ends without an error."""
    body = b'{"text": "a good film"}'
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with process("serve model.safetensors --port 0 --threads 1 --log --drain 600") as running:
        assert running.stdout is not None
        port = int(running.stdout.readline().split()[3].rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(head.encode() + body[:5])
            with urlopen(f"http://127.0.0.1:{port}/health") as health:
                assert health.status == 200  # so that the server has seen the other request
            for number in numbers:
                running.send_signal(number)
            while listens(port):  # until the server has begun to end
                time.sleep(0.01)
            connection.sendall(body[5:])
            answer = connection.makefile("rb").read()
        _, err = running.communicate()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"model":"model"' in answer
    lines = err.splitlines()
    assert [json.loads(line)["path"] for line in lines[:-1]] == ["/health", "/predict"]
    assert (running.returncode, lines[-1]) == (0, "stopped")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the application is made of, and how it is served, in place of serving it."""
    import webbrowser

    from tidegate import serve

    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: calls.append({"opened": address}))
    monkeypatch.setattr(serve, "create_app", lambda models, **rest: calls.append({"models": list(models)} | rest))
    monkeypatch.setattr(serve, "serve", lambda app, taken, ready, drain: (ready(), taken.close()))
    return calls


def test_models_have_names(shell: Shell, served: list[dict[str, Any]]) -> None:
    """A model is called like its file, or as the command says."""
    code, out, _ = shell("serve model.safetensors second=model.safetensors --port 0 --page second")
    assert code == 0
    assert out.startswith("model, second are at http://127.0.0.1:")
    assert (served[0]["models"], served[0]["page"], served[0]["token"]) == (["model", "second"], "second", None)


def test_limits_are_options(shell: Shell, served: list[dict[str, Any]]) -> None:
    """Each limit has an option, and the usual ones are those of the library."""
    from tidegate.serve import Limits

    assert shell("serve model.safetensors --port 0")[0] == 0
    assert served[0]["limits"] == Limits()
    options = "--max-bytes 1 --max-rows 2 --max-characters 3 --max-steps 4 --max-queue 5 --max-batch 6 --wait 5"
    assert shell(f"serve model.safetensors --port 0 {options} --timeout 7 --drain 8")[0] == 0
    expected = Limits(body=1, rows=2, characters=3, steps=4, queue=5, batch=6, wait=0.005, seconds=7, drain=8)
    assert served[1]["limits"] == expected


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("model.safetensors --host 0.0.0.0", "other machines can reach 0.0.0.0, so a token is needed: --token TEXT"),
        ("model.safetensors --host 0.0.0.0 --token short", "the token has spaces or less than 8 characters"),
        ("model.safetensors model.safetensors", "two models are called 'model', expected different names"),
        ("'a b=model.safetensors'", "a model is called 'a b', expected letters, digits, _, . and -"),
        ("model.safetensors --page nobody", "the page is that of 'nobody', expected a model that reads texts"),
    ],
)
def test_wrong_options_are_told(shell: Shell, arguments: str, error: str) -> None:
    """What cannot be served is an error of one line, before anything is."""
    code, _, err = shell(f"serve {arguments} --port 0")
    assert (code, err.count("\n")) == (2, 1)
    assert error in err


def test_an_open_address_needs_a_token(
    shell: Shell, served: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever serves to other machines gives a token, here by the environment, and is told what it does not protect."""
    monkeypatch.setenv("TIDEGATE_TOKEN", "correct-horse")
    code, out, err = shell("serve model.safetensors --port 0 --host 0.0.0.0 --open")
    assert code == 0
    assert err.startswith("other machines can reach 0.0.0.0: clients need the token, and it and the texts travel unenc")
    made, opened = served
    assert (made["token"], made["hosts"]) == ("correct-horse", ("*",))
    assert opened == {"opened": out.split()[3] + "?token=correct-horse"}


@pytest.mark.parametrize(("host", "name"), [("127.0.0.2", "127.0.0.2"), ("0:0:0:0:0:0:0:1", "[0:0:0:0:0:0:0:1]")])
def test_an_address_of_this_machine_is_a_name_of_the_server(
    shell: Shell, served: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, host: str, name: str
) -> None:
    """Who listens on another address that only this machine has can be called by it."""
    from tidegate import serve

    listen = serve.listen
    monkeypatch.setattr(serve, "listen", lambda _, port: listen("127.0.0.1", port))
    assert shell(f"serve model.safetensors --port 0 --host {host}")[0] == 0
    assert name in served[0]["hosts"]
    assert "127.0.0.1" in served[0]["hosts"]
