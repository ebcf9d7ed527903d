"""Tables at addresses: in memory, on this disk by its address, and on a server that speaks S3."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.data import series, tables
from tidegate.data.series import Asked
from tidegate.data.tables.folders import files_of, names_of_columns, stream
from tidegate.files import remote

fsspec = pytest.importorskip("fsspec")

ROWS = {"a.csv": "text,label\ngood,1\n", "part/b.csv": "text,label\nbad,0\n", "_SUCCESS": "", "notes.md": "no"}


@pytest.fixture(params=["memory", "file", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a folder with two tables and other files; of S3 where moto and s3fs are installed."""
    if request.param == "s3":
        yield from bucket(request)
        return
    url = f"file://{tmp_path}/data" if request.param == "file" else "memory://data"
    write(url)
    yield url
    if request.param == "memory":
        fsspec.filesystem("memory").rm("/data", recursive=True)


def bucket(request: pytest.FixtureRequest) -> Iterator[str]:
    """Starts a server of moto on a free port, and says its address to s3fs as users do, in the environment."""
    server = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    patch = request.getfixturevalue("monkeypatch")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    port = running.get_host_and_port()[1]
    for name, value in [
        ("ACCESS_KEY_ID", "x"),
        ("SECRET_ACCESS_KEY", "x"),
        ("ENDPOINT_URL", f"http://127.0.0.1:{port}"),
    ]:
        patch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("data")
    write("s3://data/in")
    yield "s3://data/in"
    running.stop()


def write(url: str) -> None:
    """Writes the files."""
    for name, content in ROWS.items():
        files, path = fsspec.core.url_to_fs(f"{url}/{name}")
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        files.pipe(path, content.encode())


def test_folders_and_patterns_at_an_address_are_read(address: str) -> None:
    """A file, the tables of a folder and of those inside it, and those of a pattern are read as those on this disk."""
    assert tables.read(f"{address}/a.csv").texts == ["good"]
    assert tables.read(address).texts == ["good", "bad"]
    assert [name.rpartition("/")[2] for name in files_of(address) or ()] == ["a.csv", "b.csv"]
    assert [table.labels for table in stream(f"{address}/*.csv", need_label=True)] == [["1"]]
    assert names_of_columns(address) == ["text", "label"]
    with pytest.raises(FileNotFoundError, match=r"no file fits the pattern '.*none\*\.csv'"):
        files_of(f"{address}/none*.csv")
    with pytest.raises(FileNotFoundError):
        tables.read(f"{address}/none.csv")


def test_what_changes_at_an_address_is_read_anew() -> None:
    """A copy is used again only while the file is the same, and errors name the address."""
    files = fsspec.filesystem("memory")
    files.pipe("/x.jsonl", b'{"text": "one", "label": "a"}\n')
    assert tables.read("memory://x.jsonl").texts == ["one"]
    files.pipe("/x.jsonl", b'{"text": "two", "label": "a", "late": 1}\n{"text": "three", "label": 1}\n')
    assert tables.read("memory://x.jsonl").texts == ["two", "three"]
    files.pipe("/x.jsonl", b'{"text": [')
    with pytest.raises(ValueError, match=r"^memory://x\.jsonl: "):
        tables.read("memory://x.jsonl")
    files.rm("/x.jsonl")


def test_parquet_and_arrays_at_an_address_are_read(tmp_path: Path) -> None:
    """Formats that are read from their end, and sequences of numbers, are read too; no copy is left over."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    files = fsspec.filesystem("memory")
    with files.open("/long.parquet", "wb") as file:
        parquet.write_table(pa.table({"who": [1, 1, 2], "x": [1.0, 2.0, 3.0], "y": ["a", "a", "b"]}), file)
    found = series.read("memory://long.parquet", Asked(key="who", labels=("y",)))
    assert [sequence.ravel().tolist() for sequence in found.sequences] == [[1.0, 2.0], [3.0]]
    with files.open("/x.npz", "wb") as file:
        np.savez(file, x=np.ones((2, 3, 1)), y=np.array([0, 1]))
    assert len(series.read("memory://x.npz")) == 2
    copies = [copy.name for copy in remote._copies.values()]
    remote._copies.clear()
    assert not any(map(os.path.exists, copies))
    files.rm("/long.parquet")
    files.rm("/x.npz")


@pytest.mark.parametrize(("name", "expected"), [("s3://b/x", True), ("C:/x", False), ("x://y", False), ("a/b", False)])
def test_addresses_are_told_from_paths(name: Any, expected: bool) -> None:
    """A drive of Windows is no kind of address, and no path is one."""
    assert remote.is_url(name) is expected
    assert not remote.is_url(Path(name))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fsspec its extra is said, and without the package for a kind of address which one it is."""
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ImportError, match=r"gs://.*gcsfs"):
        files_of("gs://bucket/x.csv")
    with pytest.raises(ValueError, match="nowhere"):
        files_of("nowhere://bucket/x.csv")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ImportError, match=r"pip install 'tidegate\[remote\]'"):
        files_of("s3://bucket/x.csv")
