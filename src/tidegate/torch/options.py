"""The options of a layer as an operation of torch, in one text."""

from functools import lru_cache
from typing import NamedTuple, Self

from tidegate.ops.checks import check_choice, check_recompute


class Options(NamedTuple):
    """What a layer needs beside its tensors. The operations take it as a text, which `read` reads.

        >>> options = Options("gru reset=off", recompute_every=100, keep=True)
        >>> options.text
        'gru reset=off, recompute_every=100, keep=True'
        >>> Options.read(options.text) == options
        True

    Attributes:
        cell: The text of the cell.
        episode_state: What an episode starts from, "zeros" or "h0".
        recompute_every: Steps of a segment whose gates the backward pass computes again; None for any number.
        keep: Whether the forward pass keeps what the backward pass reads, which is otherwise computed again.
        need_dx: Whether the backward pass computes the gradient by x.
        need_dstates: Whether it computes those by the initial states, if there are any.
        bfloat16: Whether what is multiplied is rounded to bfloat16, where the processor multiplies that.
    """

    cell: str
    episode_state: str = "zeros"
    recompute_every: int | None = None
    keep: bool = False
    need_dx: bool = True
    need_dstates: bool = True
    bfloat16: bool = False

    @property
    def text(self) -> str:
        """The text."""
        parts = [self.cell]
        if self.episode_state != "zeros":
            parts.append(f"episode_state={self.episode_state}")
        if self.recompute_every is not None:
            parts.append(f"recompute_every={self.recompute_every}")
        if self.keep:
            parts.append("keep=True")
        if not self.need_dx:
            parts.append("need_dx=False")
        if not self.need_dstates:
            parts.append("need_dstates=False")
        if self.bfloat16:
            parts.append("bfloat16=True")
        return ", ".join(parts)

    @classmethod
    def read(cls, text: str) -> Self:
        """Reads a text of options.

        Raises:
            ValueError: It holds something else.
        """
        return cls(*_read(text))


@lru_cache
def _read(text: str) -> Options:
    cell, *parts = text.split(", ")
    given = dict(part.partition("=")[::2] for part in parts)
    for name in given:
        check_choice("an option", name, Options._fields[1:])
    for name in ("keep", "need_dx", "need_dstates", "bfloat16"):
        check_choice(name, given.get(name, "True"), ("True", "False"))
    every = int(given["recompute_every"]) if "recompute_every" in given else None
    check_recompute(every)
    return Options(
        cell,
        given.get("episode_state", "zeros"),
        every,
        keep=given.get("keep", "False") == "True",
        need_dx=given.get("need_dx", "True") == "True",
        need_dstates=given.get("need_dstates", "True") == "True",
        bfloat16=given.get("bfloat16", "False") == "True",
    )
