"""What files are called by how they begin."""

import pytest

from tidegate.data.tables.sources import signatures as of_tables
from tidegate.files import signatures
from tidegate.text import compression


@pytest.mark.parametrize(("start", "name"), signatures.STARTS.items())
def test_files_are_named_by_their_first_bytes(start: bytes, name: str) -> None:
    """What follows does not matter, and what comes before does."""
    assert signatures.name_of(start + b"rest of the file") == name
    assert signatures.name_of(b"text,label\n" + start) is None


@pytest.mark.parametrize(
    "text",
    ["text,label\n", "PAR1 is a format", "ORC armies\n", "BZ", "II* and MM", "GIF", "(lp0", "RIFF raff and WAVE", ""],
)
def test_texts_are_not_taken_for_other_files(text: str) -> None:
    """A text that begins with the letters of a signature, but not with its other bytes, is a text."""
    assert signatures.name_of(text.encode()) is None
    assert signatures.name_of_text(text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("\ufeff<!DOCTYPE html>", signatures.WEB_PAGE),
        ("\n <HTML lang='en'>", signatures.WEB_PAGE),
        ("<?xml version='1.0'?>", signatures.XML),
        ("version https://git-lfs.github.com/spec/v1", signatures.GIT_LFS),
        ("<b>bold</b> words", None),
        ("<htmlx>", None),
    ],
)
def test_texts_for_programs_are_named(text: str, name: str | None) -> None:
    """Pages, XML and pointers of Git LFS are known, as text and as bytes."""
    assert signatures.name_of_text(text) == signatures.name_of_text(text.encode()) == name


@pytest.mark.parametrize("remedies", [of_tables._REMEDIES, compression._REMEDIES])
def test_remedies_are_for_files_that_are_known(remedies: dict[str, str]) -> None:
    """No remedy stands under a name that no file has."""
    patterns = {name for _, name in signatures._PATTERNS} | {name for _, name in signatures._TEXTS}
    assert remedies.keys() <= {*signatures.STARTS.values(), *patterns, signatures.SAFETENSORS}


def test_more_is_needed_only_where_a_signature_may_follow() -> None:
    """A pipe is not waited for once its first bytes are of no signature, or of a whole one."""
    assert signatures.may_become_more(b"PK")
    assert signatures.may_become_more(b"PAR1")
    assert not any(map(signatures.may_become_more, [b"", b"text", b"PK\x03\x04", b"PAR2"]))
