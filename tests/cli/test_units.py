"""`tidegate units`: units by memory, words that move gates, the claim, and the scatter."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Shell = Callable[..., tuple[int, str, str]]


def test_units_are_listed_by_memory(shell: Shell) -> None:
    """All units of a small model stand in a table that fits 80 columns, from short memory to long, above the claim."""
    code, out, _ = shell("units model.safetensors test.csv")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    rows = [line.split() for line in out.splitlines() if line.strip()[:1].isdigit()]
    assert sorted(int(row[0]) for row in rows) == list(range(8))
    memories = [float(row[1]) for row in rows]
    assert memories == sorted(memories)
    assert "update gates open" in out
    assert "Cho's claim " in out


def test_a_narrow_terminal_leaves_columns_out(terminal: Callable[..., str], plain: Callable[[str], str]) -> None:
    """Units, memory and mean gates are whole; the shares of saturation and the units alike give way to them."""
    shown = plain(terminal("units model.safetensors test.csv", COLUMNS="40"))
    table, _, _ = shown.partition("these are 400 words")
    assert max(map(len, table.splitlines())) <= 40
    assert len(re.findall(r"^ ?\d+ +\d+\.\d +0\.\d{3} +0\.\d{3}", shown, re.MULTILINE)) == 8


def test_json_holds_every_unit(shell: Shell) -> None:
    """The JSON object has figures for each unit, the words that move gates, and the claim with its interval."""
    code, out, _ = shell("units model.safetensors test.csv --json")
    record = json.loads(out)
    assert code == 0
    assert [unit["unit"] for unit in record["units"]] == list(range(8))
    for unit in record["units"]:
        assert unit["memory"] == pytest.approx(1 / (1 - unit["update"]))
        assert len(unit["nearest"]) == 5
    assert record["steps"] == 50 * 8
    assert record["claim"]["low"] <= record["claim"]["correlation"] <= record["claim"]["high"]
    assert {"open", "close"} == set(record["words"]["reset"])


def test_an_lstm_has_three_gates_and_no_claim(shell: Shell, folder: Path, random_model: Callable[..., Any]) -> None:
    """Its memory is that of the forget gate, its gates are named by their letters, and no reset gate is spoken of."""
    random_model("lstm").save(folder / "lstm.safetensors")
    code, out, _ = shell("units lstm.safetensors test.csv --png lstm.png")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"^ *unit +memory +f +i +o +f<0\.1 ", out, re.MULTILINE)
    for gate in ("forget", "input", "output"):
        assert f"{gate} gates open" in out
    assert "claim" not in out
    record = json.loads(shell("units lstm.safetensors test.csv --json")[1])
    for unit in record["units"]:
        assert unit["memory"] == pytest.approx(1 / (1 - unit["forget"]))
        assert 0 <= unit["output_left"] <= 1
    assert (set(record["words"]), record["claim"]) == ({"forget", "input", "output"}, None)


def test_texts_come_through_a_pipe(shell: Shell) -> None:
    """Standard input holds one text a line."""
    code, out, _ = shell("units model.safetensors - --json", stdin="a good film\na bad film\n")
    assert code == 0
    assert json.loads(out)["steps"] == 6


def test_the_scatter_is_a_picture(shell: Shell, folder: Path) -> None:
    """With --png the file is a PNG."""
    pytest.importorskip("matplotlib")
    code, _, err = shell("units model.safetensors test.csv --png scatter.png")
    assert code == 0
    assert "wrote scatter.png" in err
    assert (folder / "scatter.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_hint_says_what_to_install(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing extra is named with the line that installs it, and no file is left behind."""
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    code, _, err = shell("units model.safetensors test.csv --png other.png")
    assert code == 2
    assert "pip install 'tidegate[plot]'" in err
    assert not Path("other.png").exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("test.csv --layer 2", "--layer is 2, expected 1..1: the model has 1 layer"),
        ("test.csv --reverse", "the model reads forward only"),
        ("nothing.csv", "there is no file 'nothing.csv'"),
    ],
)
def test_mistakes_are_named(shell: Shell, options: str, error: str) -> None:
    """A layer or a direction that the model has not, and a missing file, are told in one line."""
    code, _, err = shell(f"units model.safetensors {options}")
    assert code == 2
    assert error in err


def test_a_model_without_gates_is_refused(shell: Shell, small: str) -> None:
    """A vanilla RNN has no units with gates, and the error says so."""
    assert shell(f"train train.csv -o rnn.safetensors --cell rnn_tanh --no-baselines {small} --epochs 1")[0] == 0
    code, _, err = shell("units rnn.safetensors test.csv")
    assert code == 2
    assert "'rnn_tanh', which has no gates" in err
