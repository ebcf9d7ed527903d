"""Which columns are taken for the texts and the labels."""

from typing import Any

import pytest

from tidegate.data.tables.columns import fields_of, guess_columns, names_in

LONG = ["a film about the sea", "the ships are really slow", "so many storms and wars", "nobody tells us why"]
FEW = ["yes", "no", "yes", "no"]
IDS = ["u1", "u2", "u3", "u4"]


@pytest.mark.parametrize(
    ("columns", "text", "label"),
    [
        ({"text": LONG, "label": FEW}, "text", "label"),
        ({"Label": FEW, " TEXT ": LONG}, " TEXT ", "Label"),
        ({"label": [0, 1, 1, 0], "id": [1, 2, 3, 4], "rating": [1, 8, 9, 2], "text": LONG}, "text", "label"),
        ({"Review Text": LONG, "Rating": [1, 2, 1, 2]}, "Review Text", "Rating"),
        ({"review": LONG, "sentiment": FEW, "score": [1, 2, 1, 2]}, "review", "sentiment"),
        ({"sentence": ["a", "b"], "target": ["0", "1"]}, "sentence", "target"),
        ({"what": LONG, "how": FEW}, "what", "how"),
        ({"id": IDS, "what": LONG, "how": [1.0, 0.0, 1.0, None]}, "what", "how"),
        ({"text": LONG, "url": ["http://x"] * 4, "how": [True, False, True, False]}, "text", "how"),
        ({"description": LONG, "text": IDS, "label": FEW}, "text", "label"),
        ({"text": LONG, "yes": FEW}, "text", "yes"),
        ({"message": LONG, "spam": ["spam", "ham", "spam", "ham"]}, "message", "spam"),
    ],
)
def test_obvious_columns_are_found(columns: dict[str, list[Any]], text: str, label: str) -> None:
    """Usual names decide, the surest first; without them the one column of long texts and the one of few values."""
    assert guess_columns(columns, None, None, need_label=True) == (text, label)
    assert guess_columns(columns, None, None, need_label=False) == (text, None)


def test_columns_that_are_asked_for_are_taken() -> None:
    """Given names win over guesses, and a column that is taken for one purpose is not guessed for the other."""
    columns = {"text": LONG, "label": FEW, "review": LONG, "stars": ["1", "2", "1", "2"]}
    assert guess_columns(columns, "review", "stars", need_label=True) == ("review", "stars")
    assert guess_columns(columns, None, "stars", need_label=False) == ("text", "stars")
    assert guess_columns({"a": LONG, "text": FEW}, "a", None, need_label=True) == ("a", "text")


@pytest.mark.parametrize(
    ("columns", "text", "label", "message"),
    [
        ({"text": LONG, "label": FEW}, "txt", None, "no column 'txt'; the columns are 'text', 'label'"),
        ({"text": LONG, "label": FEW}, None, "lbl", "no column 'lbl'; the columns are 'text', 'label'"),
        ({"text": LONG, "label": FEW}, "text", "text", "cannot hold both"),
        ({"a": LONG, "b": LONG, "label": FEW}, None, None, "texts: it may be 'a' or 'b'; .*Name it with --text"),
        ({"review": LONG, "body": LONG}, None, None, "texts: it may be 'review' or 'body'"),
        ({"a": IDS, "label": FEW}, None, None, "holds the texts; the columns are 'a', 'label'. Name it with --text"),
        ({"a": [1, 2], "b": [[1], [2]]}, None, None, "cannot tell which column holds the texts"),
        ({"text": LONG, "a": FEW, "b": FEW}, None, None, "labels: it may be 'a' or 'b'; .*Name it with --label"),
        ({"text": LONG, "category": FEW, "rating": FEW}, None, None, "labels: it may be 'category' or 'rating'"),
        ({"text": LONG, "id": IDS}, None, None, "cannot tell which column holds the labels; the columns are 'id'"),
        ({"text": LONG, "a": ["x"] * 4}, None, None, "cannot tell which column holds the labels"),
        ({"text": LONG}, None, None, "no column is left for the labels: the file has no other"),
        ({}, None, None, "no column is left for the texts"),
        ({"what a fine film it was": LONG, "yes": FEW}, None, None, "first line seems to be a row"),
        ({"what": LONG, "yes": FEW}, None, None, r"first line seems to be a row and not .*\('yes'\).*--label"),
        ({"text~label": ["a~b"] * 4}, None, None, r"a comma, semicolon, tab or \| is looked for"),
    ],
)
def test_columns_that_are_not_obvious(
    columns: dict[str, list[Any]], text: str | None, label: str | None, message: str
) -> None:
    """Where a column is missing or a guess could be wrong, the error lists the columns and names the option."""
    with pytest.raises(ValueError, match=message):
        guess_columns(columns, text, label, need_label=True)


@pytest.mark.parametrize("rest", [[1984], [None, float("nan")], [True], [""]])
def test_a_number_among_texts_does_not_hide_them(rest: list[Any]) -> None:
    """A column of texts is found though some of them are numbers or missing."""
    columns = {"what": LONG * 5 + rest, "how": FEW * 5 + ["yes"] * len(rest)}
    assert guess_columns(columns, None, None, need_label=True) == ("what", "how")


def test_errors_list_the_fields_of_records() -> None:
    """Where a column is to be named and may be a field of records, the error says how those are called."""
    records = [None, {"body": "a", "more": {"stars": 1}}]
    assert fields_of("review", records) == ["review.body", "review.more.stars"]
    with pytest.raises(ValueError, match=r"'review' \(records with the fields 'review.body', 'review.mo.*'\), 'n'"):
        guess_columns({"review": records, "n": [1, 2]}, "review.boby", None, need_label=False)


def test_a_table_of_numbers_is_named_as_one() -> None:
    """Where no column holds texts, the error says how many hold numbers, and how sequences of them are given."""
    table: dict[str, list[Any]] = {f"t{n}": ["0.5", "1.5", "", "2"] for n in range(10)} | {"label": FEW}
    with pytest.raises(
        ValueError, match=r"numbers in 10 columns \('t0' … 't9'\): .*--key; .* into one cell, as a list"
    ):
        guess_columns(table, None, None, need_label=True)


def test_a_column_that_is_left_holds_several_labels() -> None:
    """Where cells may hold several labels, the one column beside the texts is theirs, whatever it looks like."""
    columns: dict[str, Any] = {"text": ["a", "b"], "genre": [["war"], ["war", "love"]]}
    assert guess_columns(columns, None, None, need_label=True, alone=True) == ("text", "genre")
    with pytest.raises(ValueError, match="cannot tell which column holds the labels"):
        guess_columns(columns, None, None, need_label=True)


@pytest.mark.parametrize(("names", "twice"), [(["a,a"], "a"), (["a", "b", "b"], "b"), (["a", " a,c"], "a")])
def test_a_column_is_named_once(names: list[str], twice: str) -> None:
    """However it is given: a column that stands twice would count twice."""
    with pytest.raises(ValueError, match=f"^column '{twice}' is given twice, expected each once$"):
        names_in(names, ["a", "b", "c"])
    assert names_in(["a,a", "a"], ["a", "a,a"]) == ("a,a", "a")
