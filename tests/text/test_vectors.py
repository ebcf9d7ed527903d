"""Word vectors, read from the three kinds of files."""

import gzip
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tidegate.text import vectors
from tidegate.text.vectors import WordVectors

WORDS = ["the", "n't", "café", "…"]
VALUES = np.array([[0.5, -1.25, 3], [1e-3, 2, 4], [7, 8, 9], [-0.5, 0, 0.25]], np.float32)
GLOVE = "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in zip(WORDS, VALUES.tolist(), strict=True))


def write_text(path: Path) -> None:
    path.write_text(GLOVE, "utf-8")


def write_word2vec(path: Path) -> None:
    path.write_text(f"4 3\n{GLOVE}", "utf-8")


def write_fasttext(path: Path) -> None:
    path.write_text("4 3\n" + GLOVE.replace("\n", " \n"), "utf-8")


def write_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(GLOVE.encode()))


def write_npz(path: Path) -> None:
    text = np.frombuffer("\n".join(WORDS).encode(), np.uint8)
    np.savez_compressed(path, vectors=VALUES, words_utf8=text)


def write_safetensors(path: Path) -> None:
    save_file({"vectors": VALUES}, path, {"words": "\n".join(WORDS)})


FILES: dict[str, Callable[[Path], None]] = {
    "glove.txt": write_text,
    "word2vec.txt": write_word2vec,
    "fasttext.vec": write_fasttext,
    "glove.txt.gz": write_gzip,
    "glove.npz": write_npz,
    "glove.SAFETENSORS": write_safetensors,
}


@pytest.fixture(params=FILES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same vectors in each kind of file."""
    path: Path = tmp_path / request.param
    FILES[request.param](path)
    return path


def test_every_kind_of_file_gives_the_same_vectors(file: Path) -> None:
    """Words and vectors are read in the order of the file, as float32."""
    found = vectors.read(file)
    assert found.words == WORDS
    assert found.vectors.dtype == np.float32
    assert found.vectors.tolist() == VALUES.tolist()
    assert len(found) == 4


def test_only_wanted_words_are_read(file: Path) -> None:
    """With `words`, the vectors of other words are left out; words that the file has not are no error."""
    found = vectors.read(file, ["café", "the", "zebra"])
    assert found.words == ["the", "café"]
    assert found.vectors.tolist() == VALUES[[0, 2]].tolist()


def test_none_of_the_words_is_an_error(file: Path) -> None:
    """A file that has none of the words is most likely the wrong one."""
    with pytest.raises(ValueError, match=r"none of the 2 words looked for, such as 'lion', 'zebra'"):
        vectors.read(file, {"zebra", "lion"})


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    """Vectors that are stored in 16 or 64 bits are read as float32."""
    for dtype in (np.float16, np.float64):
        np.savez(tmp_path / "v.npz", vectors=VALUES.astype(dtype), words_utf8=np.frombuffer(b"a\nb\nc\nd", np.uint8))
        assert vectors.read(tmp_path / "v.npz").vectors.dtype == np.float32


def test_the_first_vector_of_a_word_counts(tmp_path: Path) -> None:
    """A word that comes twice keeps its first vector, in text and in arrays."""
    path = tmp_path / "v.txt"
    path.write_text("a 0.5\nb 0.001\na 3\n")
    np.savez(tmp_path / "v.npz", vectors=VALUES[:3, :1], words_utf8=np.frombuffer(b"a\nb\na", np.uint8))
    for found in (vectors.read(path), vectors.read(tmp_path / "v.npz")):
        assert (found.words, found.vectors.tolist()) == (["a", "b"], VALUES[:2, :1].tolist())


def test_words_may_hold_spaces(tmp_path: Path) -> None:
    """As in the largest GloVe file, a word may hold spaces; it is not taken for its first part."""
    path = tmp_path / "v.txt"
    path.write_text("a 1 2\n. . . 3 4\nat name@domain.com 5 6\n. 7 8\n")
    assert vectors.read(path).words == ["a", ". . .", "at name@domain.com", "."]
    assert vectors.read(path, {".", "at"}).vectors.tolist() == [[7, 8]]


def test_rows_of_words() -> None:
    """Known words give their vectors, others zeros, and which is which is told."""
    matrix, found = WordVectors(WORDS, VALUES).rows_of(["café", "[PAD]", "the", "café"])
    assert matrix.tolist() == [[7, 8, 9], [0, 0, 0], [0.5, -1.25, 3], [7, 8, 9]]
    assert matrix.dtype == np.float32
    assert found.tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("word\n", "no line is a word with numbers behind it"),
        ("a 1 2\nb 1\n", r"line 2 \('b'\) has 1 numbers, expected 2"),
        ("a 1 2\nb 1 2 3\n", r"line 2 \('b'\) has more than 2 numbers"),
        ("a 1 2\nb 1 x\n", r"line 2 \('b'\): could not convert string to float: 'x'"),
        ("a 1 2\nb 1 nan\n", "vector of 'b' has infinite or undefined values"),
        ("a 1 2\nb 1 1e99\n", "vector of 'b' has infinite or undefined values"),
        ("2 3\na 1 2\n", r"line 2 \('a'\) has 2 numbers, expected 3"),
        ("9 999999999\na 1 2\n", "999999999 numbers"),
        (b"3000 2\n</s> \xff\xfe\x80\x3f\n", "announces 3,000 words of 2 numbers, but after 0 .*word2vec's binary"),
    ],
)
def test_bad_text_files(tmp_path: Path, content: str | bytes, message: str) -> None:
    """What is wrong with a text file is said, with the file, the line and the word."""
    path = tmp_path / "v.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf"v\.txt: .*{message}"):
        vectors.read(path)


UTF8 = np.frombuffer(b"a\nb", np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"vectors": VALUES}, r"has the arrays \['vectors'\], expected 'vectors' and 'words_utf8'"),
        ({"vectors": VALUES, "words_utf8": UTF8}, r"vectors has shape \(4, 3\), expected \[V, E\] with V=2"),
        ({"vectors": VALUES[0], "words_utf8": UTF8}, r"vectors has shape \(3,\)"),
        ({"vectors": np.ones((2, 3), int), "words_utf8": UTF8}, "dtype int64, expected a floating-point type"),
        ({"vectors": VALUES[:2], "words_utf8": np.array(["a", "b"])}, "words_utf8 has dtype <U1, expected uint8"),
        ({"vectors": VALUES[:2], "words_utf8": np.array([255, 10, 97], np.uint8)}, "can't decode byte 0xff"),
        ({"vectors": VALUES[:2], "words_utf8": np.array([{}, {}])}, "allow_pickle=False"),
    ],
)
def test_bad_npz_files(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    """Arrays that are missing, of another shape or type, or pickled, are refused."""
    path = tmp_path / "v.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=rf"v\.npz: .*{message}"):
        vectors.read(path)


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"other": VALUES}, {"words": "a"}, r"tensors \['other'\]"),
        ({"vectors": VALUES}, None, r"metadata \[\], expected a tensor 'vectors' and 'words'"),
        ({"vectors": VALUES}, {"words": "a\nb"}, "with V=2 words"),
        ({"vectors": VALUES.astype(np.int32)}, {"words": "a\nb\nc\nd"}, "dtype I32, expected F16, F32 or F64"),
        ({"vectors": VALUES[0]}, {"words": "a\nb\nc"}, r"shape \(3,\), expected \[V, E\]"),
    ],
)
def test_bad_safetensors_files(
    tmp_path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str] | None, message: str
) -> None:
    """Tensors or words that are missing or do not fit are refused."""
    path = tmp_path / "v.safetensors"
    save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match=rf"v\.safetensors: .*{message}"):
        vectors.read(path)


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith((".txt", ".vec"))])
def test_cut_files_are_refused(tmp_path: Path, name: str) -> None:
    """A file of which the end is missing is refused, never read in part."""
    path = tmp_path / name
    FILES[name](path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=name):
        vectors.read(path)


class Meanwhile(list[str]):
    """Words whose reading makes something happen: then the file is open, and its numbers are not read yet."""

    def __init__(self, happen: Callable[[], object]) -> None:
        super().__init__(WORDS)
        self.happen = happen

    def __iter__(self) -> Iterator[str]:
        self.happen()
        return super().__iter__()


@pytest.mark.parametrize("size", [0, 7, 8, 9, 100, -1])
def test_a_file_that_is_cut_while_it_is_read_is_refused(tmp_path: Path, size: int) -> None:
    """It is an error like that of a file that was cut before."""
    path = tmp_path / "v.safetensors"
    large = np.ones((4, 65536), np.float32)
    save_file({"vectors": large}, path, {"words": "\n".join(WORDS)})
    with pytest.raises(ValueError, match=r"v\.safetensors: this is not a safetensors file"):
        vectors.read(path, Meanwhile(lambda: os.truncate(path, size % path.stat().st_size)))


def test_another_file_of_the_same_name_is_not_mixed_in(tmp_path: Path) -> None:
    """What was opened is read to its end, even if another file takes its name meanwhile."""
    path, other = tmp_path / "v.safetensors", tmp_path / "other"
    write_safetensors(path)
    save_file({"vectors": VALUES + 1}, other, {"words": "\n".join(WORDS)})
    found = vectors.read(path, Meanwhile(lambda: other.exists() and other.replace(path)))
    assert not other.exists()
    assert np.array_equal(found.vectors, VALUES)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not list what is mapped")
def test_no_file_is_mapped_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system ends a process that reads on in a mapped file after it was cut."""
    path, usual, seen = tmp_path / "mapped.safetensors", vectors._select, []
    write_safetensors(path)

    def select(*what: Any) -> WordVectors:
        seen.append(Path("/proc/self/maps").read_text("utf-8"))
        return usual(*what)

    monkeypatch.setattr(vectors, "_select", select)
    vectors.read(path)
    assert len(seen) == 1
    assert path.name not in seen[0]


def test_an_encrypted_array_is_refused(tmp_path: Path) -> None:
    """An archive whose arrays need a password is one error."""
    path = tmp_path / "v.npz"
    write_npz(path)
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # where each kind of header has its flags
        for found in re.finditer(re.escape(mark), data):
            data[found.start() + place] |= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"v\.npz: .*encrypted"):
        vectors.read(path)


def test_arrays_of_other_names_are_not_taken_for_ours(tmp_path: Path) -> None:
    """Members that are no arrays, though they are called like them, are not read."""
    with zipfile.ZipFile(tmp_path / "v.npz", "w") as archive:
        archive.writestr("vectors", b"")
        archive.writestr("words_utf8", b"")
    with pytest.raises(ValueError, match="expected 'vectors' and 'words_utf8'"):
        vectors.read(tmp_path / "v.npz")


@pytest.mark.parametrize("name", ["v.npz", "v.safetensors", "v.gz"])
def test_files_of_another_kind_are_refused(tmp_path: Path, name: str) -> None:
    """Text under the name of a binary file is refused."""
    (tmp_path / name).write_text(GLOVE, "utf-8")
    with pytest.raises(ValueError, match=name):
        vectors.read(tmp_path / name)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_an_os_error(tmp_path: Path, name: str) -> None:
    """A file that is not there is named."""
    with pytest.raises(FileNotFoundError, match=name):
        vectors.read(tmp_path / name)


@pytest.mark.parametrize(
    ("words", "values", "error", "message"),
    [
        (["a"], VALUES, ValueError, r"shape \(4, 3\), expected \[V, E\] = \(1, 3\): V=1 comes from words"),
        (["a"], VALUES[0], ValueError, "expected 2 axes"),
        (["a"], np.ones((1, 2)), TypeError, "float64"),
        (["a", "a"], np.ones((2, 2), np.float32), ValueError, "a word occurs twice"),
        (["a", "b"], np.array([[1], [np.inf]], np.float32), ValueError, "the vector of 'b'"),
    ],
)
def test_wrong_vectors(words: list[str], values: np.ndarray, error: type[Exception], message: str) -> None:
    """Vectors of the wrong number, type or value are refused when the object is made."""
    with pytest.raises(error, match=message):
        WordVectors(words, values)


def test_real_vectors(data: Path) -> None:
    """The vectors of GloVe are read, restricted to some words: like words lie near each other."""
    found = vectors.read(data / "glove" / "glove.6B.100d.subset.npz", {"good", "great", "banana", "xyzzyx"})
    matrix, known = found.rows_of(["good", "great", "banana"])
    assert found.vectors.shape == (3, 100)
    assert known.all()
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    assert matrix[0] @ matrix[1] > matrix[0] @ matrix[2] + 0.3
