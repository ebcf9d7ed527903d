"""What decides the result of a run: data, settings and versions, to tell whether a checkpoint may be continued."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import chain
from typing import Any

import numpy.typing as npt

from tidegate.files.digests import digest
from tidegate.models.architecture import Architecture
from tidegate.text.vectors import WordVectors
from tidegate.training.data.examples import Examples, TextExamples
from tidegate.training.settings import Settings

_DIGEST = "sha256:"
_NAMED_APART = ("labels", "classes", "rate")


def fingerprint(
    examples: Examples,
    config: Architecture,
    settings: Settings,
    vectors: WordVectors | None = None,
    beside: Sequence[Architecture] = (),
) -> dict[str, Any]:
    """Describes everything that decides the weights, ready for JSON; large things by a digest.

    The number of threads is not part of it: it changes no bit.

    Args:
        examples: What is trained on.
        config: What is trained.
        settings: How it is trained.
        vectors: Word vectors to start from.
        beside: What else the run trains.
    """
    schedule = examples.schedule(settings, config)._asdict()
    schedule.pop("steps")
    sizes = {field.name: getattr(config, field.name) for field in fields(config) if field.name not in _NAMED_APART}
    described: dict[str, Any] = {
        "training data": _digest(examples.source.described()),
        "validation data": _digest(examples.validation.described()),
        "labels": _digest([repr((examples.labels, examples.classes))]),
        "baselines": ", ".join(other.cell for other in beside) or None,
        **sizes,
        "rate": next((one.rate for one in (config, *beside) if one.rate is not None), None),
        **asdict(settings),
        **schedule,
        "word vectors": _digest(["\n".join(vectors.words), vectors.vectors]) if vectors else None,
    }
    if examples.spool:
        described["bytes of a pool, 1/32 of the memory,"] = examples.spool.pool_bytes  # on which the order depends
    if isinstance(examples, TextExamples):
        described["vocabulary"] = _digest([examples.tokenizer.to_json()])
    # Its packages take more memory than a small model, and `import tidegate` comes by here.
    from importlib.metadata import version  # noqa: PLC0415

    return described | {name: version(name) for name in ("tidegate", "torch", "numpy")}


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Says in which points two fingerprints differ.

    Example:
        >>> differences({"epochs": 3, "seed": 0}, {"epochs": 4, "seed": 0})
        ['epochs is 3 there and 4 here']
    """
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    return [_difference(name, there.get(name), here.get(name)) for name in names]


def _difference(name: str, there: Any, here: Any) -> str:
    if any(str(value).startswith(_DIGEST) for value in (there, here)):
        return f"other {name}"
    return f"{name} is {there} there and {here} here"


def _digest(parts: Iterable[str | npt.NDArray[Any]]) -> str:
    """Computes the digest of texts and arrays, whose types and shapes count."""
    return _DIGEST + digest(chain.from_iterable(_described(part) for part in parts))


def _described(part: str | npt.NDArray[Any]) -> list[str | npt.NDArray[Any]]:
    return [part] if isinstance(part, str) else [repr((part.dtype.str, part.shape)), part]
