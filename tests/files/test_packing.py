"""What is in compressed files and archives."""

import bz2
import gzip
import io
import lzma
import zipfile

import pyarrow as pa
import pytest

from tidegate.files import packing

CONTENT = b"a line\n" * 1000
PACKED = {
    "gzip": gzip.compress(CONTENT),
    "bzip2": bz2.compress(CONTENT),
    "xz": lzma.compress(CONTENT),
    "zstd": pa.compress(CONTENT, "zstd", asbytes=True),
    "lz4": pa.compress(CONTENT, "lz4", asbytes=True),
}


@pytest.mark.parametrize("kind", PACKED)
def test_compressed_files_are_opened_by_their_first_bytes(kind: str) -> None:
    """What opens such a file gives its lines."""
    unpack = packing.unpacker(PACKED[kind][:8])
    assert unpack is not None
    with unpack(io.BytesIO(PACKED[kind])) as file:
        assert file.readline() == b"a line\n"
        assert file.read() == CONTENT[7:]


@pytest.mark.parametrize("start", [b"", b"text,label", b"PK\x03\x04", b"BZ", b'\x1f\x8b\0\0\0\0\0\0{"'])
def test_other_files_are_not_unpacked(start: bytes) -> None:
    """Plain files, archives, those that are too short, and a model whose size begins as gzip does are none of them."""
    assert packing.unpacker(start) is None


def test_what_a_mac_adds_to_an_archive_is_no_content() -> None:
    """Neither are folders and hidden files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("folder/", "folder/a.csv", "__MACOSX/._a.csv", ".DS_Store", "folder/.hidden"):
            archive.writestr(name, b"x")
        assert [info.filename for info in packing.contents(archive)] == ["folder/a.csv"]
    assert packing.is_zip(file.getvalue())
