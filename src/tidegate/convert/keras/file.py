"""Files of Keras, read without Keras: what layers there are, and the arrays of each.

Both kinds are read: `.keras` archives and `.h5` files, of Keras 2 and of Keras 3. Nothing in them is executed.
"""

import io
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy.typing as npt

from tidegate.convert.certificate import ConversionError
from tidegate.convert.keras.chain import MOST_LAYERS, Chain, chain_of
from tidegate.convert.keras.code import OWN_ARRAY, OWN_MEMBER
from tidegate.models.files.metadata import parse_object

try:
    import h5py
except ModuleNotFoundError as error:
    raise ImportError(f"Keras' files need {error.name}: pip install 'tidegate[convert]'") from error

Array = npt.NDArray[Any]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
"""The members of a `.keras` archive."""

_LARGEST = 2**32
_PACKED = 64  # times that a member may be larger than in the archive; Keras does not pack them
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


class KerasLayer(NamedTuple):
    """A layer: its class, its configuration, and its arrays in Keras' order, those of a wrapped layer by its name."""

    kind: str
    config: Mapping[str, Any]
    arrays: Mapping[str, tuple[Array, ...]]

    @property
    def title(self) -> str:
        """Its name and its class, for errors."""
        return f"{str(self.config.get('name'))!r:.60} ({self.kind:.60})"


class KerasModel(NamedTuple):
    """What a file holds.

    Attributes:
        layers: The layers in the order in which they read each other; those of a file that this library wrote are its
            folders, with their names as the class.
        version: Of the Keras that wrote it.
        texts: What this library says in the file of the model; empty in files of others.
    """

    layers: tuple[KerasLayer, ...]
    version: tuple[int, ...]
    texts: Mapping[str, str] = MappingProxyType({})


def read_here(path: str | os.PathLike[str]) -> KerasModel:
    """Reads a model in this process, which a damaged file can hold up for ever; see `process.read`.

    Raises:
        OSError: There is no such file.
        ConversionError: It is no model of Keras, or a damaged one, or its layers form no chain.
    """
    with open(path, "rb") as file:
        data = file.read()
    with one_error(os.fsdecode(path)):
        return _read_archive(data) if data.startswith(b"PK") else _read_h5(data)


@contextmanager
def one_error(name: str) -> Iterator[None]:
    """Turns whatever libraries raise about a file of this name into a ConversionError."""
    try:
        yield
    except ConversionError as error:
        raise ConversionError(f"{name}: {error}") from None
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConversionError(f"{name} is no model of Keras, or a damaged one: {reason:.200}") from None


def _read_archive(data: bytes) -> KerasModel:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            config, metadata, weights = (_member(archive, name) for name in (CONFIG, METADATA, WEIGHTS))
            texts = _member(archive, OWN_MEMBER) if OWN_MEMBER in archive.namelist() else b""
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise ConversionError(f"it is a damaged zip archive: {error}") from None
    with h5py.File(io.BytesIO(weights), "r") as file:
        return own_model_in(texts, file) if texts else model_in(config, metadata, file)


def own_model_in(texts: bytes, weights: Any) -> KerasModel:
    """Reads a file that this library wrote: what it says of the model, and the folders of layers of an open HDF5."""
    said = parse_object(OWN_MEMBER, texts.decode())
    if not said or not all(isinstance(text, str) for text in said.values()):
        raise ConversionError(f"{OWN_MEMBER} is damaged, expected texts by name")
    folders = members(weights, "layers")[:MOST_LAYERS]
    layers = (KerasLayer(folder, {"name": folder}, variables(weights, f"layers/{folder}")) for folder in folders)
    return KerasModel(tuple(layers), (3, 0), said)


def model_in(config: bytes, metadata: bytes, weights: Any) -> KerasModel:
    """Reads a model of the members of an archive, the last one as an open file of HDF5."""
    version = _version(parse_object(METADATA, metadata.decode()).get("keras_version"))
    configs = chain_of(parse_object(CONFIG, config.decode()))
    places = _places(weights, configs)
    layers = (
        KerasLayer(kind, own, variables(weights, places.get(str(own.get("name")), ""))) for kind, own in configs.chain
    )
    return KerasModel(tuple(layers), version)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Reads a member of an archive.

    Raises:
        ConversionError: There is none, or it is far larger than in the archive.
    """
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise ConversionError(f"it is no model of Keras: the archive has no {name}") from None
    if entry.file_size > min(_LARGEST, _PACKED * entry.compress_size + 2**16):
        raise ConversionError(f"{name} would take {entry.file_size:,} bytes, packed in {entry.compress_size:,}")
    with archive.open(entry) as member:
        return member.read(entry.file_size)


def _version(text: Any) -> tuple[int, ...]:
    found = re.match(r"(\d{1,4})\.(\d{1,4})", text.decode() if isinstance(text, bytes) else str(text))
    return tuple(map(int, found.groups())) if found else (2, 0)


def _snake(kind: str) -> str:
    """Turns the name of a class into that of a folder, as Keras does."""
    kind = re.sub(r"\W+", "", kind)
    kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()


def _places(file: Any, configs: Chain) -> dict[str, str]:
    """Finds the folder of each layer: by the name that an attribute says, else by counting classes as Keras does."""
    root = next((name for name in _CONTAINERS if name in file), None)
    if root is None:
        raise ConversionError(f"{WEIGHTS} has no folder of layers")
    places: dict[str, str] = {}
    counts: dict[str, int] = {}
    for name, kind in configs.every:
        folder = _snake(kind)
        counts[folder] = counts.get(folder, -1) + 1
        places[name] = f"{root}/{folder}_{counts[folder]}" if counts[folder] else f"{root}/{folder}"
    for folder in members(file, root):
        own = attribute_of(file, f"{root}/{folder}/vars", "name")
        if own in places:
            places[own] = f"{root}/{folder}"
    if all(name not in file for name in places.values()):  # early versions name folders after layers
        places |= {name: f"{root}/{name}" for name in places}
    return places


def members(file: Any, name: str) -> list[str]:
    """Lists what is in a folder."""
    return [*file[name]] if isinstance(file.get(name), h5py.Group) else []


def attribute_of(file: Any, name: str, attribute: str) -> str | None:
    """Returns an attribute of a folder that is a text."""
    group = file.get(name)
    value = group.attrs.get(attribute) if isinstance(group, h5py.Group) else None
    return value.decode() if isinstance(value, bytes) else value if isinstance(value, str) else None


def variables(file: Any, place: str) -> dict[str, tuple[Array, ...]]:
    """Reads the arrays below a folder, by the path between the folder and `vars`."""
    found: dict[str, tuple[Array, ...]] = {}
    pending = [""] if place and place in file else []
    while pending:
        inner = pending.pop()
        here = f"{place}/{inner}".rstrip("/")
        names = members(file, here)
        if len(found) + len(pending) > MOST_LAYERS or inner.count("/") > 8:
            raise ConversionError(f"{place} has too many folders")
        for name in names:
            if name == "vars":
                numbers = sorted((key for key in members(file, f"{here}/vars") if key.isdigit()), key=int)
                arrays = tuple(_array(file, f"{here}/vars/{key}") for key in numbers)
                if arrays:
                    found[inner] = arrays
            elif isinstance(file.get(f"{here}/{name}"), h5py.Group):
                pending.append(f"{inner}/{name}".strip("/"))
    return found


def _array(file: Any, name: str, kind: str = "f") -> Array:
    """Reads an array of real numbers, or of integers ("u"), that lies in the file as it is.

    Raises:
        ConversionError: It is something else: in another file, packed, or shorter than it says.
    """
    if isinstance(file.get(name, getlink=True), h5py.ExternalLink):
        raise ConversionError(f"{name} is a link to another file")
    data = file.get(name)
    if not isinstance(data, h5py.Dataset) or data.dtype.kind != kind or data.is_virtual or data.external:
        raise ConversionError(f"{name} is no array of {'real numbers' if kind == 'f' else 'bytes'} in the file")
    stored, needed = data.id.get_storage_size(), data.size * data.dtype.itemsize
    if needed > _LARGEST or stored * _PACKED < needed:
        raise ConversionError(f"{name} has the shape {data.shape}, but {stored:,} bytes in the file")
    array: Array = data[()]
    return array


def _read_h5(data: bytes) -> KerasModel:
    """Reads a `.h5` file: the configuration in its attributes, arrays by the names of layers and weights."""
    with h5py.File(io.BytesIO(data), "r") as file:
        text = file.attrs.get("model_config")
        if OWN_ARRAY in file:
            return own_model_in(_array(file, OWN_ARRAY, "u").tobytes(), file)
        if text is None:
            raise ConversionError("it has no model_config: weights alone don't say what layers they are of")
        configs = chain_of(parse_object("model_config", text.decode() if isinstance(text, bytes) else str(text)))
        root = "model_weights" if "model_weights" in file else "/"
        layers = [
            KerasLayer(kind, own, _by_name(file, f"{root}/{own.get('name')}", str(own.get("name"))))
            for kind, own in configs.chain
        ]
        return KerasModel(tuple(layers), _version(file.attrs.get("keras_version", "1.0")))


def _by_name(file: Any, place: str, layer: str) -> dict[str, tuple[Array, ...]]:
    """Reads the arrays of a layer by the names in its attribute, those of the two ways of a Bidirectional apart."""
    group = file.get(place)
    names = group.attrs.get("weight_names", ()) if isinstance(group, h5py.Group) else ()
    texts = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
    if len(texts) > MOST_LAYERS:
        raise ConversionError(f"{place} has {len(texts):,} arrays")
    found: dict[str, tuple[Array, ...]] = {}
    for text in texts:
        way = next((way for way in ("forward", "backward") if f"{way}_" in text.removeprefix(layer)), None)
        key = f"{way}_layer/cell" if way else ""
        found[key] = (*found.get(key, ()), _array(file, f"{place}/{text}"))
    return found
