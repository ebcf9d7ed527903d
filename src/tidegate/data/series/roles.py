"""Which column of a table is what: the numbers of a step, the key that tells sequences apart, time and labels."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tidegate.data.series.cells import DECIMAL_COMMA, MISSING, is_number_text, moment_of, steps_of
from tidegate.data.tables.columns import LABEL_NAMES, TEXT_NAMES, guess_label, names_in, plain_name, reads_as_texts

KEY_NAMES = (
    ("session", "session_id", "sequence", "sequence_id", "series", "series_id", "key"),
    ("recording", "recording_id", "trial", "trial_id", "case", "case_id", "run", "run_id", "track", "track_id", "id"),
)
"""Names of columns that tell sequences apart, surest first."""

TIME_NAMES = (("time", "timestamp", "datetime", "ts"), ("t", "step", "frame", "date", "seconds", "time_ms", "time_s"))
"""Names of columns of times, surest first."""

SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au")
"""Suffixes of files of sound."""

_LOOKS = {"lists": "lists of numbers", "number": "numbers", "time": "times", "text": "text", "": "something else"}
_SAMPLE = 1000  # values that a guess looks at
_MOSTLY = 0.9  # share of numbers from which the other cells of a column are mistakes, which reading it reports
_MOST_DIFFERENT = 0.9  # share of different values up to which an "id" is that of a sequence
_MOST_NAMES = 12  # of features that a line or an error lists


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the user has said of the columns of a table.

    Attributes:
        features: Columns of numbers, with their order; none to guess them. One text may list several with commas, and
            so for the labels.
        key: Column that tells the sequences of a long table apart; None where it is not said.
        time: Column of times; None where it is not said.
        labels: Columns of what is to be predicted; none to guess it.
        sound: Samples a second if the sequences are sound, 0 to go by its files; None if they are none.
        each_step: Whether each step has a label of its own.
        keeps_times: Whether the times of a long table are kept, as they are written there.
        one: Whether rows of single numbers that no column tells apart may be the steps of one sequence.
    """

    features: tuple[str, ...] = ()
    key: str | None = None
    time: str | None = None
    labels: tuple[str, ...] = ()
    sound: int | None = None
    each_step: bool = False
    keeps_times: bool = False
    one: bool = False

    @property
    def says_numbers(self) -> bool:
        """Whether it is said that the table holds numbers."""
        return bool(self.features or self.key or self.time or self.sound is not None)


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What the columns of a table are.

    Attributes:
        features: Columns of numbers: of a long table one for each feature, otherwise columns of lists.
        key: Column that tells the sequences of a long table apart; None if each row holds a sequence, or all rows are
            one.
        time: Column by which the steps of a long table are put in order; None for the order of the rows.
        labels: Columns of what is to be predicted; none if it is not needed.
        unused: The other columns.
        sound: As in `Asked`; 0 where it is not known.
        each_step: As in `Asked`.
        keeps_times: As in `Asked`.
        one: Whether the rows of a long table are the steps of one sequence.
    """

    features: tuple[str, ...]
    key: str | None = None
    time: str | None = None
    labels: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    sound: int | None = None
    each_step: bool = False
    keeps_times: bool = False
    one: bool = False

    @property
    def long(self) -> bool:
        """Whether each row is a step, and not a sequence."""
        return self.one or self.key is not None

    @property
    def asked(self) -> Asked:
        """What to ask another table for, so that it is read in the same way."""
        names = ("features", "key", "time", "labels", "sound", "each_step", "keeps_times", "one")
        return Asked(**{name: getattr(self, name) for name in names})

    @property
    def needed(self) -> tuple[str, ...]:
        """All columns that are read."""
        return tuple(name for name in (*self.features, self.key, self.time, *self.labels) if name is not None)


@dataclass(frozen=True)
class Looks:
    """What the columns of a table look like.

    Attributes:
        by_name: "lists" of numbers, "number", "time", "text", or "" for anything else, by column.
        sample: Some values of each column; none of columns of Arrow that hold neither text nor number.
    """

    by_name: Mapping[str, str]
    sample: Mapping[str, Sequence[Any]]

    def those(self, look: str) -> list[str]:
        """Names the columns of a look."""
        return [name for name, found in self.by_name.items() if found == look]

    def listed(self) -> str:
        """Lists the columns for errors."""
        return "the columns are " + ", ".join(f"{name!r} ({_LOOKS[look]})" for name, look in self.by_name.items())


def look_of(values: Iterable[Any]) -> str:
    """Tells what a column looks like by its values; one of numbers may have a few cells that are none."""
    there = [value for value in values if value is not None and not (isinstance(value, str) and not value.strip())]
    if not there:
        return ""
    if all(isinstance(value, list) for value in there):
        try:
            return "lists" if any(steps_of(value, "").size for value in there) else ""
        except ValueError:
            return ""
    plain = [value for value in there if not (isinstance(value, str) and value.strip().lower() in MISSING)]
    if plain and sum(map(is_number_text, plain)) >= _MOSTLY * len(plain):
        return "number"
    if not all(isinstance(value, str) for value in there):
        return ""
    return "time" if all(moment_of(value.strip()) is not None for value in there) else "text"


def find_roles(looks: Looks, asked: Asked, *, need_label: bool) -> Roles:
    """Finds out what the columns are: what is asked for must be there, what is not is guessed where it is obvious.

    Args:
        looks: The columns.
        asked: What the user has said.
        need_label: Whether there must be labels.

    Raises:
        ValueError: A column is not there, has two roles, or cannot be guessed.
    """
    asked = split_names(asked, looks)
    for name in (*asked.features, asked.key, asked.time, *asked.labels):
        if name is not None and name not in looks.by_name:
            raise ValueError(f"there is no column {name!r}; {looks.listed()}")
    if asked.sound is not None:
        asked = replace(asked, features=(_find_sound(looks, asked),))
    long = asked.key is not None or not _holds_lists(looks, asked)
    key = _find_key(looks, asked) if long else None
    time = asked.time or (_by_name(looks, TIME_NAMES, {key, *asked.labels, *asked.features}) if long else None)
    if asked.time and not long:
        raise ValueError(
            f"--time {asked.time} orders the steps of a sequence: say with --key what tells sequences apart"
        )
    free = {name: looks.sample.get(name, ()) for name in looks.by_name if name not in {key, time, *asked.features}}
    labels = asked.labels or (_guess_labels(looks, free, long=long) if need_label else ())
    features = asked.features or _guess_features(looks, {key, time, *labels}, long=long)
    _check_apart(features=features, key=[key], time=[time], label=labels)
    roles = Roles(features=tuple(features), key=key, time=time, labels=tuple(labels), sound=asked.sound)
    one = long and key is None
    roles = replace(roles, each_step=asked.each_step, keeps_times=asked.keeps_times, one=one)
    return Roles(**vars(roles) | {"unused": tuple(name for name in looks.by_name if name not in roles.needed)})


def split_names(asked: Asked, looks: Looks) -> Asked:
    """Takes texts that list several columns apart."""
    columns = looks.by_name
    return replace(asked, features=names_in(asked.features, columns), labels=names_in(asked.labels, columns))


def _holds_lists(looks: Looks, asked: Asked) -> bool:
    """Whether each row holds a sequence."""
    if asked.features:
        return all(looks.by_name.get(name) != "number" for name in asked.features)
    return bool(looks.those("lists"))


def _find_sound(looks: Looks, asked: Asked) -> str:
    """Finds the column of clips: lists of samples, or names of files.

    Raises:
        ValueError: There is none or several, or rows are said to be steps.
    """
    if asked.key or asked.time:
        raise ValueError("a row of sound holds a whole clip, or the name of its file: leave --key and --time out")
    found = (
        [*asked.features]
        or looks.those("lists")
        or [
            name
            for name in looks.those("text")
            if all(is_sound_file(str(value)) for value in looks.sample[name] if value)
        ]
    )
    if len(found) != 1 or looks.by_name[found[0]] in {"number", "time"}:
        raise ValueError(
            f"there are {len(found)} columns of samples or of names of sound files, expected one: name it with "
            f"--features; {looks.listed()}"
        )
    return found[0]


def is_sound_file(name: str) -> bool:
    """Whether a name is that of a file of sound, by its suffix."""
    return name.lower().endswith(SOUND_SUFFIXES)


def _find_key(looks: Looks, asked: Asked) -> str | None:
    """Finds the column that tells the sequences of a long table apart; None if all rows are one sequence.

    Raises:
        ValueError: It is not obvious.
    """
    if asked.key is not None:
        return asked.key
    taken = {*asked.features, *asked.labels, asked.time}
    found = _by_name(looks, KEY_NAMES, taken)
    if found and _is_key(found, looks.sample[found]):
        return found
    if asked.one and (asked.features or not found):
        return None
    once = f", and in {found!r} no value comes again" if found else ""
    raise ValueError(
        f"each row holds single numbers{once}: name the column that tells the sequences apart with --key, such as a "
        f"session or a recording (if all rows are one sequence, add a column of one value); {looks.listed()}"
    )


def _is_key(name: str, values: Sequence[Any]) -> bool:
    """Whether a column tells sequences apart: by a sure name, or as its values come again."""
    sample = [str(value) for value in values[:_SAMPLE]]
    return plain_name(name) in KEY_NAMES[0] or len(set(sample)) <= _MOST_DIFFERENT * len(sample)


def _by_name(looks: Looks, names: Iterable[Iterable[str]], taken: Collection[str | None]) -> str | None:
    """Finds the one column with a usual name, of the surest kind that is there."""
    for row in names:
        found = [name for name in looks.by_name if plain_name(name) in row and name not in taken]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _guess_labels(looks: Looks, free: Mapping[str, Sequence[Any]], *, long: bool) -> tuple[str, ...]:
    """Finds the column of labels: by its name, or in a long table the only text; otherwise by its content.

    Raises:
        ValueError: It is not obvious.
    """
    usual = [name for name in free if any(plain_name(name) in row for row in LABEL_NAMES)]
    texts = [name for name in free if looks.by_name[name] == "text"]
    if long and not usual and len(texts) == 1:
        return (texts[0],)
    if long and not usual:
        raise ValueError(f"cannot tell which column holds the labels: name it with --label; {looks.listed()}")
    return (guess_label({name: values for name, values in free.items() if looks.by_name[name] != "lists"}),)


def _guess_features(looks: Looks, taken: Collection[str | None], *, long: bool) -> tuple[str, ...]:
    """Finds the columns of numbers; also those with a decimal comma, which reading them reports.

    Raises:
        ValueError: There is none.
    """
    meant = set(looks.those("number" if long else "lists"))
    meant |= {name for name in looks.those("text") if long and _has_decimal_commas(looks.sample[name])}
    found = tuple(name for name in looks.by_name if name in meant and name not in taken)
    if not found:
        what = "numbers" if long else "lists of numbers"
        raise ValueError(f"there is no column of {what} to learn from; {looks.listed()}")
    return found


def _has_decimal_commas(values: Sequence[Any]) -> bool:
    """Whether texts are numbers, but for their decimal sign."""
    there = [value for value in values if isinstance(value, str) and value.strip().lower() not in MISSING]
    numbers = sum(is_number_text(value) or DECIMAL_COMMA.fullmatch(value) is not None for value in there)
    return bool(there) and numbers >= _MOSTLY * len(there)


def _check_apart(**roles: Iterable[str | None]) -> None:
    """Checks that no column has two roles.

    Raises:
        ValueError: One has.
    """
    seen: dict[str, str] = {}
    for role, names in roles.items():
        for name in names:
            if name is not None and name in seen:
                both = f"as one of the {seen[name]} and as the {role}"
                raise ValueError(f"column {name!r} is given {both}, expected a column for each")
            if name is not None:
                seen[name] = role


def shortened(names: Sequence[str], write: Callable[[str], str] = repr) -> str:
    """Lists names, not too many, each as `write` does."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(map(write, names[:_MOST_NAMES])) + more


def reads_as_series(looks: Looks, *, one: bool = False) -> bool:
    """Whether a table obviously holds sequences of numbers and no texts: lists of numbers, or a long table of them.

    Args:
        looks: The columns.
        one: As in `Asked`.
    """
    named = [name for name in looks.by_name if any(plain_name(name) in row for row in TEXT_NAMES)]
    if any(looks.by_name[name] in {"number", "text"} for name in named):
        return False
    if any(reads_as_texts(looks.sample[name][:_SAMPLE]) for name in looks.those("text")):
        return False
    if looks.those("lists"):
        return True
    key = _by_name(looks, KEY_NAMES, ())
    numbers = [name for name in looks.those("number") if name != key]
    if one and not key:
        return bool(numbers) and not looks.those("text")
    return bool(key and numbers and _is_key(key, looks.sample[key]))
