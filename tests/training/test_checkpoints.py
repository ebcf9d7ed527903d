"""Checkpoints on disk: whole or not at all, two of each training, and what differs where they do not fit."""

import errno
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tidegate.text.vectors import WordVectors
from tidegate.training import checkpoints
from tidegate.training.checkpoints import Checkpoint, CheckpointError, Checkpoints
from tidegate.training.data.examples import TextExamples, prepare_texts
from tidegate.training.fingerprint import differences, fingerprint
from tidegate.training.settings import Settings

RUN = {"epochs": 3, "training data": "sha256:00"}


def moment(number: int) -> Checkpoint:
    """What a training could be: arrays of several types, one of them without axes, and facts."""
    arrays = {"w": np.full((3, 2), number, np.float32), "step": np.array(number, np.float32)}
    return Checkpoint(arrays | {"random": np.arange(9, dtype=np.uint8)}, {"batch": number, "best": -np.inf})


def written(folder: Path, count: int, training: str = "gru") -> list[Path]:
    """Writes some checkpoints, and returns the files that are left, oldest first."""
    checkpoints = Checkpoints(folder, RUN)
    for number in range(1, count + 1):
        checkpoints.write(training, moment(number))
    return sorted(folder.glob("*.safetensors"))


def resumed(folder: Path, run: dict[str, Any] | None = None) -> tuple[Checkpoint | None, list[str]]:
    """Reads the newest checkpoint, and what the user is told about it."""
    told: list[str] = []
    return Checkpoints(folder, run or RUN, resume=True, tell=told.append).read("gru"), told


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Arrays come back with their types, shapes and bits, and facts as they were."""
    written(tmp_path, 1)
    found, told = resumed(tmp_path)
    assert found
    assert told == []
    assert found.facts == moment(1).facts
    for name, array in moment(1).arrays.items():
        assert (found.arrays[name].dtype, found.arrays[name].shape) == (array.dtype, array.shape)
        assert found.arrays[name].tobytes() == array.tobytes()


def test_the_last_two_of_each_training_are_kept(tmp_path: Path) -> None:
    """Older ones are removed, those of other trainings are not."""
    written(tmp_path, 2, "average")
    assert [path.name for path in written(tmp_path / "other", 12)] == [
        "gru-000011.checkpoint.safetensors",
        "gru-000012.checkpoint.safetensors",
    ]
    checkpoints = Checkpoints(tmp_path, RUN, resume=True)
    for number in range(5):
        checkpoints.write("gru reset=before", moment(number))
    assert len(list(tmp_path.glob("average-*"))) == len(list(tmp_path.glob("gru reset=before-*"))) == 2


def change(position: float) -> Callable[[bytes], bytes]:
    """Changes one byte, at a share of the file's length."""
    return lambda data: data[: (at := int(position * len(data)))] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing left": lambda data: b"",
    "cut in the header": lambda data: data[:100],
    "cut in the arrays": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    "zeros": lambda data: bytes(len(data)),
    "zeros at the end": lambda data: data[:-20] + bytes(20),
    "a length that is too large": lambda data: b"\xff" * 8 + data[8:],
    "another file": lambda data: b"PK\x03\x04" + data,
    "a changed fact": lambda data: data.replace(b'\\"batch\\": 2', b'\\"batch\\": 3'),
    "a changed digest": lambda data: data.replace(b'"sha256":"', b'"sha256":"0', 1),
    "a changed type": lambda data: data.replace(b'"F32"', b'"I32"', 1),
    "a bit at the start of the arrays": change(0.9),
    "the last bit": change(0.9999),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Whatever is wrong with the newest file, the one before is used and the user is told which one is damaged."""
    _, newest = written(tmp_path, 2)
    data = newest.read_bytes()
    assert damage(data) != data
    newest.write_bytes(damage(data))
    found, told = resumed(tmp_path)
    assert found
    assert found.facts["batch"] == 1
    assert len(told) == 1
    assert told[0].startswith(f"{newest} is damaged: ")
    assert told[0].endswith("; the checkpoint before it is used")


def test_every_bit_counts(tmp_path: Path) -> None:
    """A file with any one bit of its contents changed is not taken for whole."""
    (path,) = written(tmp_path, 1)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(8, len(data), 200).tolist():
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :])
        try:
            found = Checkpoints(tmp_path, RUN, resume=True).read("gru")
        except CheckpointError:
            continue
        assert found  # padding of the header, or the same written another way
        assert found.arrays["w"].tobytes() == moment(1).arrays["w"].tobytes()
        assert found.facts == moment(1).facts


def test_without_a_whole_one_that_is_an_error(tmp_path: Path) -> None:
    """Where all are damaged, the error names each of them and what to do."""
    for path in written(tmp_path, 2):
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"000002.*damaged.*000001.*damaged.*start anew without resuming"):
        Checkpoints(tmp_path, RUN, resume=True)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.EACCES, errno.ENOMEM, errno.ESTALE])
def test_one_that_cannot_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """An error of the system is passed on, no older checkpoint is used instead, and all files stay."""
    files = written(tmp_path, 2)
    before = [path.read_bytes() for path in files]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing(number))
        with pytest.raises(OSError, match=re.escape(os.strerror(number))) as caught:
            resumed(tmp_path)
    assert caught.value.errno == number
    assert [path.read_bytes() for path in files] == before
    found, told = resumed(tmp_path)
    assert found
    assert (found.facts["batch"], told) == (2, [])


def failing(number: int) -> Callable[[Path], bytes]:
    """A way to read files that fails with an error of the system."""

    def read(path: Path) -> bytes:
        raise OSError(number, os.strerror(number), str(path))

    return read


def test_a_folder_of_its_name_is_no_damaged_checkpoint(tmp_path: Path) -> None:
    """What cannot be read at all is an error that names it."""
    (tmp_path / "gru-000003.checkpoint.safetensors").mkdir()
    with pytest.raises(IsADirectoryError, match="gru-000003"):
        resumed(tmp_path)


@pytest.mark.parametrize("number", ["2", "10", "0", "1.1", "next"])
def test_one_of_another_format_is_named_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    """A checkpoint that another version wrote is no damaged one: it stays where it is."""
    run = Checkpoints(tmp_path, RUN)
    run.write("gru", moment(1))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_FORMAT", number)
        run.write("gru", moment(2))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    before = [path.read_bytes() for path in files]
    with pytest.raises(CheckpointError, match=rf"000002.* has format '{number}', expected '1': another version"):
        resumed(tmp_path)
    assert [path.read_bytes() for path in files] == before


def test_a_damaged_one_is_kept_until_the_run_has_ended(tmp_path: Path) -> None:
    """It has another name, so that it is not looked at again, and goes when the run has ended well."""
    _, newest = written(tmp_path / "run", 2)
    newest.write_bytes(data := newest.read_bytes()[:-1])
    run = Checkpoints(tmp_path / "run", RUN, resume=True, tell=lambda _: None)
    assert newest.with_name(f"{newest.name}.damaged").read_bytes() == data
    assert not newest.exists()
    assert resumed(tmp_path / "run")[1] == []
    run.write("gru", moment(2))
    run.remove()
    assert not (tmp_path / "run").exists()


def test_a_damaged_one_is_put_aside_with_the_others(tmp_path: Path) -> None:
    """A run that does not resume moves it too."""
    oldest, newest = written(tmp_path, 2)
    newest.write_bytes(b"")
    assert len(resumed(tmp_path)[1]) == 1
    Checkpoints(tmp_path, RUN, tell=lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["previous"]
    names = sorted(path.name for path in (tmp_path / "previous").iterdir())
    assert names == [oldest.name, f"{newest.name}.damaged"]


def test_a_model_is_no_checkpoint(tmp_path: Path) -> None:
    """Another safetensors file of a checkpoint's name is refused."""
    save_file({"w": np.ones(2, np.float32)}, tmp_path / "gru-000001.checkpoint.safetensors")
    with pytest.raises(CheckpointError, match="is damaged"):
        Checkpoints(tmp_path, RUN, resume=True)


def test_where_there_is_none_the_user_is_told(tmp_path: Path) -> None:
    """To resume what has no checkpoint yet starts at the beginning, so that one command can be repeated."""
    found, told = resumed(tmp_path / "nowhere")
    assert found is None
    assert told == [f"there is no checkpoint in {tmp_path / 'nowhere'} yet: training starts at the beginning"]


def test_those_of_an_interrupted_run_are_put_aside(tmp_path: Path) -> None:
    """A run that does not resume keeps what another one has left until it has ended itself."""
    told: list[str] = []
    written(tmp_path / "run", 2)
    (tmp_path / "run" / "notes.txt").write_text("mine", encoding="utf-8")
    checkpoints = Checkpoints(tmp_path / "run", RUN, tell=told.append)
    aside = tmp_path / "run" / "previous"
    assert told == [f"a run was interrupted, and this one does not resume it: its checkpoints are now in {aside}"]
    assert len(list(aside.iterdir())) == 2
    assert checkpoints.read("gru") is None
    checkpoints.write("gru", moment(7))
    checkpoints.remove()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_nothing_is_left_of_a_run_that_ended_well(tmp_path: Path) -> None:
    """Checkpoints are removed with their folder; without any there is no folder at all."""
    checkpoints = Checkpoints(tmp_path / "run", RUN)
    checkpoints.remove()
    assert not (tmp_path / "run").exists()
    checkpoints.write("gru", moment(1))
    checkpoints.remove()
    assert not (tmp_path / "run").exists()


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    """The temporary file of a write that was interrupted is no checkpoint, and does not stay."""
    written(tmp_path, 1)
    (tmp_path / ".gru-000002.checkpoint.safetensors.0123456789abcdef.tmp").write_bytes(b"half")
    found, _ = resumed(tmp_path)
    assert found
    assert [path.name for path in tmp_path.iterdir()] == ["gru-000001.checkpoint.safetensors"]


def test_training_goes_on_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A disk that takes no checkpoint is told once, and is no error."""
    told: list[str] = []
    checkpoints = Checkpoints(tmp_path / "run", RUN, tell=told.append)
    (tmp_path / "run").write_text("a file", encoding="utf-8")
    checkpoints.write("gru", moment(1))
    checkpoints.write("gru", moment(2))
    assert told == [f"no checkpoint could be written to {tmp_path / 'run'}: File exists"]
    with pytest.raises(NotADirectoryError, match="run is a file, expected a folder for checkpoints"):
        Checkpoints(tmp_path / "run", RUN)


def test_they_are_rare_unless_asked_for(tmp_path: Path) -> None:
    """By default none is due in the first seconds; 0 seconds make one due at each step."""
    assert not Checkpoints(tmp_path, RUN).due()
    assert not Checkpoints(tmp_path, RUN).due(at_end=True)
    assert Checkpoints(tmp_path, RUN, every=0).due()


@pytest.fixture(scope="module")
def examples() -> TextExamples:
    """A few texts."""
    return prepare_texts(["so good", "so bad"] * 8, ["yes", "no"] * 8, validation=0.25)


VECTORS = WordVectors(["good"], np.ones((1, 4), np.float32))
OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "epochs": ({"settings": Settings(epochs=4)}, "epochs is 3 there and 4 here"),
    "batches": ({"settings": Settings(epochs=3, batch_size=8)}, "batch_size is 32 there and 8 here"),
    "seed": ({"settings": Settings(epochs=3, seed=1)}, "seed is 0 there and 1 here"),
    "rate": ({"settings": Settings(epochs=3, learning_rate=0.5)}, "learning_rate is 0.002 there and 0.5 here"),
    "dropout": ({"settings": Settings(epochs=3, dropout=0.0)}, "dropout is 0.4 there and 0.0 here"),
    "cell": ({"cell": "lstm"}, "cell is gru there and lstm here"),
    "size": ({"hidden_size": 9}, "hidden_size is 8 there and 9 here"),
    "directions": ({"bidirectional": True}, "bidirectional is False there and True here"),
    "vectors": ({"vectors": VECTORS}, "other word vectors"),
    "baselines": ({"beside": ("average",)}, "baselines is None there and average here"),
    "texts": ({"texts": ["so good", "so poor"] * 8}, "other training data"),
    "labels": ({"labels": ["no", "yes"] * 8}, "other training data"),
    "names": ({"labels": ["yes", "never"] * 8}, "other labels"),
    "validation": ({"validation": (["so good", "so"], ["yes", "no"])}, "other validation data"),
}


def described(**changes: Any) -> dict[str, Any]:
    """The fingerprint of a small training, after JSON, with changes."""
    data: dict[str, Any] = {"texts": ["so good", "so bad"] * 8, "labels": ["yes", "no"] * 8, "validation": 0.25}
    data |= {name: changes.pop(name) for name in data if name in changes}
    examples = prepare_texts(data.pop("texts"), data.pop("labels"), **data)
    settings, vectors = changes.pop("settings", Settings(epochs=3)), changes.pop("vectors", None)
    beside = [examples.config(cell, embedding_size=4) for cell in changes.pop("beside", ())]
    sizes: dict[str, Any] = {"cell": "gru", "hidden_size": 8, "embedding_size": 4} | changes
    config = examples.config(**sizes)
    plain: dict[str, Any] = json.loads(json.dumps(fingerprint(examples, config, settings, vectors, beside)))
    return plain


@pytest.mark.parametrize(("changes", "message"), OTHERS.values(), ids=OTHERS.keys())
def test_what_differs_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """A checkpoint of other data, another network or other settings is one error that says in what."""
    Checkpoints(tmp_path, described()).write("gru", moment(1))
    with pytest.raises(CheckpointError, match=r"is of another run: .*\. Resume with the same data, settings") as caught:
        Checkpoints(tmp_path, described(**changes), resume=True)
    assert message in str(caught.value)


def test_versions_are_part_of_it() -> None:
    """Another version of what computes is named."""
    here = described()
    for name in ("tidegate", "torch", "numpy"):
        assert differences(here | {name: "0.0"}, here) == [f"{name} is 0.0 there and {here[name]} here"]


def test_what_is_the_same_is_no_difference(examples: TextExamples) -> None:
    """A setting that is given as it would be chosen is the same, and so is another number of threads."""
    config = examples.config("gru", embedding_size=4, hidden_size=8)
    chosen = examples.schedule(Settings(), config)
    given = replace(Settings(), epochs=chosen.epochs, batch_size=chosen.batch_size, patience=chosen.patience)
    assert fingerprint(examples, config, Settings()) == fingerprint(examples, config, given)
