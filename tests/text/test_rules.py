"""Which characters make a word: scripts without spaces, invisible characters, HTML, apostrophes, symbols."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from tidegate.text.tokenizer import Tokenizer


def cut(text: str) -> list[str]:
    """The words that a tokenizer counts in a text."""
    return Tokenizer.train([text], min_frequency=1).words(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ดีมาก", "ดี ม า ก"),  # Thai
        ("ທຳດີ", "ທຳ ດີ"),  # Lao
        ("ខ្ញុំល្អ", "ខ្ ញុំ ល្ អ"),  # Khmer
        ("မြန်မာ", "မြ န် မာ"),  # Burmese
        ("ᥖᥭᥰᥖᥬᥳ", "ᥖ ᥭ ᥰ ᥖ ᥬ ᥳ"),  # Tai Le
        ("ᦺᦑᦟᦹᧉ", "ᦺ ᦑ ᦟ ᦹ ᧉ"),  # New Tai Lue
        ("ᨣᩤᩴᨾᩮᩬᩥᨦ", "ᨣᩤᩴ ᨾᩮᩬᩥ ᨦ"),  # Tai Tham
        ("ꪼꪕꪒꪾ", "ꪼ ꪕ ꪒꪾ"),  # Tai Viet
        ("𑜒𑜑𑜪", "𑜒 𑜑𑜪"),  # Ahom
        ("ดีgoodລາว2", "ดี good ລ າ ว 2"),
        ("サーバーABC", "サー バー abc"),
        ("ABCー", "abc ー"),
        ("ｻｰﾊﾞｰabcｰ", "ｻｰ ﾊﾞｰ abc ｰ"),
        ("ﾊﾟﾋﾟ ㇷ゚", "ﾊﾟ ﾋﾟ ㇷ゚"),
        ("か\u3099き", "が き"),
        ("すごーい人々", "す ごー い 人 々"),
        ("한국어 좋다", "한국어 좋다"),  # Korean has spaces
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", "한국"),
    ],
)
def test_scripts_without_spaces_are_cut_into_characters(text: str, words: str) -> None:
    """Each character is a word, with its vowel signs, tones and marks; other scripts beside it stay whole."""
    assert cut(text) == words.split(" ")


@pytest.mark.parametrize(
    "character",
    [*"\u00ad\u2060\ufeff\u200e\u200f\u202a\u202e\u2066\u2069\u061c\u034f\u115f\u3164\u180e\ufff0\U000e0041\0"],
)
def test_invisible_characters_are_left_out(character: str) -> None:
    """A character that cannot be seen neither cuts a word nor is one, wherever it stands."""
    text = (
        f"{character}Ver{character}siche{character}rung{character} {character} it{character}'s{character}!{character}"
    )
    assert cut(text) == ["versicherung", "it", "'s", "!"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("film\u200bfest \u200b", "film fest"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("ශ්\u200dරී ලංකා", "ශ්\u200dරී ලංකා"),
        ("क्\u200dष", "क्\u200dष"),
        ("അവന്\u200d വന്നു", "അവന്\u200d വന്നു"),
        ("\u200dab\u200d \u200c \u200d", "ab"),
        ("ខ្ញុំ\u200bល្អ", "ខ្ ញុំ ល្ អ"),
        ("❤\ufe0f ❤", "❤ ❤"),
        ("葛\U000e0100城", "葛 城"),
        ("1\ufe0f\u20e3", "1\u20e3"),
        ("one\x1btwo\x85three\x97four", "one \x1b two three \x97 four"),
        ("👩🏽\u200d🚀👍🏽🇫🇷🇩🇪", "👩🏽\u200d🚀 👍🏽 🇫🇷 🇩🇪"),
    ],
)
def test_what_joins_and_what_parts(text: str, words: str) -> None:
    """A zero-width space is a space, joiners belong to words, variation selectors are no words of their own."""
    assert cut(text) == words.split(" ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<p>good<b>film</b></p>", "good film"),
        ('<P CLASS="x">a</P><IMG SRC=a.png/>b', "a b"),
        ("<a href='x>y' title=\"it's\">here</a>", "here"),
        ("<h1>one</h1><hr/><td>two</td>", "one two"),
        ("one<br>two<br / >three</br>", "one two three"),
        ("<!DOCTYPE html><!-- not this -->yes", "yes"),
        ("a < b and c > d", "a < b and c > d"),
        ("a <b and c> d", "a < b and c > d"),
        ("i <3 it", "i < 3 it"),
        ("x<y>z <grin> <unk>", "x < y > z < grin > < unk >"),
        ("so <great>, <3 >", "so < great > , < 3 >"),
        ("&lt;br /&gt;line", "line"),
        ("<p open", "< p open"),
    ],
)
def test_tags_are_spaces(text: str, words: str) -> None:
    """HTML's tags count as spaces; other words between angle brackets, and comparisons, stay."""
    assert cut(text) == words.split(" ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("it wasn&#39;t bad", "it was n't bad"),
        ("it wasn&#x27;t bad", "it was n't bad"),
        ("it isn&rsquo;t &quot;bad&quot;", 'it is n\'t " bad "'),
        ("caf&eacute;&nbsp;noir", "café noir"),
        ("caf&#101;&#769;", "café"),
        ("R&amp;D AT&T &c", "r & d at & t & c"),
        ("a&copy=1&this;", "a & copy = 1 & this ;"),
        ("Ver&shy;sicherung", "versicherung"),
        ("5 &lt; 6 &gt; 4", "5 < 6 > 4"),
        ("&hearts;&#128512;", "♥ 😀"),
        ("&#0; &#xD800; &#9999999999; &#;", "\ufffd \ufffd & # 9999999999 ; & # ;"),
    ],
)
def test_entities_are_their_characters(text: str, words: str) -> None:
    """HTML's references count as the characters that they stand for; other uses of & stay."""
    assert cut(text) == words.split(" ")
    tokenizer = Tokenizer.train([text], min_frequency=1)
    assert tokenizer.encode_batch([text])[0].tolist() == tokenizer.cut(text).ids.tolist()


@pytest.mark.parametrize("apostrophe", [*"'’‘‛ʼ´`＇′\x91\x92", "&#39;", "&apos;", "&rsquo;"])
def test_all_apostrophes_are_one(apostrophe: str) -> None:
    """English contractions and Ukrainian words come out the same, however their apostrophe is written."""
    text = "I don't, it's rock'n'roll, L'été, п'ять, об'єкт 'так'"
    assert cut(text.replace("'", apostrophe)) == cut(text)
    assert cut(text)[:6] == ["i", "do", "n't", ",", "it", "'s"]
    assert cut(text)[-6:] == ["п'ять", ",", "об'єкт", "'", "так", "'"]


def test_earlier_tokenizers_keep_their_rules() -> None:
    """A tokenizer that a model file holds cuts as it did when it was trained: entities are not decoded for it."""
    description = json.loads(Tokenizer.train(["caf&eacute; good"], min_frequency=1).to_json())
    assert description.pop("html_entities") is True
    earlier = Tokenizer.from_json(json.dumps(description))
    assert earlier.words("caf&eacute;") == ["caf", "&", "eacute", ";"]
    assert "html_entities" not in json.loads(earlier.to_json())
    now = Tokenizer.from_json(Tokenizer.train(["caf&eacute; good"], min_frequency=1).to_json())
    assert now.words("caf&eacute;") == ["café"]


EARLIER = Path(__file__).parents[1] / "models" / "earlier"


@pytest.mark.parametrize("file", sorted(EARLIER.iterdir()), ids=lambda path: path.name)
def test_models_of_earlier_versions_read_the_same_words(file: Path) -> None:
    """Files that earlier versions wrote hold their own rules: nothing is decoded, left out or joined in new ways."""
    with safe_open(file, framework="numpy") as opened:
        tokenizer = Tokenizer.from_json(opened.metadata()["tokenizer"])
    text = "Ver\u00adsicherung it wasn&#39;t <b>bad</b><br />don´t ລາວ film\u200bfest п'ять ดี ABCー"
    words = "Ver \u00ad sicherung it wasn & # 39 ; t < b > bad < / b > don ´ t ລາວ film \u200b fest п ' ять ด ี ABCー"
    assert [word.lower() for word in tokenizer.words(text)] == words.lower().split(" ")
    assert Tokenizer.from_json(tokenizer.to_json()).words(text) == tokenizer.words(text)


@pytest.mark.parametrize(
    "text",
    [
        "<a x=" * 5000,
        "<a x=\"'" * 5000,
        "<!--" * 5000,
        "&" * 20000,
        "&#1" * 9000,
        "я'" * 9000,
        "a\u200c" * 9000,
        "ー" * 20000,
    ],
)
def test_hostile_texts_are_cut(text: str) -> None:
    """Texts made to be retried in many ways are cut like others, with one id for each word."""
    tokenizer = Tokenizer.train(["a"], min_frequency=1)
    assert len(tokenizer.encode_batch([text])[0]) == len(tokenizer.cut(text).words) > 0
