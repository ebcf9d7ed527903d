"""Arguments and options of the commands."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tidegate.models.config import CELLS, CellName
from tidegate.ops.cells import GRU
from tidegate.ops.cells.gru import Candidate, GateActivation, Reset, Update
from tidegate.sequences.summaries import SUMMARIES, Summary
from tidegate.training.settings import ClassWeights

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file that `tidegate train` wrote.")]
LabelledArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="Labelled texts: CSV, TSV, JSON Lines or Parquet.")
]
TextsArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="CSV, TSV, JSON Lines, Parquet, .txt; - is standard input.")
]
TextOption = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the texts, if not obvious.")]
LabelOption = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the labels, if not obvious.")]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Threads to compute with.", show_default="all processors")
]


Kind = Literal["csv", "tsv", "jsonl", "lines"]
"""Kinds of tables that can be streamed."""

KindOption = Annotated[
    Kind | None,
    typer.Option("--from", help="What comes in; `lines` is one text a line.", show_default="by suffix; lines for -"),
]


def _option(panel: str, text: str, *names: str, **rest: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, **rest)


_DATA, _SIZES, _TRAINING = "Data", "What to train", "How to train"

ValidationOption = Annotated[
    str, _option(_DATA, "Share of each class to hold out, or a file to judge by.", metavar="SHARE|FILE")
]
VocabSizeOption = Annotated[int, _option(_DATA, "Most words to know.", min=3, metavar="N")]
MaxLengthOption = Annotated[int, _option(_DATA, "Words of a text to read; 0 for all.", min=0, metavar="N")]
VectorsOption = Annotated[
    Path | None,
    _option(_DATA, "Word vectors to start from: GloVe text, .npz or .safetensors.", metavar="FILE"),
]
FreezeOption = Annotated[bool, _option(_DATA, "Leave the word vectors as they are.", "--freeze")]

CellOption = Annotated[CellName, _option(_SIZES, f"{', '.join(CELLS)}.", metavar="NAME")]
ResetOption = Annotated[Reset, _option(_SIZES, "Reset gate of a GRU: after, or off (r = 1).", metavar="NAME")]
UpdateOption = Annotated[Update, _option(_SIZES, "Update gate of a GRU: on, or off (z = 0).", metavar="NAME")]
CandidateOption = Annotated[Candidate, _option(_SIZES, f"Of a GRU: {', '.join(GRU.choices['candidate'])}.", metavar="NAME")]
GateOption = Annotated[GateActivation, _option(_SIZES, f"Of a GRU: {', '.join(GRU.choices['gate'])}.", metavar="NAME")]
SummaryOption = Annotated[Summary, _option(_SIZES, f"Of its states: {', '.join(SUMMARIES)}.", metavar="NAME")]
EmbeddingSizeOption = Annotated[int, _option(_SIZES, "Numbers a word.", min=1, metavar="N")]
HiddenSizeOption = Annotated[int, _option(_SIZES, "Units of a layer.", min=1, metavar="N")]
NumLayersOption = Annotated[int, _option(_SIZES, "Layers.", min=1, metavar="N")]
BidirectionalOption = Annotated[bool, _option(_SIZES, "Read in both directions.", "--bidirectional")]
RateOption = Annotated[
    float | None, _option(_SIZES, "Growth factor of compounding.", metavar="X", show_default="learned")
]

EpochsOption = Annotated[
    int | None,
    _option(_TRAINING, "Most passes over the texts.", min=1, show_default="3; more for few texts", metavar="N"),
]
BatchSizeOption = Annotated[
    int | None, _option(_TRAINING, "Texts in a step.", min=1, show_default="64; 32 for few texts", metavar="N")
]
LearningRateOption = Annotated[
    float | None, _option(_TRAINING, "At its highest.", show_default="by cell", min=0, metavar="X")
]
DropoutOption = Annotated[float, _option(_TRAINING, "Share of features to leave out.", min=0, max=0.99, metavar="X")]
WordDropoutOption = Annotated[float, _option(_TRAINING, "Share of words to leave out.", min=0, max=0.99, metavar="X")]
WeightDecayOption = Annotated[float, _option(_TRAINING, "Of AdamW.", min=0, metavar="X")]
ClipOption = Annotated[float, _option(_TRAINING, "Largest norm of the gradient; 0: any.", min=0, metavar="X")]
PatienceOption = Annotated[
    int | None,
    _option(
        _TRAINING, "Epochs without a better score before stopping.", min=1, show_default="half of all", metavar="N"
    ),
]
ClassWeightsOption = Annotated[
    ClassWeights, _option(_TRAINING, "none, balanced, or auto: balanced from 3 : 1 on.", metavar="NAME")
]
ChronoOption = Annotated[
    float | None,
    _option(_TRAINING, "Longest memory, in words, that a GRU starts with.", min=2, show_default="torch's", metavar="T"),
]
NoBaselinesOption = Annotated[bool, _option(_TRAINING, "Skip the summaries without order.", "--no-baselines")]
OrthogonalOption = Annotated[
    bool, _option(_TRAINING, "Start the weights of the states as orthogonal matrices.", "--orthogonal")
]
WatchOption = Annotated[
    bool, _option(_TRAINING, "After each epoch, see whether gradients vanish or explode.", "--watch-gradients")
]
SeedOption = Annotated[int, _option(_TRAINING, "Of everything random.", min=0, metavar="N")]
