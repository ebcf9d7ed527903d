"""Plain texts: the words are those of the library."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.text import plain
from tidegate.text.rules import PRESENT, pipeline, rules_digest, unit_of
from tidegate.text.tokenizer import Tokenizer

PIECES = [
    *"<>/='\"!-&;_#.,?%\t\n\r\x0b\x0c\x1c\x1f\x7f\x80é` \0\x96\x91ßÅ×ªÿ½\xa0",
    *(
        "n't",
        "N'T",
        "can't",
        "n'ts",
        "'s",
        "'S",
        "'re",
        "'ll",
        "'d",
        "'em",
        "didn't've",
        "a",
        "Br",
        "film",
        "007",
        "x_y",
    ),
    *(
        "<br />",
        "</b>",
        "<B>",
        "<a href='x>y'>",
        '<a href="',
        "<p class=x ",
        "<!--",
        "-->",
        "<!DOCTYPE html>",
        "<grin>",
    ),
    *("&amp;", "&lt;br&gt;", "&eacute;", "&unknown;"),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(max_codepoint=255), max_size=30).map("".join)
KNOWN = ["[PAD]", "[UNK]", "film", "br", "a", ".", "'s", "n't", "ca", "<", "_"]
TOKENIZER = Tokenizer({word: i for i, word in enumerate(KNOWN)})


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_words_are_those_of_the_library(text: str) -> None:
    """The words of a plain text are the library's, letter by letter."""
    if plain.is_plain(text):
        library = TOKENIZER._tokenizer
        pieces = library.pre_tokenizer.pre_tokenize_str(library.normalizer.normalize_str(text))
        assert plain.words(text) == [word for word, _ in pieces]


@given(st.lists(TEXTS, max_size=4), st.sampled_from([None, 1, 3]))
@settings(max_examples=200, deadline=None)
def test_batches_mix_both_ways(texts: list[str], max_length: int | None) -> None:
    """Plain texts and others in one batch have the ids and the unknown words that each has by the library's rules."""
    other = Tokenizer(TOKENIZER._numbers, earlier=TOKENIZER._tokenizer)
    for keep in ("head", "tail"):
        ids, expected = (each.encode_batch(texts, max_length, keep) for each in (TOKENIZER, other))
        assert len(ids) == len(expected)
        assert all(map(np.array_equal, ids, expected))
    read, wanted = (each.read_batch(texts, max_length) for each in (TOKENIZER, other))
    assert [words.unknown for words in read] == [words.unknown for words in wanted]
    assert all(np.array_equal(a.ids, b.ids) for a, b in zip(read, wanted, strict=True))


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000, "<br" * 300_000, "<b x='" * 200_000, "n't" * 300_000, "<!--" * 250_000]
)
def test_no_text_takes_more_than_linear_time(text: str) -> None:
    """Texts that would be tried in many ways are cut in one go; this test ends only if they are."""
    assert plain.is_plain(text)
    assert plain.words(text)


def test_other_rules_are_left_to_the_library() -> None:
    """A tokenizer of an old model, with rules of its own, is not replaced; nor is one with parts that nobody knows."""
    now = json.loads(TOKENIZER.to_json())
    assert unit_of(now) == "words"
    assert Tokenizer.from_description(now)._earlier is None
    for other in ({"normalizer": None}, {"version": "2.0"}, {"further": 1}, {"model": now["model"] | {"further": 1}}):
        assert unit_of(now | other) is None
    assert Tokenizer.from_description(now | {"normalizer": None})._earlier is not None
    assert Tokenizer.from_description(now | {"normalizer": None}).words("NO") == ["NO"]


def test_the_digest_of_the_present_rules_is_known() -> None:
    """The rules in a model file are compared with a digest, so that the library need not write them down each time."""
    assert rules_digest(json.loads(pipeline({}, "[UNK]").to_str())) == PRESENT


def test_plain_texts_need_no_library() -> None:
    """A model that is loaded and reads plain texts never imports the library, which is large."""
    script = (
        "import sys; from tidegate.text.tokenizer import Tokenizer; tokenizer = Tokenizer.from_json(sys.argv[1])\n"
        "tokenizer.encode_batch(['A film.', '<b>caf\xe9</b>']); assert 'tokenizers' not in sys.modules\n"
        "assert tokenizer.words('film') == ['film']; assert 'tokenizers' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, TOKENIZER.to_json()], check=True)
