"""`tidegate info`: what runs here, and what is in a model file."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

import tidegate
from tidegate.characters import visible
from tidegate.cli.console import show_facts
from tidegate.data.series.roles import shortened
from tidegate.models.architecture import Architecture
from tidegate.models.config import SequenceConfig
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel
from tidegate.ops.cells import Cell
from tidegate.ops.processor import processor

_EXTRAS = {
    "train": ("torch", "scikit-learn", "scipy", "pyarrow"),
    "cli": ("typer", "rich", "pyarrow"),
    "plot": ("matplotlib",),
    "serve": ("fastapi", "uvicorn"),
    "sklearn": ("scikit-learn",),
    "convert": ("onnx", "onnxruntime", "h5py"),
}


def info(
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="A model file; without one, what runs on this machine.")
    ] = None,
) -> None:
    """Show versions, instruction sets and threads, or what is in a model."""
    show_facts(_machine() if model is None else _facts(model, tidegate.load(model)))


def _machine() -> list[tuple[str, str]]:
    used = os.environ.get("TIDEGATE_ISA") or tidegate.isas()[0]
    sets = ", ".join(f"{isa} (used)" if isa == used else isa for isa in tidegate.isas())
    facts = [
        ("tidegate", version("tidegate")),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("processor", processor()),
        ("instruction sets", sets),
        ("threads", str(tidegate.get_num_threads())),
    ]
    for extra, packages in _EXTRAS.items():
        found = {package: _version(package) for package in packages}
        line = ", ".join(f"{package} {found[package] or 'missing'}" for package in packages)
        hint = "" if all(found.values()) else f"  →  pip install 'tidegate[{extra}]'"
        facts.append((f"extra {extra}", line + hint))
    return facts


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _task(model: Network) -> str:
    """Says what a model predicts, with the options of `train` that ask for it where the task has no other name."""
    aim = model.config.aim
    if isinstance(model, TextModel) and aim.reads_tokens:
        unit = model.tokenizer.unit
        return f"next {unit} (--task next{f' --tokens {unit}' * (unit != 'words')})"
    if aim.foresees:
        return f"next steps{' of 0 and 1' * aim.has_probabilities} (--task next)"
    return "a label for each step (--label-per-step)" if aim.labels_steps else aim.name


def _input(config: Architecture) -> str:
    """Describes a step of what a model reads that reads no texts."""
    if not isinstance(config, SequenceConfig):
        return f"{config.input_size} numbers per step"
    if config.front_end:
        column = f"column {config.columns[0]!r}, " * bool(config.columns)
        return f"{column}sound of {config.front_end.sample_rate:,} samples a second, as {config.frontend}"
    gaps = f", {len(config.missing)} of which may be missing" if config.missing else ""
    named = f": {shortened(config.feature_names)}" if config.columns else ""
    return f"{config.features} features per step{gaps}{named}"


def _columns(config: SequenceConfig) -> list[tuple[str, str]]:
    """Says in which columns of a table a model looks for its sequences."""
    roles = {"key": config.key, "time": config.time, "labels": config.target}
    named = ", ".join(f"{role} {name!r}" for role, name in roles.items() if name is not None)
    return [("columns", named)] if named else []


def _facts(path: Path, model: Network) -> list[tuple[str, str]]:
    config, reader = model.config, model.config.reader
    facts = [
        ("file", f"{path}, {path.stat().st_size / 1e6:.1f} MB"),
        ("cell", reader.full_title if isinstance(reader, Cell) else reader.title),
        ("task", _task(model)),
    ]
    if not config.aim.reads_tokens:  # else they are the vocabulary
        facts.append((config.aim.noun, shortened(model.labels, visible)))
    facts += _words(model) if isinstance(model, TextModel) else [("input", _input(config))]
    if isinstance(config, SequenceConfig):
        facts += _columns(config)
    if config.recurrent:
        layers = f"{config.num_layers} × {config.hidden_size} units" + ", both directions" * config.bidirectional
        facts += [("layers", layers), ("summary", config.summary)]
    sizes = {name: array.size for name, array in model.arrays.items()}
    parts = [f"{prefix} {sum(n for k, n in sizes.items() if k.startswith(prefix)):,}" for prefix in _parts(sizes)]
    if isinstance(model, TextModel) and model.config.ngrams:
        beside = f", and runs of letters in {model.config.ngram_letters:,} buckets" * bool(model.config.ngram_letters)
        facts.append(("n-grams", f"{model.config.ngrams:,} of up to {model.config.ngram_order} words{beside}"))
    facts += [
        ("vector", f"{config.summary_size} numbers"),
        ("parameters", f"{sum(sizes.values()):,}: {', '.join(parts)}"),
        ("weights", _numbers(model)),
        ("made by", ", ".join(f"{name} {number}" for name, number in model.versions.items())),
    ]
    return facts + _scores(model.metrics)


def _words(model: TextModel) -> list[tuple[str, str]]:
    config, unit = model.config, model.tokenizer.unit
    return [
        ("vocabulary", f"{config.vocab_size:,} {unit}: {' '.join(map(visible, model.vocabulary[2:14]))} …"),
        ("longest text", f"{config.max_length:,} {unit}" if config.max_length else "no limit"),
        ("embedding", f"{config.embedding_size} numbers for each"),
    ]


def _numbers(model: Network) -> str:
    """Says which numbers the arrays consist of."""
    dtypes = dict.fromkeys(array.dtype for array in model.small.values())
    return " and ".join((*dtypes, "float32" if not dtypes else "float32 for the rest"))


def _parts(sizes: dict[str, int]) -> list[str]:
    return list(dict.fromkeys(name.split(".")[0] for name in sizes))


def _scores(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """Lists the figures that are plain numbers; the others are long."""
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    line = ", ".join(f"{name} {value:{'' if isinstance(value, int) else '.4g'}}" for name, value in numbers.items())
    return [("validation", line)] if line else []
