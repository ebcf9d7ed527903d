"""`tidegate compress`: a smaller model file, as good on labelled texts as the one before."""

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any, Literal

import numpy as np
import typer

import tidegate
from tidegate.cli import outputs
from tidegate.cli.console import note, show_table
from tidegate.cli.groups import grouped
from tidegate.cli.options import READ_LABELLED_OPTIONS, KindOption, ModelArgument, OverwriteOption, ThreadsOption
from tidegate.cli.reading.inputs import Columns, judge, load_model, read_known
from tidegate.sequences.recurrent import Recurrent

_ROUNDS, _CALLS = 9, 20  # of the steps that are timed
_ERRORS = ("nats",)  # figures that are the better the smaller they are


@grouped("columns", READ_LABELLED_OPTIONS, Columns.labelled)
def compress(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the smaller model.")],
    to: Annotated[Literal["int8", "bfloat16"], typer.Option(help="What to keep the weights in.")] = "int8",
    check: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Labelled rows that say whether the model is still as good."),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0, metavar="POINTS", help="How much accuracy or R² may be lost, of 100 points; of nats, hundredths."
        ),
    ] = 0.2,
    columns: Any = None,
    kind: KindOption = None,
    overwrite: OverwriteOption = False,
    threads: ThreadsOption = None,
) -> None:
    """Keep the weights of a model in fewer bits: a smaller file, faster steps.

    Size, time of a step and accuracy are shown, before and after. Nothing is written if the accuracy (or R²) on the
    file of --check falls by more than --tolerance.
    """
    target = outputs.output(output, (outputs.MODEL,), (model, check), overwrite=overwrite)
    if threads:
        tidegate.set_num_threads(threads)
    before: Any = load_model(model) if check else tidegate.load(model)
    if before.small:
        raise ValueError(f"{model} is compressed already: compress the model that it was made of")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        before.compress(to).save(file)
        after, sizes = tidegate.load(file), (model.stat().st_size, file.stat().st_size)
    rows = [("size", *(f"{size / 1e6:.2f} MB" for size in sizes), f"{sizes[0] / sizes[1]:.1f} × smaller")]
    if before.stack and after.stack:
        times = _step_times(before.stack, after.stack)
        rows.append(("one step", *(f"{t * 1e6:.1f} µs" for t in times), f"{times[0] / times[1]:.1f} × as fast"))
    lost = 0.0
    if check:
        known = read_known(before, check, kind, columns, others=False)
        reports = [judge(network, known, str(check)).report() for network in (before, after)]
        measure, title = next(iter(reports[0].shown.items()))
        scores = [getattr(report, measure) for report in reports]
        change = 100 * (scores[1] - scores[0])
        lost, moves = (change, "rises") if measure in _ERRORS else (-change, "falls")
        rows.append((title, *(f"{score:.4f}" for score in scores), f"{round(change, 2) + 0.0:+.2f} points"))  # never -0
    show_table(("", "float32", to, ""), rows)
    if lost > tolerance + 1e-9:
        raise ValueError(
            f"with {to} the {title} on {check} {moves} by {lost:.2f} points, and --tolerance allows {tolerance:g}: "
            f"{target.path} is not written"
        )
    after.save(target.path)
    note(f"wrote {target.path}" + ("" if check else ", whose accuracy nobody has looked at: --check FILE does"))


def _step_times(*stacks: Recurrent) -> tuple[float, ...]:
    """Measures a step of one sequence through each of some stacks, in turns, in seconds."""
    x = np.random.default_rng(0).standard_normal(stacks[0].input_size).astype(np.float32)
    times: list[list[float]] = [[] for _ in stacks]
    for _ in range(_ROUNDS):
        for stack, of_stack in zip(stacks, times, strict=True):
            h = stack.outputs(x[None, None])[1][..., 0, :]
            start = perf_counter()
            for _ in range(_CALLS):
                if stack.bidirectional:  # such a stack reads whole sequences, here of one step
                    stack.outputs(x[None, None])
                else:
                    h = stack.step(x, h)
            of_stack.append((perf_counter() - start) / _CALLS)
    return tuple(median(each) for each in times)
