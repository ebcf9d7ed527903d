"""Word vectors as other tools write and people pass them on."""

import bz2
import gzip
import io
import lzma
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.text import vectors

WORDS = ["the", "n't", "café", "Haus"]
VALUES = np.array([[0.5, -1.25, 3.5], [1e-3, 2.25, 4.5], [7.5, 8.5, 9.5], [-0.5, 0.25, 0.125]], np.float32)
LINES = [f"{word} {' '.join(map(str, row))}" for word, row in zip(WORDS, VALUES.tolist(), strict=True)]
TEXT = "\n".join(LINES) + "\n"


def binary(newline: bytes, words: list[bytes] | None = None, announced: int | None = None) -> bytes:
    """Word2vec's binary format, whose vectors end in a line feed where word2vec itself writes them."""
    listed = words or [word.encode() for word in WORDS]
    rows = (word + b" " + row.tobytes() + newline for word, row in zip(listed, VALUES, strict=False))
    return f"{announced or len(listed)} 3\n".encode() + b"".join(rows)


def zipped(*names: str) -> bytes:
    """A zip archive of files of vectors."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", "")
        for name in names:
            archive.writestr(name, TEXT)
    return file.getvalue()


GOOD = {
    "plain": TEXT.encode(),
    "header": f"4 3\n{TEXT}".encode(),
    "trailing spaces": f"4 3\n{TEXT}".replace("\n", " \n").encode(),
    "carriage returns": f"4 3\n{TEXT}".replace("\n", "\r\n").encode(),
    "no last line feed": TEXT.encode()[:-1],
    "blank lines": f"4 3\n\n{TEXT}\n\n".replace("\ncafé", "\n\ncafé").encode(),
    "tabs": TEXT.replace(" ", "\t").encode(),
    "header with tab": f"4\t3\n{TEXT}".replace(" ", "\t").encode(),
    "a tab, then spaces": "\n".join(line.replace(" ", "\t", 1) for line in LINES).encode(),
    "two spaces": TEXT.replace(" ", "  ").encode(),
    "byte order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "byte order mark, header": b"\xef\xbb\xbf4 3\n" + TEXT.encode(),
    "comment": f"# made by us\n#\n{TEXT}".encode(),
    "comment behind the header": f"4 3\n# made by us in 2020\n{TEXT}".encode(),
    "gzip": gzip.compress(TEXT.encode()),
    "bzip2": bz2.compress(TEXT.encode()),
    "xz": lzma.compress(TEXT.encode()),
    "bzip2, two streams": bz2.compress(TEXT[:30].encode()) + bz2.compress(TEXT[30:].encode()),
    "xz, two streams": lzma.compress(TEXT[:30].encode()) + bytes(8) + lzma.compress(TEXT[30:].encode()) + bytes(4),
    "zstd": pa.compress(TEXT.encode(), "zstd", asbytes=True),
    "zip": zipped("vectors.vec"),
    "zip with a hidden file": zipped(".DS_Store", "vectors.vec"),
    "zip with a hidden file in a folder": zipped("glove/vectors.vec", "glove/.DS_Store", "glove/._vectors.vec"),
    "zip of a Mac": zipped("vectors.vec", "__MACOSX/._vectors.vec"),
    "word2vec, binary": binary(b"\n"),
    "gensim, binary": binary(b""),
    "binary, compressed": gzip.compress(binary(b"\n")),
}


@pytest.mark.parametrize("name", ["v.vec", "v.txt", "v.bin", "v"])
@pytest.mark.parametrize("kind", GOOD)
def test_what_a_file_holds_decides(tmp_path: Path, kind: str, name: str) -> None:
    """Each kind of file gives the same words and vectors, whatever it is called, all of them or those wanted."""
    (tmp_path / name).write_bytes(GOOD[kind])
    found = vectors.read(tmp_path / name)
    assert (found.words, found.vectors.tolist(), found.remarks) == (WORDS, VALUES.tolist(), ())
    some = vectors.read(tmp_path / name, ["café", "the", "zebra"])
    assert (some.words, some.vectors.tolist()) == (["the", "café"], VALUES[[0, 2]].tolist())


def read(tmp_path: Path, content: bytes | str, words: list[str] | None = None) -> vectors.WordVectors:
    """Reads what a file holds."""
    path = tmp_path / "v.vec"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return vectors.read(path, words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("new york 0.1 0.2\na 0.3 0.4\nb 0.5 0.6\n", ["new york", "a", "b"]),
        ("2 000 0.1 0.2\na 0.3 0.4\nb 0.5 0.6\n", ["2 000", "a", "b"]),
        ("a 0.3 0.4\n1 2/3 0.1 0.2\n2 0.5 0.6\n", ["a", "1 2/3", "2"]),
        ("3 2\n1984 1 2\n10 000 3 4\n# 5 6\n", ["1984", "10 000", "#"]),
        ("3 2\nwindows 95 0.5 0.25\n1e3 1 2\nnan 3 4\n", ["windows 95", "1e3", "nan"]),
        ("3 2\n</s> 0.1 0.2\n<unk> 0.3 0.4\na 0.5 0.6\n", ["</s>", "<unk>", "a"]),
        ("2 2\n\u00a0 0.1 0.2\n\u3000 0.3 0.4\n", ["\u00a0", "\u3000"]),
        ("new york\t0.1\t0.2\na\t0.3\t0.4\nb\t1\t2\n", ["new york", "a", "b"]),
        ("a 1 2\n  3 4\nb 5 6\n", ["a", "b"]),
        ("a\u2028b 1 2\nc\x85 3 4\n", ["a\u2028b", "c\x85"]),
    ],
)
def test_odd_words_are_words(tmp_path: Path, content: str, words: list[str]) -> None:
    """Words may hold spaces, look like numbers, or be marks of the end of a sentence; without a word there is none."""
    assert read(tmp_path, content).words == words


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode() + b"caf\xe9 1 2 3\nna\xefve 4 5 6\n",
        b"6 3\n" + TEXT.encode() + b"caf\xe9 1 2 3\n\xff 4 5 6\n",
        gzip.compress(b"caf\xe9 1 2 3\nna\xefve 4 5 6\n" + TEXT.encode()),
        binary(b"", [b"caf\xe9", b"na\xef", b"the", b"of", b"a"][:4]),
        binary(b"\n", [b"the", b"caf\xe9", b"of", b"na\xef"]),
    ],
    ids=["text", "text with a header", "gzip", "binary", "binary with line feeds"],
)
def test_words_that_are_not_utf8_are_left_out_and_counted(tmp_path: Path, content: bytes) -> None:
    """One bad byte in a word that nobody wants does not refuse the others, and is remarked."""
    for words in (None, ["the"]):
        found = read(tmp_path, content, words)
        assert "the" in found.words
        assert found.remarks[0].startswith("2 of its ")
        assert "not UTF-8" in found.remarks[0]


def test_capitals_do_not_hide_a_word(tmp_path: Path) -> None:
    """A word that the file has with other capitals only gets that vector, the first; the word itself comes first."""
    content = "Haus 1 1\nHAUS 2 2\nUSA 3 3\nusa 4 4\nthe 5 5\nÜber 6 6\n"
    for words in (["haus", "usa", "The", "über", "none"], None):
        found = read(tmp_path, content, words)
        matrix, known = found.rows_of(["haus", "usa", "The", "über", "none"])
        assert matrix[:, 0].tolist() == [1, 4, 5, 6, 0]
        assert known.tolist() == [True, True, True, True, False]


def test_a_file_that_is_shorter_than_announced_is_remarked(tmp_path: Path) -> None:
    """Text with fewer words than its first line announces is read, with both counts."""
    found = read(tmp_path, f"2000000 3\n{TEXT}", ["the"])
    assert found.words == ["the"]
    assert found.remarks == (
        "its first line announces 2,000,000 words, but there are 4: part of the file may be missing",
    )


@pytest.mark.parametrize("header", ["", "4 3\n"])
def test_a_last_line_that_is_cut_short_is_remarked(tmp_path: Path, header: str) -> None:
    """A download that ended in a line of a word that nobody wants is read, with a remark."""
    found = read(tmp_path, header + TEXT[: TEXT.index("Haus") + 9], ["the"])
    assert found.words == ["the"]
    assert found.remarks == ("its last line is cut short: part of the file may be missing",)


BAD: dict[str, tuple[bytes, str]] = {
    "binary, cut in a vector": (binary(b"\n")[:-9], "announces 4 words of 3 numbers, but after 3 the file ends"),
    "binary, cut between vectors": (binary(b"", announced=9), "announces 9 words of 3 numbers, but after 4"),
    "binary, cut at once": (b"3000000 300\n</s> \x00\x01", "announces 3,000,000 words of 300 numbers, but after 0"),
    "binary, longer": (binary(b"\n", announced=2), "announces 2 words of 3 numbers, but more follows"),
    "cut gzip": (gzip.compress(TEXT.encode() * 99)[:-12], "ended before"),
    "cut xz": (lzma.compress(TEXT.encode() * 99)[:-12], "ended before"),
    "cut bzip2": (bz2.compress(TEXT.encode() * 99)[:-12], "ended before"),
    "damaged bzip2": (bz2.compress(TEXT.encode())[:20] + bytes(30), "Invalid data stream"),
    "gzip, later stream": (gzip.compress(TEXT.encode()) + b"text", "Not a gzipped file"),
    "bzip2, later stream": (bz2.compress(TEXT.encode()) + b"BYh9" + bytes(30), "Invalid data stream"),
    "xz, later stream": (lzma.compress(TEXT.encode()) + b"\xfd7zXY" + bytes(30), "format not supported"),
    "bzip2, later stream cut": (bz2.compress(TEXT.encode()) + bz2.compress(TEXT.encode())[:-9], "ended before"),
    "xz, text behind": (lzma.compress(TEXT.encode()) + TEXT.encode(), "format not supported"),
    "cut zip": (zipped("v.vec")[:-30], "not a zip file"),
    "zip of several": (zipped("glove.50d.txt", "glove.100d.txt"), r"2 files, expected one: glove.50d.txt, glove.100d"),
    "zip of a file without a name": (zipped("v").replace(b"v", b"/"), "0 files, expected one"),
    "empty zip": (zipped(), "0 files, expected one: it is empty"),
    "conflict": (
        f"<<<<<<< HEAD\n{TEXT}=======\n{TEXT}>>>>>>> other\n".encode(),
        "line 1 is a mark of a conflict in git",
    ),
    "conflict inside": (f"{TEXT}=======\n{TEXT}".encode(), "line 5 is a mark of a conflict in git"),
    "Latin-1": ("ä 1 2\nö 1 2\nü 3 4\nß 5 6\n".encode("latin-1"), "4 of 4 words are not UTF-8: save the file as UTF-8"),
    "UTF-16": (TEXT.encode("utf-16"), "text in UTF-16"),
    "npy": (b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', }", "a numpy array: it has no words"),
    "pickle": (b"\x80\x04\x95\xf1\x06gensim.models.keyedvectors", "save_word2vec_format"),
    "fastText's model": (b"\xba\x16\x4f\x2f\x0c\x00\x00\x00\x05\x00", r"a model of fastText .* take the \.vec file"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 99\n", "git lfs pull"),
    "web page": (b"<!DOCTYPE html><html><body>Sign in</body></html>", r"a page of the web \(HTML\)"),
    "finalfusion": (b"FiFu\x00\x00\x00\x00\x02", "finalfusion"),
    "Parquet": (b"PAR1\x15\x04", "a Parquet file"),
    "damaged Zstandard": (b"\x28\xb5\x2f\xfd\x04", "damaged|ended before"),
    "ORC": (b"ORC\n\x06\x12\x04\x08", "an ORC file: save the words"),
    "a bzip2 file in a gzip file": (gzip.compress(bz2.compress(TEXT.encode())), "a bzip2 file: unpack it first"),
    "tar": (gzip.compress(b"v.vec".ljust(257, b"\0") + b"ustar\0" + bytes(249)), "a tar archive"),
    "prose": (b"It was a dark and stormy night.\nThe rain fell in torrents.\n", "this is no file of word vectors"),
    "zeros": (bytes(100_000), "this is no file of word vectors"),
    "no end of line": (b"a 0.5" + b" 0.25" * 500_000, "line 1 has 2,097,152 bytes or more"),
    "announces too large vectors": (b"2 99999999999\na 1 2\n", "99999999999 numbers, expected a word and 1..65536"),
    "nothing but a header": (b"3 2\n", "no word behind line 1"),
    "announces no numbers": (b"2 0\na\nb\n", "vectors of 0 numbers"),
    "floret without words": (b"1 2 3 6 1 0 < >\n0 1 2\n", "say which words to read"),
}


@pytest.mark.parametrize("kind", BAD)
def test_other_files_are_refused(tmp_path: Path, kind: str) -> None:
    """What is no file of vectors, or a damaged one, is one error that names the file and says what it is."""
    content, message = BAD[kind]
    with pytest.raises(ValueError, match=rf"v\.vec.*({message})"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        b"999999999999 65536\na " + b"\0" * 100,
        b"999999999999 3\n" + TEXT.encode(),
        b"999999999999999999 5 3 6 4 1 < >\n0 1 2 3 4 5\n",
        b"a 1 2\n" + b"x" * 3_000_000,
        gzip.compress(b"a 1 2\n" + b" " * 50_000_000),
        binary(b"", [b"the", b"x" * 200_000, b"of", b"a"]),
    ],
    ids=["binary", "text", "floret", "endless word", "endless spaces", "endless binary word"],
)
def test_little_is_allocated(tmp_path: Path, content: bytes) -> None:
    """Neither what a first line announces nor an endless line takes memory."""
    (tmp_path / "v.vec").write_bytes(content)
    tracemalloc.start()
    try:
        vectors.read(tmp_path / "v.vec", ["the"])
    except ValueError as error:
        assert "v.vec" in str(error)  # noqa: PT017 - text that announces too much is read all the same
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 30_000_000


def test_an_npz_that_announces_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    """The shape that an array announces is compared with its bytes before it is allocated."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 300), }".ljust(117) + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(4)
    text = io.BytesIO()
    np.save(text, np.frombuffer(b"a\nb", np.uint8))
    with zipfile.ZipFile(tmp_path / "v.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.npy", array)
        archive.writestr("words_utf8.npy", text.getvalue())
    with pytest.raises(ValueError, match=r"v\.npz: the array 'vectors' announces the shape \(1000000000, 300\)"):
        vectors.read(tmp_path / "v.npz")


def test_examples_in_the_error_are_frequent_words(tmp_path: Path) -> None:
    """Where no word is found, the first of them that are words are named, not marks."""
    with pytest.raises(ValueError, match="none of the 5 words looked for, such as 'zebra', 'lion', 'ant'"):
        read(tmp_path, TEXT, [",", "zebra", "0", "lion", "ant"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    content=st.binary(max_size=400),
    kind=st.sampled_from(["", "2 2\n", "1 3\n", "2 1 3 6 1 0 < >\n", "gz", "bz2", "xz"]),
)
def test_any_bytes_give_vectors_or_one_error(tmp_path: Path, content: bytes, kind: str) -> None:
    """Whatever a file holds, it is read or refused by a ValueError."""
    packed = {"gz": gzip.compress(content), "bz2": bz2.compress(content), "xz": lzma.compress(content)}
    try:
        found = read(tmp_path, packed.get(kind, kind.encode() + content), ["a"])
    except ValueError as error:
        assert "v.vec" in str(error)  # noqa: PT017
    else:
        assert np.isfinite(found.vectors).all()
