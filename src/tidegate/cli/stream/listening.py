"""What `tidegate stream` listens to: which columns of what kind of lines, or sound."""

from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from typing import Annotated, Any

import typer

from tidegate.cli.groups import Option
from tidegate.cli.options import Kind, TextOption
from tidegate.cli.stream.incoming import Incoming, kind_of_numbers, kind_of_texts, samples_in, steps_in, texts_in
from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel

_EVERY = 1.0  # seconds of sound

LISTENING_OPTIONS = {
    "key": Option(
        Annotated[
            str | None,
            typer.Option(
                metavar="COLUMN",
                help="Column, or field such as user.id, that says whose line it is; those without one share a session.",
                show_default="of numbers that of the training, if it is there",
            ),
        ],
        None,
    ),
    "text": Option(TextOption, None),
    "features": Option(
        Annotated[
            list[str] | None,
            typer.Option(metavar="COLUMNS", help="Of numbers: their columns.", show_default="as in training"),
        ],
        None,
    ),
    "kind": Option(
        Annotated[
            Kind | None,
            typer.Option(
                "--from",
                help="What comes in.",
                show_default="jsonl if it begins with { or RFC 7464's mark, else lines; of numbers csv if with names",
            ),
        ],
        None,
    ),
    "every": Option(
        Annotated[
            float | None,
            typer.Option(
                metavar="SECONDS", help="Of sound: how much comes between two answers.", show_default=str(_EVERY)
            ),
        ],
        None,
    ),
}
"""What `Listening` calls the same."""


@dataclass(frozen=True)
class Listening:
    """What the user has said of what comes in.

    Attributes:
        key: Column that tells sessions apart; None where it is not said, and so for the others.
        text: Column of texts.
        features: Columns of numbers.
        kind: What the lines look like; of sound none, if it is not lists of samples.
        every: Seconds of sound between two answers.
    """

    key: str | None = None
    text: str | None = None
    features: Sequence[str] | None = None
    kind: Kind | None = None
    every: float | None = None

    def check(self, model: Network) -> None:
        """Checks that nothing is said that the model has no use for.

        Raises:
            ValueError: Something is.
        """
        useless: tuple[str, ...] = ("text", "every")
        why = "what comes in are lines of numbers"
        if not isinstance(model, SequenceModel):
            useless, why = ("features", "every"), "the model reads texts"
        elif self._hears(model):
            useless, why = ("text", "features", "key"), "what comes in is sound (--from jsonl reads lists of samples)"
        for name in useless:
            if getattr(self, name) is not None:
                raise ValueError(f"--{name} is given, but {why}")
        if self.every is not None and not self.every > 0:
            raise ValueError(f"--every is {self.every}, expected seconds above 0")

    def parts(self, model: Network, source: BufferedReader) -> Iterator[Incoming]:
        """Reads what comes in, part by part.

        Args:
            model: What it is for.
            source: Where it comes in.

        Raises:
            ValueError: It is damaged, or the model cannot read it.
        """
        if self._hears(model):
            return samples_in(source, model.front_end.sample_rate, self.every or _EVERY)  # type: ignore[attr-defined]
        begins = source.peek(1).removeprefix(BOM_UTF8)  # more of them would have to be waited for
        if not isinstance(model, SequenceModel):
            return texts_in(source, self.kind or kind_of_texts(begins), self.text)
        kind = self.kind or kind_of_numbers(begins)
        return steps_in(model, source, kind, self.features, self.key or model.config.key)

    def _hears(self, model: Network) -> bool:
        """Whether what comes in are the samples of a sound."""
        return model.reads_sound and self.kind is None

    def key_in(self, model: Any, first: Incoming) -> str | None:
        """Finds the column that tells sessions apart: the one that is named, or that of the training if it is there.

        Raises:
            ValueError: There is no column of this name.
        """
        usual, columns = getattr(model.config, "key", None), first.columns
        if self.key is None:
            return usual if usual in columns else None
        if not {self.key, self.key.partition(".")[0]} & columns.keys():
            raise ValueError(f"there is no column {self.key!r} to tell sessions apart, only {', '.join(columns)}")
        return self.key
