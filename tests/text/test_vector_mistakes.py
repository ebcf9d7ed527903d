"""What is said of texts that are nearly files of word vectors."""

from pathlib import Path

import pytest

from tidegate.text import vectors

LINES = ["the 0.1 -0.2 3e-1", "of 0.4 0.5 0.6", "and 1 2 3", "a -1 -2 -3"]
PLAIN = "\n".join(LINES) + "\n"
NO_VECTORS = "no line is a word with numbers behind it, such as `word 0.1 -0.2`"

MISTAKES = {
    "empty": ("", "the file is empty$"),
    "blank": ("\n \n\r\n", "the file has nothing but blank lines"),
    "carriage returns": (PLAIN.replace("\n", "\r"), r"`tr '\\r' '\\n' < FILE`"),
    "carriage returns, with a header": ("4 3\r" + PLAIN.replace("\n", "\r"), "carriage returns alone"),
    "carriage returns, one word": ("the 1 2\rof 3 4", "carriage returns alone"),
    "commas": (PLAIN.replace(" ", ","), "commas stand between the numbers.*`tr ',' ' '"),
    "commas and spaces": (PLAIN.replace(" ", ", "), "commas stand between the numbers"),
    "commas under names": ("word,x,y,z\n" + PLAIN.replace(" ", ","), "commas stand between the numbers"),
    "commas, quoted words": (PLAIN.replace("the ", '"the" ').replace(" ", ","), "commas stand between"),
    "semicolons": (PLAIN.replace(" ", ";"), "semicolons stand between the numbers"),
    "bars": (PLAIN.replace(" ", "|"), "vertical bars stand between the numbers"),
    "decimal commas": ("the 0,1 -0,2\nof 0,4 0,5\nand 1,0 2,0\n", "commas in the place of points"),
    "brackets": ("the [0.1, 0.2]\nof [0.3, 0.4]\n", "in brackets"),
    "JSON": ('{"the": [0.1, 0.2], "of": [0.3, 0.4]}', "this is JSON"),
    "JSON Lines": ('{"word": "the", "vector": [0.1]}\n' * 3, "this is JSON"),
    "words": ("the\nof\nand\n", NO_VECTORS),
    "prose": ("It was a dark night, and cold.\nThe rain fell, and fell.\n", NO_VECTORS),
    "a CSV of texts": ("text,label\na fine film,1\na dull film,0\n", NO_VECTORS),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_are_named(tmp_path: Path, kind: str) -> None:
    """What is wrong is said, and where one command puts it right, which."""
    content, message = MISTAKES[kind]
    (tmp_path / "v.vec").write_bytes(content.encode())
    with pytest.raises(ValueError, match=message):
        vectors.read(tmp_path / "v.vec", ["the", "a"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (PLAIN, ["the", "of", "and", "a"]),
        (PLAIN.replace("\n", "\r\n"), ["the", "of", "and", "a"]),
        ("1,000 0.5\n1,5 2\n, 3\n", ["1,000", "1,5", ","]),
        (", 1 2\n; 3 4\n| 5 6\n", [",", ";", "|"]),
        ("[ 1 2\n{ 3 4\n", ["[", "{"]),
    ],
)
def test_what_looks_odd_and_is_right_is_read(tmp_path: Path, content: str, words: list[str]) -> None:
    """Marks are words, and words may hold commas."""
    (tmp_path / "v.vec").write_bytes(content.encode())
    assert vectors.read(tmp_path / "v.vec").words == words
