"""`tidegate serve`: from the command to the page, and to its end."""

import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING
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
        assert line.startswith("model.safetensors is at http://127.0.0.1:")
        with urlopen(line.split()[3]) as page:
            assert b"tidegate" in page.read()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
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


def test_an_open_address_is_warned_of(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever serves to other machines is told that anyone can use the page."""
    import webbrowser

    from tidegate import serve

    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(serve, "serve", lambda app, taken, ready: (ready(), taken.close()))
    code, out, err = shell("serve model.safetensors --port 0 --host 0.0.0.0 --open")
    assert code == 0
    assert err.startswith("warning: anyone who can reach 0.0.0.0 can use this page")
    assert opened == [out.split()[3]]
