"""Files of Keras that are damaged, hostile, or hold what no model has."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

from tidegate.convert import ConversionError, convert  # noqa: E402
from tidegate.convert.keras.file import read_here  # noqa: E402

FOLDER = Path(__file__).parent / "keras"

pytestmark = pytest.mark.usefixtures("_read_here")


def changed(path: Path, folder: Path, change: Callable[[Any], None]) -> Path:
    """A `.keras` archive with its weights changed."""
    result = folder / "changed.keras"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(result, "w") as out:
        for entry in archive.infolist():
            data = archive.read(entry)
            if entry.filename == "model.weights.h5":
                memory = io.BytesIO(data)
                with h5py.File(memory, "r+") as file:
                    change(file)
                data = memory.getvalue()
            out.writestr(entry, data)
    return result


def enlarge(file: Any) -> None:
    """Puts an array in the place of one that has no numbers in the file, and billions by its shape."""
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (2**20, 2**10), "f4", chunks=True)


def link(file: Any) -> None:
    """Puts a link to another file in the place of an array."""
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "/")


def drop(file: Any) -> None:
    """Leaves an array out."""
    del file["layers/dense/vars/1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (enlarge, r"has the shape \(1048576, 1024\), but 0 bytes in the file"),
        (link, "layers/dense/vars/0 is a link to another file"),
        (drop, r"'dense' .Dense. has arrays \[\(2, 3\)\], expected 2"),
    ],
)
def test_hostile_weights_are_refused(tmp_path: Path, change: Callable[[Any], None], message: str) -> None:
    """Lying sizes, links and missing arrays are one clear error each, before memory is taken."""
    with pytest.raises(ConversionError, match=message):
        convert(changed(FOLDER / "words.keras", tmp_path, change))


@pytest.mark.parametrize("name", ["words.keras", "numbers.h5"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    """Wherever a file was cut, the error is of conversion and names the file."""
    data = (FOLDER / name).read_bytes()
    for length in (9, 600, len(data) // 2, len(data) - 100):
        (tmp_path / name).write_bytes(data[:length])
        with pytest.raises(ConversionError, match=name):
            read_here(tmp_path / name)


def test_a_packed_member_is_not_unpacked(tmp_path: Path) -> None:
    """A member that is thousands of times larger than in the archive is refused by its size."""
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 10**7)
        archive.writestr("metadata.json", b"{}")
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(ConversionError, match=r"config.json would take 10,000,000 bytes, packed in"):
        convert(tmp_path / "bomb.keras")


def test_a_model_with_branches_is_refused(tmp_path: Path) -> None:
    """A functional model whose layers form no chain is named by the layer that reads several."""
    path = tmp_path / "m.h5"
    layers = [
        {"class_name": "InputLayer", "name": "a", "config": {"name": "a"}, "inbound_nodes": []},
        {"class_name": "InputLayer", "name": "b", "config": {"name": "b"}, "inbound_nodes": []},
        {
            "class_name": "Add",
            "name": "c",
            "config": {"name": "c"},
            "inbound_nodes": [[["a", 0, 0, {}], ["b", 0, 0, {}]]],
        },
    ]
    config = {"class_name": "Functional", "config": {"layers": layers, "output_layers": [["c", 0, 0]]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ConversionError, match="the layer 'c' reads a, b, expected a chain of layers"):
        convert(path)


def test_weights_without_a_configuration_are_refused(tmp_path: Path) -> None:
    """A file of weights alone does not say what layers they are of."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["a"] = np.ones(3)
    with pytest.raises(ConversionError, match="it has no model_config: weights alone don't say"):
        convert(tmp_path / "w.h5")
