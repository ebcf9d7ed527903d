"""What a run leaves: its page, its numbers as JSON, its first picture, and a page that sums up all studies."""

import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import tidegate
from tidegate.data.outputs import Format, Output, contains, starts_with
from tidegate.files.writing import replacing
from tidegate.ops.processor import processor
from tidegate.study import QUESTIONS
from tidegate.study.findings import Figure, Findings, Row
from tidegate.study.frame import Setup, Study
from tidegate.study.page import html, remarks_on

_PACKAGES = ("tidegate", "torch", "numpy", "tokenizers", "pyarrow", "matplotlib")


def record(study: Study, setup: Setup, rows: Sequence[Row], findings: Findings, seconds: float, complete: bool) -> Row:
    """Collects what JSON keeps of a run, all that the HTML report says but the pictures.

    Args:
        study: What was run.
        setup: With what.
        rows: What was measured.
        findings: What follows.
        seconds: How long it took.
        complete: Whether it was run to its end.
    """
    return {
        "study": study.name,
        "title": study.title,
        "question": study.question,
        "method": study.method,
        "verdict": list(findings.verdict),
        "command": _command(study, setup),
        "quick": _quick(study, setup),
        "seeds": setup.seeds,
        "tuned": study.tuned,
        "settings": dict(setup.sizes),
        "machine": machine(),
        "versions": _versions(),
        "seconds": round(seconds, 1),
        "complete": complete,
        "tables": [
            {"title": t.title, "columns": list(t.columns), "rows": [list(row) for row in t.rows]}
            for t in findings.tables
        ],
        "rows": list(rows),
    }


def check_folder(folder: Path, study: Study, *, overwrite: bool) -> None:
    """Makes the folder of a report, and checks that its files will take the place of none but those of such reports.

    Args:
        folder: Where `write` is to write.
        study: What is to be run.
        overwrite: Whether other files may be replaced.

    Raises:
        OSError: A file is in the way, or they cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, expected a folder for the report")
    folder.mkdir(parents=True, exist_ok=True)
    for format_ in _FORMATS:
        stem = "index" if format_.name == "index" else study.name
        Output.of(folder / f"{stem}{format_.suffixes[0]}", [format_], overwrite=overwrite)


def write(folder: Path, kept: Row, figures: Sequence[Figure]) -> Path:
    """Writes NAME.html, NAME.json, the first figure as NAME.svg, and index.md, which sums up all studies of the folder.

    Args:
        folder: Where; it is made if need be.
        kept: What `record` returned.
        figures: The pictures.

    Returns:
        The HTML file.

    Raises:
        OSError: They cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{kept['study']}.html"
    _write(page, html(kept, figures))
    _write(page.with_suffix(".json"), json.dumps(_plain(kept), indent=1, ensure_ascii=False) + "\n")
    if figures:
        _write(page.with_suffix(".svg"), figures[0].svg)
    _write(folder / "index.md", index(folder))
    return page


def index(folder: Path) -> str:
    """Sums up the studies whose JSON is in a folder, as Markdown."""
    lines = ["# Studies", "", _INTRODUCTION, ""]
    for name in QUESTIONS:
        path = folder / f"{name}.json"
        if path.is_file():
            lines += _summary(json.loads(path.read_text(encoding="utf-8")), (folder / f"{name}.svg").is_file())
    return "\n".join(lines).rstrip() + "\n"


_INTRODUCTION = """\
Questions about recurrent networks, answered by experiment. Each answer is the verdict that its command has drawn from
the numbers; the full report, with figures, tables and settings, and the numbers as JSON stand beside it. Sentences that
compare rest on 95 % intervals over seeds. This page too is written by `tidegate study`."""

_FORMATS = (
    Format("report", "a report of tidegate study", (".html",), contains(b"a study by tidegate</title>")),
    Format("numbers", "the numbers of tidegate study", (".json",), contains(b'"study": ')),
    Format("figure", "a figure of tidegate study", (".svg",), starts_with(b"<?xml", b"<svg")),
    Format("index", "an index of tidegate study", (".md",), starts_with(f"# Studies\n\n{_INTRODUCTION[:60]}".encode())),
)


def _summary(kept: Row, pictured: bool) -> list[str]:
    name = kept["study"]
    remarks = [line for remark in remarks_on(kept) for line in (f"*{remark}*", "")]
    picture = [f"![{kept['title']}]({name}.svg)", ""] if pictured else []
    made = f"{kept['seeds']} seeds, {kept['seconds'] / 60:.1f} minutes on {kept['machine']}"
    return [
        *(f"## {kept['title']}", "", f"**{kept['question']}**", "", *remarks),
        *(line for sentence in kept["verdict"] for line in (f"- {sentence}",)),
        *("", *picture, f"`{kept['command']}`: {made}. [Report]({name}.html), [numbers]({name}.json).", ""),
    ]


def machine() -> str:
    """Names the processor, how many there are, and the instruction set and threads of the kernels."""
    threads = tidegate.get_num_threads()
    return f"{processor()}, {tidegate.isas()[0]}, {threads} thread{'' if threads == 1 else 's'}"


def _quick(study: Study, setup: Setup) -> bool:
    """Says whether a run has the sizes of a quick one."""
    return dict(setup.sizes) == study.setup(quick=True).sizes


def _command(study: Study, setup: Setup) -> str:
    """Names the command that makes such a run."""
    quick = _quick(study, setup)
    seeds = f" --seeds {setup.seeds}" if setup.seeds != study.setup(quick=quick).seeds else ""
    return f"tidegate study {study.name}{' --quick' if quick else ''}{seeds}"


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())


def _plain(value: Any) -> Any:
    """Returns what JSON holds: numbers of numpy as plain ones, and None for those that are not finite."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
