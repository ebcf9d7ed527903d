"""Plain texts: the words are those of the library."""

import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.text.plain import WordTable
from tidegate.text.rules import PRESENT, pipeline, rules_digest, unit_of, words_of
from tidegate.text.tokenizer import Tokenizer

PIECES = [
    *"<>/='\"!-&;_#.,?%\t\n\r\x0b\x0c\x1c\x1f\x7f\x80é` \0\x96\x91ßÅ×ªÿ½\xa0µº²\x85\xad’‘‛“”„…–€™\u200b\u2028İŸΣя́",
    *(
        "n't",
        "N'T",
        "N’T",
        "n't²",
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
        "<b\xa0x=1>",
        "<br\x85/>",
        "<grin>",
    ),
    *("&amp;", "&lt;br&gt;", "&eacute;", "&unknown;"),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(max_codepoint=255) | st.characters(), max_size=30).map("".join)
KNOWN = ["[PAD]", "[UNK]", "film", "br", "a", ".", "'s", "n't", "ca", "<", "_"]
TOKENIZER = Tokenizer({word: i for i, word in enumerate(KNOWN)})


def words_in(text: str) -> list[str] | None:
    """The words that native code cuts a text into; None if it leaves it to the library."""
    table = WordTable()
    [read] = table.read([text])
    words = table.words()
    return None if read is None else [words[i] for i in read.ids.tolist()]


@given(TEXTS.map(lambda text: text.encode("utf-8", "replace").decode()))
@settings(max_examples=600, deadline=None)
def test_words_are_those_of_the_library(text: str) -> None:
    """The words of a plain text are the library's, letter by letter."""
    words = words_in(text)
    if words is not None:
        assert words == words_of(text)


def test_all_characters_are_cut_as_the_library_cuts_them() -> None:
    """Each character is plain or not, and where it is, it is the library's letter, mark, space or quotation mark."""
    characters = list(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    plain = [c for c, read in zip(characters, WordTable().read(characters), strict=True) if read is not None]
    assert {"a", "É", "ÿ", "’", "…", "`", "\x1f", "€"} <= set(plain)
    assert not {"\0", "\xad", "²", "½", "\u200b", "Ÿ", "İ", "я", "北"} & set(plain)
    for c in plain:
        for text in (f"a{c}b", f"N{c}T", f"n't{c}", f"<b{c}>", f"<b {c}x={c}>", f"it{c}s {c}", f"<p title={c}>{c}>"):
            assert words_in(text) == words_of(text), repr(text)


@given(st.lists(TEXTS, max_size=20), st.integers(3, 12), st.sampled_from([1, 2]))
@settings(max_examples=100, deadline=None)
def test_training_counts_as_the_library_does(texts: list[str], vocab_size: int, least: int) -> None:
    """The vocabulary of texts is the one that the library's training finds, or neither finds a word."""
    plain = [text for text in texts if words_in(text.encode("utf-8", "replace").decode()) is not None]
    found = []
    for train in (Tokenizer.train, Tokenizer._train_by_library):
        try:
            found.append(train(plain, vocab_size, least).vocab)
        except ValueError as error:
            found.append([str(error)])
    assert found[0] == found[1]


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
    assert words_in(text)


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


def test_a_table_numbers_words_as_they_come() -> None:
    """Words have the numbers 0, 1, 2 …, however many there are, and keep them."""
    words = [f"w{i}" for i in range(5000)]
    table = WordTable(words)
    assert len(table) == 5000
    assert table.words() == words
    assert table.add(["w7", "new", "w4999", "new", ""]).tolist() == [7, 5000, 4999, 5000, 5001]
    known, other, added = *table.read(["W3 w4998 x’s", "北"], unknown=1), *table.read(["x w3"])
    assert known is not None
    assert added is not None
    assert (known.ids.tolist(), list(known.strangers)) == ([3, 4998, 1, 1], ["x", "’s"])
    assert other is None
    assert (added.ids.tolist(), list(added.strangers)) == ([5002, 3], [])


def test_threads_share_a_table() -> None:
    """Threads that add words at the same time give each word one number."""
    table = WordTable()
    texts = [" ".join(f"w{(i * 7919 + k) % 3000}" for k in range(3000)) for i in range(16)]
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda text: list(table.read([text])), texts))
    words = table.words()
    assert len(words) == len(set(words)) == 3000
    for text, [found] in zip(texts, read, strict=True):
        assert found is not None
        assert [words[i] for i in found.ids.tolist()] == text.split()


def test_a_tokenizer_that_has_read_is_pickled() -> None:
    """A tokenizer goes to another process, also after it has read plain texts."""
    tokenizer = Tokenizer.of_words(["film"])
    before = tokenizer.encode_batch(["a film"])
    after = pickle.loads(pickle.dumps(tokenizer)).encode_batch(["a film"])
    assert [ids.tolist() for ids in before] == [ids.tolist() for ids in after] == [[1, 2]]
