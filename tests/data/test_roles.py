"""Which column is what."""

from typing import Any

import pytest

from tidegate.data.series.roles import Asked, Looks, Roles, find_roles, look_of, reads_as_series, shortened

N, T, L, D = [0.5, 1.5], ["yes", "no"], [[1.0], [2.0]], ["2026-01-01", "2026-01-02"]


def looks(**columns: list[Any]) -> Looks:
    """A table whose rows come again if they are few."""
    repeated = {name: values * 10 if len(values) < 10 else values for name, values in columns.items()}
    return Looks({name: look_of(values) for name, values in repeated.items()}, repeated)


@pytest.mark.parametrize(
    ("values", "look"),
    [
        ([1, 2.5, None], "number"),
        (["1", " -2.5e3 ", "", "NA"], "number"),
        ([True, False], "number"),
        (["a", "1"], "text"),
        (["inf", *"123456789"], "number"),
        (["1,5", *"123456789"], "number"),
        (["low", *[1.5] * 9], "number"),
        (["low", "high", *"12345678"], "text"),
        (["2026-01-01", "2026-01-02T10:00:00Z"], "time"),
        (["10:00", "9:30:00"], "time"),
        (["2026", "20260101"], "number"),
        ([[1, 2], [], None], "lists"),
        ([[[1, 2]], [[3, 4]]], "lists"),
        ([["a"], ["b"]], ""),
        ([[1, "a"]], ""),
        ([{"x": 1}], ""),
        ([None, ""], ""),
        ([[], []], ""),
        (["nan", "NA"], "text"),
    ],
    ids=lambda value: ",".join(value.by_name) if isinstance(value, Looks) else "",
)
def test_looks(values: list[Any], look: str) -> None:
    """Columns are told apart by their values."""
    assert look_of(values) == look


@pytest.mark.parametrize(
    ("table", "asked", "roles"),
    [
        (looks(session=T, ts=N, a=N, b=N, label=T), {}, (("a", "b"), "session", "ts", ("label",))),
        (looks(id=T, time=D, a=N, activity=T), {}, (("a",), "id", "time", ("activity",))),
        (looks(who=T, a=N, b=N, y=T), {"key": "who"}, (("a", "b"), "who", None, ("y",))),
        (
            looks(who=T, when=N, a=N, b=N),
            {"key": "who", "time": "when", "labels": ("b",)},
            (("a",), "who", "when", ("b",)),
        ),
        (looks(session=T, a=N, b=["1,5", "-2,5"], label=T), {}, (("a", "b"), "session", None, ("label",))),
        (looks(session=T, a=N, b=["1,5", "x"], label=T), {}, (("a",), "session", None, ("label",))),
        (looks(session=T, a=N, b=["1,5", "2,5"], label=T), {"features": ("a",)}, (("a",), "session", None, ("label",))),
        (looks(a=L, b=L, label=T), {}, (("a", "b"), None, None, ("label",))),
        (looks(a=L, b=L, label=T), {"features": ("b",)}, (("b",), None, None, ("label",))),
        (looks(a=L, session=T, kind=N), {"labels": ("kind",)}, (("a",), None, None, ("kind",))),
        (looks(session=T, a=N, b=N, y=N, z=N), {"labels": ("y,z",)}, (("a", "b"), "session", None, ("y", "z"))),
        (looks(session=T, a=N, b=N, **{"y,z": N}), {"labels": ("y,z",)}, (("a", "b"), "session", None, ("y,z",))),
        (looks(session=T, a=N, b=N, y=T), {"features": ("b, a",)}, (("b", "a"), "session", None, ("y",))),
    ],
    ids=lambda value: ",".join(value.by_name) if isinstance(value, Looks) else "",
)
def test_roles_are_found(table: Looks, asked: dict[str, Any], roles: tuple[Any, ...]) -> None:
    """What is asked for is taken, what is not is guessed by its name or as the only one of its kind."""
    found = find_roles(table, Asked(**asked), need_label=True)
    assert (found.features, found.key, found.time, found.labels) == roles
    assert set(found.unused) == set(table.by_name) - set(found.needed)


def test_labels_may_be_of_no_use() -> None:
    """Where no labels are needed, a column of texts is one that is not used."""
    roles = find_roles(looks(session=T, a=N, label=T), Asked(), need_label=False)
    assert roles == Roles(features=("a",), key="session", unused=("label",))


@pytest.mark.parametrize(
    ("table", "asked", "message"),
    [
        (looks(a=N, b=N, label=T), {}, "each row holds single numbers: name the column .* with --key"),
        (looks(id=[n / 2 for n in range(50)], a=N * 25, label=T * 25), {}, "and in 'id' no value comes again"),
        (looks(session=T, a=N, b=N), {}, "cannot tell which column holds the labels: name it with --label"),
        (looks(session=T, a=N, b=T, c=T), {}, "cannot tell which column holds the labels"),
        (looks(a=L, b=T, c=T), {}, "cannot tell which column holds the labels: it may be 'b' or 'c'"),
        (looks(session=T, y=T), {"labels": ("y",)}, "no column of numbers to learn from"),
        (looks(b=T, y=T), {"features": ("c",)}, r"there is no column 'c'; the columns are 'b' \(text\), 'y' \(text\)"),
        (looks(s=T, a=N, y=T), {"key": "s", "features": ("a", "y"), "labels": ("y",)}, "column 'y' is given as one of"),
        (looks(s=T, a=N, y=T), {"key": "s", "features": ("a", "a"), "labels": ("y",)}, "column 'a' is given twice"),
        (looks(s=T, a=N, y=T), {"key": "s", "time": "s", "labels": ("y",)}, "column 's' is given as one of the key"),
        (looks(a=L, t=N, y=T), {"time": "t"}, "--time t orders the steps of a sequence: say with --key"),
    ],
    ids=lambda value: ",".join(value.by_name) if isinstance(value, Looks) else "",
)
def test_what_is_not_obvious_is_asked_for(table: Looks, asked: dict[str, Any], message: str) -> None:
    """A guess that is not obvious, and a column with two roles, are errors that name the option."""
    with pytest.raises(ValueError, match=message):
        find_roles(table, Asked(**asked), need_label=True)


@pytest.mark.parametrize(
    ("table", "numbers"),
    [
        (looks(session=T, a=N, label=T), True),
        (looks(a=L, label=T), True),
        (looks(a=L, text=T, label=T), False),
        (looks(a=L, x=["a fine and long film", "a dull and short film"], label=T), False),
        (looks(session=T, score=N, comment=T), False),
        (looks(text=N, session=T, label=T), False),
        (looks(a=N, b=N, label=T), False),
        (looks(id=[f"{n}." for n in range(50)], stars=N * 25, title=T * 25), False),
    ],
    ids=lambda value: ",".join(value.by_name) if isinstance(value, Looks) else "",
)
def test_numbers_are_told_from_texts(table: Looks, numbers: bool) -> None:
    """A table holds sequences of numbers if it has lists or an obvious key and no column of texts."""
    assert reads_as_series(table) == numbers


def test_many_names_are_shortened() -> None:
    """Twelve are listed, in quotes or plainly, and the others counted."""
    names = [f"key {k}" for k in range(88)]
    assert shortened(names, str).endswith("key 11 and 76 more")
    assert shortened(names[:2]) == "'key 0', 'key 1'"
