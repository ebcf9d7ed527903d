"""Outputs for which there is no room: what is said, and where a trained model goes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import tidegate

pytest.importorskip("typer")
pytest.importorskip("torch")

Shell = Callable[..., tuple[int, str, str]]

SHORT = "--embedding-size 4 --hidden-size 4 --epochs 1 --no-baselines --parts network"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "command",
    [
        "predict model.safetensors test.csv -o /dev/full",
        "embed model.safetensors test.csv -o /dev/full",
        "explain model.safetensors good --html /dev/full",
        "explain model.safetensors good --png /dev/full",
        "units model.safetensors test.csv --png /dev/full",
    ],
)
def test_a_full_disk_is_named(shell: Shell, command: str) -> None:
    """The error of the system names the file."""
    code, _, err = shell(command)
    assert code == 2
    assert err == "error: /dev/full: No space left on device\n"


@pytest.mark.parametrize("where", ["/dev/full", "out/model.safetensors"])
def test_a_trained_model_is_not_lost(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """A model that cannot be written at the end, to a full disk or a folder that is gone, is in the current folder."""
    if where == "/dev/full" and not Path(where).exists():
        pytest.skip("there is no /dev/full here")
    shutil.copy("train.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("model-saved.safetensors").write_bytes(b"somebody's")
    monkeypatch.setattr("tidegate.cli.train.trainings.compare", lambda *_: Path("out").rmdir())
    code, _, err = shell(f"train train.csv -o {where} {SHORT}")
    saved = tmp_path / "model-saved-2.safetensors"
    assert code == 2
    why = f"{where}: No space left on device" if where == "/dev/full" else "there is no folder out"
    assert err.splitlines()[-1].startswith(f"error: {why}")
    assert err.endswith(f"The model is not lost: it is in {saved}\n")
    assert tidegate.load(saved).labels == ("neg", "pos")
    assert Path("model-saved.safetensors").read_bytes() == b"somebody's"


@pytest.mark.parametrize(
    ("refusals", "message", "place"),
    [
        (2, "The model is not lost: it is in .*/cache/tidegate/x-saved.safetensors", "cache/tidegate"),
        (3, "The model is not lost: it is in .*/temporary/x-saved.safetensors", "temporary"),
        (4, "Nor can it be written to the current folder", ""),
    ],
)
def test_the_last_places_for_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int, message: str, place: str
) -> None:
    """Where the current folder does not take a model, the cache does, then the folder for temporary files."""
    from tidegate.cli.outputs import save_somewhere

    refused: list[Path] = []

    def save(path: Path) -> None:
        if len(refused) < refusals:
            refused.append(path)
            raise OSError(28, "No space left on device")
        path.write_bytes(b"model")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with pytest.raises(OSError, match=f"^out/x.safetensors: No space left on device. {message}"):
        save_somewhere(save, Path("out/x.safetensors"))
    assert [path.parent for path in tmp_path.rglob("x-*")] == ([tmp_path / place] if place else [])


@pytest.mark.parametrize("stem", ["評" * 74, "a" * 243, "é" * 60])
def test_a_long_name_does_not_lose_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stem: str) -> None:
    """What cannot be saved under a long name is saved under a short one, not under one that is longer still."""
    from tidegate.cli.outputs import save_somewhere

    def save(path: Path) -> None:
        path.write_bytes(b"model")

    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=r"The model is not lost: it is in .*/model-saved\.safetensors"):
        save_somewhere(save, Path("gone", f"{stem}.safetensors"))
    assert Path("model-saved.safetensors").read_bytes() == b"model"
