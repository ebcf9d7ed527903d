"""floret's tables, against vectors that floret 0.10.5 itself has computed."""

from pathlib import Path

import numpy as np
import pytest

from tidegate.text import vectors
from tidegate.text.floret import Header

# train_unsupervised(mode="floret", dim=2, bucket=8, …).save_floret_vectors(…) and .get_word_vector(…)
ONE_TO_FIVE = """8 2 1 5 3 2166136261 < >
0 1.6593 -1.5659\x20
1 -1.392 1.3137\x20
2 1.2191 -1.1504\x20
3 6.3348 -5.9782\x20
4 -0.15347 0.14487\x20
5 -6.0557 5.7149\x20
6 -5.4402 5.134\x20
7 0.76059 -0.71775\x20
"""
THREE_TO_FOUR = """8 2 3 4 2 2166136261 < >
0 -1.335 1.2598\x20
1 -1.555 1.4675\x20
2 -1.4009 1.3221\x20
3 -1.1772 1.1109\x20
4 -0.84896 0.80117\x20
5 -1.2873 1.2149\x20
6 -1.2338 1.1644\x20
7 -2.0499 1.9345\x20
"""


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            ONE_TO_FIVE,
            {
                "überlangsam": [-0.462166, 0.43619],
                "unseen": [-0.492172, 0.464508],
                "a": [-0.402549, 0.379931],
                "gut": [-1.41991, 1.34003],
            },
        ),
        (
            THREE_TO_FOUR,
            {
                "überlangsam": [-1.37498, 1.29759],
                "unseen": [-1.35965, 1.28312],
                "a": [-1.47798, 1.3948],
                "gut": [-1.45439, 1.37253],
            },
        ),
    ],
)
def test_words_have_the_vectors_that_floret_gives_them(
    tmp_path: Path, table: str, expected: dict[str, list[float]]
) -> None:
    """Each word, known in training or not, gets the mean of the rows of its parts."""
    (tmp_path / "v.floret").write_text(table, encoding="utf-8")
    found = vectors.read(tmp_path / "v.floret", list(expected))
    assert found.words == list(expected)
    np.testing.assert_allclose(found.vectors, list(expected.values()), atol=5e-5)


def test_the_hash_is_murmurhash3() -> None:
    """Words longer than a block of the hash are covered too: values of mmh3 5.2, seed 2166136261."""
    whole = Header.of(b"4294967296 1 0 0 4 2166136261 < >")
    assert whole is not None
    assert whole.rows_of("film") == [0x7CBE6EE9, 0xBEB39F55, 0x99804495, 0xE1AEF42C]
    assert whole.rows_of("Donaudampfschifffahrtsgesellschaftskapitänsmütze") == [
        0x55A60673,
        0x4F902A3B,
        0x5FC9220D,
        0x7EE829DB,
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ONE_TO_FIVE[:-20], "7 .*(1 numbers|rows)|announces 8 rows of floret's table, but there are 7"),
        (ONE_TO_FIVE.replace("8 2 1", "9 2 1", 1), "announces 9 rows of floret's table, but there are 8"),
        (ONE_TO_FIVE.replace("5.134", "5.1x"), "line 8 .*could not convert"),
        (ONE_TO_FIVE.replace("8 2 1", "8 3 1", 1), "line 2 .* has 2 numbers, expected 3"),
        (ONE_TO_FIVE.replace("8 2 1", "8 0 1", 1), "vectors of 0 numbers"),
    ],
)
def test_damaged_tables_are_refused(tmp_path: Path, content: str, message: str) -> None:
    """A table that is cut, or has other rows than its first line announces, is refused."""
    (tmp_path / "v.floret").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"v\.floret: .*({message})"):
        vectors.read(tmp_path / "v.floret", ["gut"])
