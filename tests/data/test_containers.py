"""Files that are packed, or that are something else than their name says."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import sqlite3
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather, ipc, orc, parquet

from tidegate.data.tables.rows import Block, blocks
from tidegate.data.tables.values import plain_values

CSV = b"text,label\n" + b"".join(b"film number %d,%s\n" % (i, [b"pos", b"neg"][i % 2]) for i in range(50))
ROWS = {"text": [f"film number {i}" for i in range(50)], "label": ["pos", "neg"] * 25}


def zipped(**members: bytes) -> bytes:
    """A zip archive; two underscores in a name stand for a slash, one for a dot."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return file.getvalue()


def by_arrow(codec: str, content: bytes = CSV) -> bytes:
    """Packed as pyarrow does it."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(content)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "lzma": lzma.compress,
    "zstd": lambda content: by_arrow("zstd", content),
    "lz4": lambda content: by_arrow("lz4", content),
}


def columnar(kind: str) -> bytes:
    """The rows in a format of Arrow."""
    table, file = pa.table(ROWS), io.BytesIO()
    if kind == "parquet":
        parquet.write_table(table, file)
    elif kind == "feather":
        feather.write_feather(table, file)
    else:
        opened = ipc.new_file if kind == "file" else ipc.new_stream
        with opened(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=20)
    return file.getvalue()


def json_rows(between: str) -> bytes:
    """The rows as objects of JSON."""
    rows = zip(*ROWS.values(), strict=True)
    return between.join(json.dumps(dict(zip(ROWS, row, strict=True))) for row in rows).encode()


def fasttext() -> bytes:
    """The rows in fastText's format."""
    return "".join(f"__label__{label} {text}\n" for text, label in zip(*ROWS.values(), strict=True)).encode()


READ: dict[str, Callable[[], bytes]] = {
    "plain.csv": lambda: CSV,
    "packed.csv.gz": lambda: gzip.compress(CSV),
    "two-members.csv.gz": lambda: gzip.compress(CSV[:200]) + gzip.compress(CSV[200:]),
    "gzip.csv": lambda: gzip.compress(CSV),
    "gzip": lambda: gzip.compress(CSV),
    "packed.csv.bz2": lambda: bz2.compress(CSV),
    "packed.csv.xz": lambda: lzma.compress(CSV),
    "packed.csv.zst": lambda: by_arrow("zstd"),
    "packed.csv.lz4": lambda: by_arrow("lz4"),
    "gz-of-gz.csv": lambda: gzip.compress(gzip.compress(CSV)),
    "packed.csv.zip": lambda: zipped(a_csv=CSV),
    "zip.csv": lambda: zipped(a_csv=CSV),
    "with-notes.zip": lambda: zipped(data__a_csv=CSV, README_txt=b"x", __MACOSX__data___a_csv=b"x"),
    "tsv.zip": lambda: zipped(a_tsv=CSV.replace(b",", b"\t")),
    "gz-in.zip": lambda: zipped(a_csv_gz=gzip.compress(CSV)),
    "parquet-in.zip": lambda: zipped(a_parquet=columnar("parquet")),
    "good.parquet": lambda: columnar("parquet"),
    "parquet.csv": lambda: columnar("parquet"),
    "part-00000": lambda: columnar("parquet"),
    "packed.parquet.gz": lambda: gzip.compress(columnar("parquet")),
    "arrow.feather": lambda: columnar("feather"),
    "data-00000.arrow": lambda: columnar("file"),
    "stream.arrow": lambda: columnar("stream"),
    "arrow.csv": lambda: columnar("stream"),
    "plain.tsv": lambda: CSV.replace(b",", b"\t"),
    "rows.jsonl": lambda: json_rows("\n"),
    "rows.csv": lambda: json_rows("\n"),
    "array.json": lambda: b"[" + json_rows(",\n") + b"]",
    "columns.json": lambda: json.dumps(ROWS).encode(),
    "packed.jsonl.xz": lambda: lzma.compress(json_rows("\n")),
    "fasttext.csv": fasttext,
    "packed-fasttext.csv.bz2": lambda: bz2.compress(fasttext()),
}


def plain(found: Iterator[Block]) -> dict[str, list[Any]]:
    """Lists the values of the only block."""
    [block] = found
    return {name: plain_values(column) for name, column in block.items()}


@pytest.mark.parametrize("name", READ)
def test_files_are_read_by_their_first_bytes(tmp_path: Path, name: str) -> None:
    """Packed files, Parquet and Arrow are read, whatever they are called."""
    (tmp_path / name).write_bytes(READ[name]())
    found = plain(blocks(tmp_path / name, None, None))
    assert found == ROWS


@pytest.mark.parametrize("name", READ)
def test_pipes_are_read_in_every_format(tmp_path: Path, name: str) -> None:
    """A pipe with a name, which can be opened once and not be taken back, gives the rows that a file gives."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=[READ[name]()])
    writer.start()
    found = plain(blocks(path, None, None))
    writer.join()
    assert found == ROWS


@pytest.mark.filterwarnings("ignore:.*is taken for the name of a column")
@pytest.mark.parametrize("pack", [bytes, *PACKERS.values()])
@pytest.mark.parametrize("header", ["", "text\n", "Text\r\n"])
def test_lines_are_read_from_files_and_pipes(tmp_path: Path, pack: Callable[[bytes], bytes], header: str) -> None:
    """Texts one a line are the same from a file and from a pipe with a name, with or without the name of the column."""
    content = pack((header + "".join(f"{text}\n" for text in ROWS["text"])).encode())
    (tmp_path / "t.txt").write_bytes(content)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[content])
    writer.start()
    found = plain(blocks(tmp_path / "pipe", None, None))
    writer.join()
    assert found == {"text": ROWS["text"]}
    assert plain(blocks(tmp_path / "t.txt", None, None)) == found


@pytest.mark.parametrize("name", [name for name in READ if name != "plain.csv"])
def test_streams_are_unpacked(name: str) -> None:
    """Standard input may be packed too, and is not closed."""
    stream = io.BytesIO(READ[name]())
    found = plain(blocks(stream, "tsv" if "tsv" in name else "csv", None))
    assert found == ROWS
    assert not stream.closed


def database(path: Path) -> bytes:
    """A small SQLite database."""
    with sqlite3.connect(path) as connection:
        connection.execute("create table reviews (text)")
    connection.close()
    return path.read_bytes()


def archive(path: Path) -> bytes:
    """A tar archive, packed."""
    (path.parent / "a.csv").write_bytes(CSV)
    with tarfile.open(path, "w:gz") as file:
        file.add(path.parent / "a.csv", "a.csv")
    return path.read_bytes()


def orc_file(path: Path) -> bytes:
    """The rows in an ORC file."""
    orc.write_table(pa.table(ROWS), path)
    return path.read_bytes()


def many_times(content: bytes) -> bytes:
    """Packed in packed files."""
    for _ in range(6):
        content = gzip.compress(content)
    return content


REFUSED: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "xlsx": (lambda _: zipped(xl__workbook_xml=b"<x/>"), r"an Excel workbook: save the sheet.*read_excel"),
    "docx": (lambda _: zipped(word__document_xml=b"x", word__styles_xml=b"x"), "a document of Word or PowerPoint"),
    "pptx": (lambda _: zipped(ppt__presentation_xml=b"x"), "a document of Word or PowerPoint: save its texts"),
    "ods": (lambda _: zipped(mimetype=b"application", content_xml=b"x"), "a document of LibreOffice: save the sheet"),
    "epub": (lambda _: zipped(mimetype=b"application", **{"META-INF__container_xml": b"x"}), "an e-book"),
    "numbers": (lambda _: zipped(Index__Document_iwa=b"x"), "a document of Numbers or Pages: export it as CSV"),
    "jar": (lambda _: zipped(**{"META-INF__MANIFEST_MF": b"x"}), "a Java program"),
    "keras": (lambda _: zipped(config_json=b"{}", model_weights_h5=b"x"), "a model of Keras"),
    "xls": (lambda _: bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600), "Excel or Word up to 2003: save the sheet"),
    "two": (lambda _: zipped(a_csv=CSV, b_csv=CSV), r"2 files \('a.csv', 'b.csv'.*expected one table: unpack"),
    "none": (lambda _: zipped(), "a zip archive with no file"),
    "npz": (lambda _: zipped(a_npy=b"x"), "numpy arrays"),
    "torch": (lambda _: zipped(model__data_pkl=b"x"), "a file of PyTorch"),
    "cut zip": (lambda _: zipped(a_csv=CSV)[:-30], "a zip archive that is damaged or cut off"),
    "tar": (archive, "a tar archive: unpack it"),
    "deep": (lambda _: many_times(CSV), "packed more than 4 times"),
    "pdf": (lambda _: b"%PDF-1.7\n%\xe2\xe3\n", "a PDF document"),
    "rtf": (lambda _: b"{\\rtf1\\ansi a}", "rich text"),
    "sqlite": (database, "an SQLite database.*sqlite3 -header -csv"),
    "pickle": (lambda _: pickle.dumps([1]), "a Python pickle: it may run any code and is not read"),
    "old pickle": (lambda _: pickle.dumps([1], 2), "a Python pickle"),
    "model": (lambda _: (64).to_bytes(8, "little") + b'{"w": {"dtype": "F32"}}', "a safetensors file"),
    "hdf5": (lambda _: b"\x89HDF\r\n\x1a\n" + bytes(9), "an HDF5 file"),
    "npy": (lambda _: b"\x93NUMPY\x01\x00", "a numpy array"),
    "avro": (lambda _: b"Obj\x01\x04", "an Avro file"),
    "picture": (lambda _: b"\x89PNG\r\n\x1a\n", "a picture"),
    "7z": (lambda _: b"7z\xbc\xaf\x27\x1c\x00", "a 7z archive"),
    "rar": (lambda _: b"Rar!\x1a\x07\x00", "a RAR archive"),
    "zeros": (lambda _: bytes(5000), "binary data, which begins with zeros"),
    "html": (lambda _: b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", r"a page of the web \(HTML\)"),
    "html behind spaces": (lambda _: b"\n  <HTML lang='en'>", r"a page of the web \(HTML\)"),
    "xml": (lambda _: b"<?xml version='1.0'?><rows/>", "this is XML.*read_xml"),
    "lfs": (lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a pointer of Git LFS"),
    "oldest pickle": (lambda _: pickle.dumps([{"text": "a"}], 0), "a Python pickle"),
    "orc": (orc_file, r"an ORC file: convert it: pandas.read_orc\("),
    "feather of the first version": (lambda _: b"FEA1" + bytes(40), r"a Feather file of the first.*read_feather\("),
    "spss": (lambda _: b"$FL2@(#) SPSS DATA FILE" + bytes(200), r"a file of SPSS: .*read_spss\("),
    "stata": (lambda _: b"<stata_dta><header>", r"a file of Stata: .*read_stata\("),
    "sas": (lambda _: bytes(12) + bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011"), r"SAS: .*read_sas\("),
    "r": (lambda _: gzip.compress(b"RDX3\nX\n"), r"a file of R: .*write\.csv"),
    "matlab": (lambda _: b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(90), "a file of MATLAB: .*writetable"),
    "duckdb": (lambda _: bytes(8) + b"DUCK" + bytes(40), "a DuckDB database: .*COPY"),
    "access": (lambda _: b"\0\x01\0\0Standard ACE DB\0", "an Access database: export a table as CSV"),
    "film": (lambda _: b"\0\0\0\x18ftypmp42", "a recording of sound or film"),
    "sound": (lambda _: b"RIFF\x24\0\0\0WAVEfmt ", "a recording of sound or film"),
    "gguf": (lambda _: b"GGUF\x03\0\0\0", "a GGUF model: give a table of texts"),
    "notebook": (lambda _: json.dumps({"cells": [], "nbformat": 4}, indent=1).encode(), "a Jupyter notebook"),
    "broken arrow": (lambda _: columnar("file")[:300], "an Arrow file that cannot be read"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.dat"])
def test_other_files_are_named(tmp_path: Path, what: str, name: str) -> None:
    """A file that is no table is called what it is, with what to do about it, whatever its name says."""
    make, message = REFUSED[what]
    (tmp_path / name).write_bytes(make(tmp_path / "made"))
    with pytest.raises(ValueError, match=message):
        list(blocks(tmp_path / name, None, None))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (REFUSED["lfs"][0](Path()), "a pointer of Git LFS"),
        (REFUSED["html"][0](Path()), "a page of the web"),
        (b"text,label\na good film,pos\n", "no Parquet file: it does not begin with PAR1; .* give --from"),
        (gzip.compress(b"text,label\na good film,pos\n"), "no Parquet file"),
        (b"", "the file is empty"),
    ],
    ids=["pointer", "page", "text", "packed text", "nothing"],  # a packed file holds the time
)
def test_what_is_called_parquet_and_is_not_is_named(tmp_path: Path, what: bytes, message: str) -> None:
    """What is called Parquet is not said to be a damaged one where it is another thing, such as what Git LFS left."""
    (tmp_path / "t.parquet").write_bytes(what)
    with pytest.raises(ValueError, match=message):
        list(blocks(tmp_path / "t.parquet", None, None))


@pytest.mark.parametrize(
    "content",
    [gzip.compress(CSV), bz2.compress(CSV), lzma.compress(CSV), by_arrow("zstd"), zipped(a_csv=CSV)],
    ids=["gzip", "bz2", "xz", "zstd", "zip"],  # the time is in some of them
)
@pytest.mark.parametrize("left", [0.4, 0.9])
def test_packed_files_that_are_cut_off(tmp_path: Path, content: bytes, left: float) -> None:
    """What is missing at the end of a packed file is said, and no row before it is passed for the whole."""
    (tmp_path / "t.csv").write_bytes(content[: int(left * len(content))])
    with pytest.raises(ValueError, match="damaged or cut off"):
        list(blocks(tmp_path / "t.csv", None, None))


@pytest.mark.parametrize("codec", PACKERS)
@pytest.mark.parametrize("damage", ["first byte", "second byte", "third byte", "text", "cut off", "one byte"])
def test_a_damaged_later_stream_is_an_error(codec: str, damage: str) -> None:
    """Rows of a later stream are never left out without a word, whatever is wrong with it."""
    packed = PACKERS[codec](CSV)
    later = bytearray(packed)
    place = {"first byte": 0, "second byte": 1, "third byte": 2}.get(damage)
    if place is not None:
        later[place] ^= 4
    later = {"text": bytearray(b"text\n"), "cut off": later[:-5], "one byte": later[:1]}.get(damage, later)
    with pytest.raises(ValueError, match="damaged or cut off"):
        list(blocks(io.BytesIO(packed + later), "csv", None))


@pytest.mark.parametrize("padding", [b"", bytes(4), bytes(1 << 19)])
@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_streams_are_read_one_behind_the_other(compress: Callable[[bytes], bytes], padding: bytes) -> None:
    """All streams of a file are one table, and zeros that fill a file up are no damage."""
    packed = compress(CSV[:200]) + padding + compress(CSV[200:]) + padding
    assert plain(blocks(io.BytesIO(packed), "csv", None)) == ROWS


def test_a_password_is_said(tmp_path: Path) -> None:
    """An archive with a password is refused as such."""
    content = bytearray(zipped(a_csv=CSV))
    content[6] |= 1  # the flag in the header of the file, and in the table of contents
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "t.zip").write_bytes(content)
    with pytest.raises(ValueError, match="with a password"):
        list(blocks(tmp_path / "t.zip", None, None))


class Trickle(io.RawIOBase):
    """A stream that gives one byte at a time."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, size: int = -1, /) -> bytes:
        """Takes a byte."""
        found, self.content = self.content[:1], self.content[1:]
        return found


@pytest.mark.parametrize(
    "content",
    [CSV, gzip.compress(CSV), columnar("parquet"), columnar("file"), zipped(a_csv=CSV)],
    ids=["csv", "gzip", "parquet", "arrow", "zip"],
)
def test_first_bytes_may_come_one_by_one(content: bytes) -> None:
    """What a stream is can be told however slowly it begins, also of one that has no `read1`."""
    found = plain(blocks(Trickle(content), "csv", None))  # type: ignore[arg-type]
    assert found == ROWS


@pytest.mark.parametrize(
    "name", ["gzip", "packed.csv.bz2", "packed.csv.zst", "zip.csv", "parquet.csv", "arrow.feather", "stream.arrow"]
)
def test_damaged_bytes_are_an_error_or_rows(name: str) -> None:
    """Bytes that were changed by chance give rows or one ValueError, and never end the process."""
    rng, content, refused = Random(0), READ[name](), 0
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            assert all(len(block) <= 3 for block in blocks(io.BytesIO(damaged), "csv", None))
        except ValueError:
            refused += 1
    assert refused
