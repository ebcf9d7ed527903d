"""How texts are cut into words, and which ids they get."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.characters import visible
from tidegate.data import tables
from tidegate.text.tokenizer import Tokenizer

REVIEWS = ["A good film.", "Good, good, not bad!", "Bad film, isn't it?<br /><br />It isn't GOOD."]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(REVIEWS, min_frequency=1)


def cut(text: str) -> list[str]:
    """The words that a tokenizer counts in a text."""
    return Tokenizer.train([text], min_frequency=1).words(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The END", "the end"),
        ("so-so, (really) bad!!!", "so - so , ( really ) bad ! ! !"),
        ("7/10 _Alien_ 1,5", "7 / 10 _ alien _ 1 , 5"),
        ("one<br />two<br/>three<BR>four", "one two three four"),
        ("a <b> tag", "a tag"),
        ("didn't can't won't isn't", "did n't ca n't wo n't is n't"),
        ("It's we're I've they'll he'd I'm", "it 's we 're i 've they 'll he 'd i 'm"),
        ("'tis rock'n'roll n't 'sad' dogs'", "' tis rock ' n ' roll n't ' sad ' dogs '"),
        ("“Don’t” ‘go’", "\" do n't \" ' go '"),
        ("Caf\u00e9 cafe\u0301 naïve", "café café naïve"),
        ("ÀÉÎ МИР", "àéî мир"),
        ("我喜欢 ねこ ดี abc", "我 喜 欢 ね こ ดี abc"),
        ("नमस्ते мир", "नमस्ते мир"),
        ("fun 😀😀 5€", "fun 😀 😀 5 €"),
        ("tab\there\nnew\r\nline\u00a0end\u2028", "tab here new line end"),
        ("[PAD] [UNK]", "[ pad ] [ unk ]"),
    ],
)
def test_words_and_marks_stand_apart(text: str, words: str) -> None:
    """Words are lower-cased, marks stand alone, contractions are cut, line breaks of HTML are dropped."""
    assert cut(text) == words.split(" ")


def test_the_vocabulary_goes_by_frequency(tokenizer: Tokenizer) -> None:
    """Padding and the unknown word come first, then the most frequent words, ties by the alphabet."""
    assert tokenizer.vocab[:4] == ["[PAD]", "[UNK]", "good", ","]
    assert tokenizer.vocab[4:10] == [".", "bad", "film", "is", "it", "n't"]
    assert len(tokenizer) == len(tokenizer.vocab) == len(set(tokenizer.vocab))


def test_the_vocabulary_is_cut_at_its_size_and_at_rare_words() -> None:
    """`vocab_size` counts the two special words; words rarer than `min_frequency` are unknown."""
    assert Tokenizer.train(["a a a b b c"], vocab_size=4, min_frequency=1).vocab == ["[PAD]", "[UNK]", "a", "b"]
    assert Tokenizer.train(["a a a b b c"], min_frequency=3).vocab == ["[PAD]", "[UNK]", "a"]


def test_training_reads_an_iterator_once_and_is_repeatable() -> None:
    """Texts may come from a generator, and the same texts give the same tokenizer."""
    first = Tokenizer.train((text for text in REVIEWS), min_frequency=1)
    assert first.to_json() == Tokenizer.train(REVIEWS, min_frequency=1).to_json()


def test_ids_are_those_of_the_vocabulary(tokenizer: Tokenizer) -> None:
    """Each word gets its place in the vocabulary, unknown words get 1, and a text without words has length 0."""
    known, unknown, empty, blank = tokenizer.encode_batch(["Good film!", "good zebra", "", " <br /> \n"])
    assert [tokenizer.vocab[i] for i in known] == ["good", "film", "!"]
    assert unknown.tolist() == [2, 1]
    assert len(empty) == len(blank) == 0
    assert {ids.dtype for ids in (known, unknown, empty)} == {np.dtype(np.int32)}
    assert tokenizer.encode_batch([]) == []


@given(text=st.text())
def test_no_text_is_padding(tokenizer: Tokenizer, text: str) -> None:
    """Whatever a text holds, its ids are words or the unknown word, never padding, and there is one for each word."""
    [ids] = tokenizer.encode_batch([text])
    assert ((ids >= 1) & (ids < len(tokenizer))).all()
    assert len(tokenizer.words(text)) == len(ids)


def test_special_words_cannot_be_written(tokenizer: Tokenizer) -> None:
    """The names of the special words in a text are ordinary marks and letters."""
    [ids] = tokenizer.encode_batch(["[PAD] [UNK]"])
    assert ids.tolist() == [1] * 6
    trained = Tokenizer.train(["[PAD] [UNK] [PAD] [UNK]"], min_frequency=1)
    assert trained.vocab[:2] == ["[PAD]", "[UNK]"]
    assert set(trained.vocab[2:]) == {"[", "]", "pad", "unk"}


@pytest.mark.parametrize(("keep", "expected"), [("head", ["a", "b"]), ("tail", ["c", "d"])])
def test_long_texts_keep_one_end(keep: str, expected: list[str]) -> None:
    """`max_length` keeps the first words or the last, and leaves shorter texts alone."""
    tokenizer = Tokenizer.train(["a b c d"], min_frequency=1)
    long, short = tokenizer.encode_batch(["a b c d", "c"], max_length=2, keep=keep)  # type: ignore[arg-type]
    assert [tokenizer.vocab[i] for i in long] == expected
    assert [tokenizer.vocab[i] for i in short] == ["c"]
    assert tokenizer.words("a b c d", max_length=2, keep=keep) == expected  # type: ignore[arg-type]


def test_unknown_words_are_shown_as_written(tokenizer: Tokenizer) -> None:
    """Words of the vocabulary are shown as it has them, others as the text writes them, whatever stands before."""
    assert tokenizer.words("<br />GOOD “Zebra”<br/> Cafe\u0301!") == ["good", "“", "Zebra", "”", "Cafe\u0301", "!"]


def test_lone_surrogates_count_as_question_marks(tokenizer: Tokenizer) -> None:
    """A character that UTF-8 cannot hold, as JSON escapes may smuggle in, does not stop a batch."""
    broken = json.loads(r'"good \ud800 film"')
    assert tokenizer.words(broken) == ["good", "?", "film"]
    assert tokenizer.encode_batch([broken])[0].tolist() == tokenizer.encode_batch(["good ? film"])[0].tolist()


def test_long_words_and_long_texts_are_encoded(tokenizer: Tokenizer) -> None:
    """A word of a million letters is one unknown word, a text of many marks as many words."""
    word, marks = tokenizer.encode_batch(["x" * 1_000_000, "." * 100_000])
    assert word.tolist() == [1]
    assert len(marks) == 100_000


def test_json_restores_the_tokenizer(tokenizer: Tokenizer) -> None:
    """What `to_json` writes gives the same ids, words and JSON again."""
    restored = Tokenizer.from_json(tokenizer.to_json())
    assert restored.vocab == tokenizer.vocab
    assert restored.to_json() == tokenizer.to_json()
    text = "Isn't this “GOOD”?<br />Zebra."
    assert restored.encode_batch([text])[0].tolist() == tokenizer.encode_batch([text])[0].tolist()
    assert restored.words(text) == tokenizer.words(text)


def edited(**changes: object) -> str:
    """The JSON of a tokenizer with some parts of it, or of its model (model__part), replaced."""
    description = json.loads(Tokenizer.train(REVIEWS, min_frequency=1).to_json())
    for name, value in changes.items():
        *parents, last = name.split("__")
        place = description[parents[0]] if parents else description
        place[last] = value
    return json.dumps(description)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[1]", "JSON object with a model"),
        ("{}", "JSON object with a model"),
        (edited()[:-1], "delimiter"),
        (edited(model={"type": "BPE", "vocab": {}, "merges": []}), "the model is 'BPE'"),
        (edited(model__vocab={"[PAD]": 0, "[UNK]": 1, "a": 3}), "ids 0, 1, 2"),
        (edited(model__vocab={"[PAD]": 0, "[UNK]": 1, "a": "2"}), "the id '2' for 'a', expected an integer"),
        (edited(model__vocab={"[UNK]": 0, "[PAD]": 1}), "words 0 and 1"),
        (edited(model__unk_token="?"), "unknown word"),
        (
            edited(truncation={"max_length": 3, "strategy": "LongestFirst", "stride": 0}),
            "it has truncation, expected none",
        ),
        (edited(pre_tokenizer={"type": "Nonsense"}), "not a tokenizer of tidegate"),
    ],
)
def test_other_json_is_refused(text: str, message: str) -> None:
    """JSON that is damaged, or describes a tokenizer that gives other ids, is refused with the reason."""
    with pytest.raises(ValueError, match=f"not a tokenizer of tidegate.*({message})|{message}"):
        Tokenizer.from_json(text)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"texts": "a text"}, TypeError, "texts is one text, expected several"),
        ({"texts": ["a", 3]}, TypeError, r"texts\[1\] is 3, expected a text"),
        ({"texts": [b"a"]}, TypeError, r"texts\[0\] is b'a', expected a text"),
        ({"texts": [["a", "b"]]}, TypeError, r"texts\[0\] is \['a', 'b'\], expected"),
        ({"texts": ["a"], "max_length": 0}, ValueError, "max_length is 0"),
        ({"texts": ["a"], "keep": "middle"}, ValueError, "keep is 'middle'"),
    ],
)
def test_wrong_arguments_of_encode_batch(
    tokenizer: Tokenizer, arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    """What is no text, no length or no end is named."""
    with pytest.raises(error, match=message):
        tokenizer.encode_batch(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"texts": "a a"}, TypeError, "texts is one text, expected several"),
        ({"texts": ["a", None]}, TypeError, r"texts\[1\] is None, expected a text"),
        ({"texts": ["a a"], "vocab_size": 2}, ValueError, "vocab_size is 2"),
        ({"texts": ["a a"], "min_frequency": 0}, ValueError, "min_frequency is 0"),
        ({"texts": []}, ValueError, "no word occurs 2 times"),
        ({"texts": ["a b c"]}, ValueError, "no word occurs 2 times"),
    ],
)
def test_wrong_arguments_of_train(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    """What is no text or no size is named, and so is an empty vocabulary."""
    with pytest.raises(error, match=message):
        Tokenizer.train(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("naïve", "naïve"),
        ("a\x1b[2J\u202eb", "a\\x1b[2J\\u202eb"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩🏽\u200d🚀", "👩🏽\u200d🚀"),
        ("\u200d", "\\u200d"),
        ("ab\u200cc", "ab\\u200cc"),
        ("ש\u200d\u200d", "ש\u200d\\u200d"),
    ],
)
def test_what_cannot_be_seen_is_spelt_out(word: str, shown: str) -> None:
    """Joiners are shown as they are where they change what is seen; other invisible characters as escapes."""
    assert visible(word) == shown


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter, without the variable that the library looks at."""
    variables = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=variables | environment, timeout=600
    )


FORK = """
    import os
    from tidegate.text.tokenizer import Tokenizer
    tokenizer = Tokenizer.train(["a b c"] * 100, min_frequency=1)
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    child = os.fork()
    if not child:
        os._exit(len(tokenizer.encode_batch(["a b c"] * 100)) - 100)
    assert os.waitpid(child, 0)[1] == 0
    assert os.environ.get("TOKENIZERS_PARALLELISM") == before
    tokenizer.encode_batch(["a b c"] * 100)
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("environment", [{}, {"TOKENIZERS_PARALLELISM": "true"}], ids=["unset", "set"])
def test_a_forked_child_encodes_in_silence(environment: dict[str, str]) -> None:
    """After a fork the child encodes, nothing is printed, and the environment of the parent is as it was."""
    done = run("import warnings; warnings.simplefilter('ignore')\n" + textwrap.dedent(FORK), **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_library_is_imported_late() -> None:
    """Importing the module does not import `tokenizers`: it takes longer than everything else."""
    assert run("import sys, tidegate.text.tokenizer; sys.exit('tokenizers' in sys.modules)").returncode == 0


def test_real_reviews_are_covered(data: Path) -> None:
    """Of reviews that were not counted, 20,000 words cover most, and nothing of HTML line breaks is left."""
    train, test = (tables.read(data / "imdb" / f"{part}.parquet").texts[::10] for part in ("train", "test"))
    tokenizer = Tokenizer.train(train)
    ids = np.concatenate(tokenizer.encode_batch(test))
    assert (ids != 1).mean() > 0.95
    assert "br" not in tokenizer.vocab[:10_000]


def test_characters_are_words_of_their_own() -> None:
    """With this unit every character counts as it is written, and the library cuts texts alike."""
    tokenizer = Tokenizer.train(["Ab ba\n", "<b>é&amp;"] * 2, unit="characters")
    text = "A\nbé<b>X👩‍🚀&amp; e\u0301"
    ids = tokenizer.encode_batch([text, ""])
    assert [tokenizer.vocab[i] for i in ids[0]] == [c if c in "Ab a\n<>é&mp;" else "[UNK]" for c in text]
    assert tokenizer._tokenizer.encode(text, add_special_tokens=False).ids == ids[0].tolist()
    assert tokenizer.words(text, 3) == ["A", "\n", "b"]
    cut = tokenizer.cut(text, 4, keep="tail")
    assert [text[start:end] for start, end in cut.spans] == cut.words == list(text[-4:])
    read = Tokenizer.from_json(tokenizer.to_json())
    assert (read.unit, read.vocab, read.html_entities) == ("characters", tokenizer.vocab, False)
    assert tokenizer.joined(tokenizer.words(text)) == text
    with pytest.raises(ValueError, match="no character occurs 2 times"):
        Tokenizer.train(["abc"], unit="characters")
    with pytest.raises(ValueError, match="unit is 'letters'"):
        Tokenizer.train(["abc"], unit="letters")


def test_words_are_written_with_spaces_where_english_has_them() -> None:
    """What was cut at an apostrophe or a mark is joined again; the words of a text come back."""
    tokenizer = Tokenizer.train(["a b"], min_frequency=1)
    for text in ("it isn't good, is it?", "they're (nearly) done: 50%.", "a 'quoted word'"):
        assert tokenizer.words(tokenizer.joined(tokenizer.words(text))) == tokenizer.words(text)
    assert tokenizer.joined(["it", "is", "n't", "(", "so", ")", "bad", "!"]) == "it isn't (so) bad!"
