"""Arguments and options of the commands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tidegate.cli.groups import Option
from tidegate.files.remote import is_url
from tidegate.models.architecture import cell_names
from tidegate.sequences.summaries import SUMMARIES, Summary
from tidegate.training.checkpoints import EVERY
from tidegate.training.data.examples import MAX_LENGTH
from tidegate.training.data.examples import SIZES as DEFAULT_SIZES
from tidegate.training.data.next_tokens import BPTT
from tidegate.training.data.vocabulary import VOCAB_SIZE
from tidegate.training.settings import MOST_NOISE, VECTOR_DROPOUT, WORD_DROPOUT, ClassWeights, Loss, Settings

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file that `tidegate train` wrote.")]


def a_table(name: str) -> Path | str:
    """Returns the path of a table, or its address, which is none."""
    return name if is_url(name) else Path(name)


LabelledArgument = Annotated[
    Any,
    typer.Argument(
        metavar="FILE",
        help="Labelled texts or numbers: CSV, TSV, JSON, Parquet, fastText; a folder, a pattern; or their address.",
        parser=a_table,
    ),
]
TextsArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="CSV, TSV, JSON, Parquet, .txt; a folder; - is standard input.")
]
TextOption = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the texts, if not obvious.")]
LabelOption = Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="Column of the labels, if not obvious.")]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Threads to compute with.", show_default="all processors")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Continue a run that was interrupted, from its last checkpoint.")
]
CheckpointEveryOption = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="Time between two checkpoints; 0 for one after each step.")
]
PLACE_OPTIONS = {
    "threads": Option(ThreadsOption, None),
    "workers": Option(
        Annotated[
            int | None,
            typer.Option(
                min=1, metavar="N", help="Processes of the cluster, each of --threads.", show_default="as many as fit"
            ),
        ],
        None,
    ),
    "ray_address": Option(
        Annotated[
            str | None,
            typer.Option(
                metavar="ADDRESS", help="Compute on a Ray cluster: auto, ray://HOST:PORT, or local for one here."
            ),
        ],
        None,
    ),
}
"""What `tidegate.cli.places.Place` calls the same."""
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a file of another kind, too.")]


Kind = Literal["csv", "tsv", "jsonl", "lines", "fasttext"]
"""Kinds of tables that can be streamed."""

KindOption = Annotated[
    Kind | None,
    typer.Option(
        "--from", help="What comes in; `lines` is one text a line.", show_default="by how it begins, and by suffix"
    ),
]


_AS_IN_TRAINING = "Of sequences of numbers, if another one than in training."
READ_OPTIONS = {
    "text": Option(TextOption, None),
    "key": Option(Annotated[str | None, typer.Option(metavar="COLUMN", help="Of numbers: as in training.")], None),
    "time": Option(Annotated[str | None, typer.Option(metavar="COLUMN", help="Of numbers: as in training.")], None),
    "features": Option(
        Annotated[list[str] | None, typer.Option(metavar="COLUMNS", help="Of numbers: as in training.")], None
    ),
}
"""Which columns a model reads; what is not said is as in training."""
READ_LABELLED_OPTIONS = {
    "label": Option(LabelOption, None),
    "multi_label": Option(
        Annotated[
            str | None,
            typer.Option(
                metavar="SEPARATOR", help="What stands between several labels of a cell.", show_default="as in training"
            ),
        ],
        None,
    ),
} | READ_OPTIONS


def joined(columns: Sequence[str] | None) -> str | None:
    """Writes the names of columns, of which one is given each time, as one text with commas between them."""
    return ",".join(columns) if columns else None


def _option(panel: str, text: str, *names: str, **rest: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, **rest)


DATA, SIZES, TRAINING = "Data", "What to train", "How to train"

WANTED_OPTIONS = {
    "task": Option(
        Annotated[
            Literal["auto", "classification", "multi-label", "regression", "next"],
            _option(
                DATA,
                "What is predicted: one class, several labels, numbers, or the next steps or words.",
                metavar="NAME",
                show_default="numbers if they have fractions, else a class",
            ),
        ],
        "auto",
    ),
    "multi_label": Option(
        Annotated[
            str | None,
            _option(DATA, "What stands between the labels of a cell, if there are several: '|'.", metavar="SEPARATOR"),
        ],
        None,
    ),
    "quantiles": Option(
        Annotated[
            str | None,
            _option(DATA, "Of a regression: predict these quantiles, such as 0.1,0.5,0.9.", metavar="LEVELS"),
        ],
        None,
    ),
    "horizon": Option(
        Annotated[int, _option(DATA, "Steps to predict after each step (--task next).", min=1, metavar="H")], 1
    ),
    "label_per_step": Option(
        Annotated[
            bool, _option(DATA, "Each step of a sequence of numbers has a label of its own.", "--label-per-step")
        ],
        False,
    ),
    "residual": Option(
        Annotated[
            bool | None,
            _option(
                DATA, "Predict steps as changes of the last one.", "--residual/--no-residual", show_default="by data"
            ),
        ],
        None,
    ),
}
"""What `tidegate.cli.reading.targets.Wanted` calls the same."""
COLUMN_OPTIONS = {
    "key": Option(
        Annotated[
            str | None, _option(DATA, "Column that tells sequences apart, if a row holds one step.", metavar="COLUMN")
        ],
        None,
    ),
    "time": Option(
        Annotated[str | None, _option(DATA, "Column that orders the steps of a sequence.", metavar="COLUMN")], None
    ),
    "features": Option(
        Annotated[
            list[str] | None,
            _option(DATA, "Columns of numbers or lists, with commas, or one each time.", metavar="COLUMNS"),
        ],
        None,
    ),
    "frontend": Option(
        Annotated[
            str | None,
            _option(
                DATA,
                'Of sound: "logmel", or with what is not standard, as "logmel sample_rate=8000 n_mels=64".',
                metavar="TEXT",
            ),
        ],
        None,
    ),
}
"""What `tidegate.data.series.Asked` calls the same, and what makes frames of sound."""

ValidationOption = Annotated[
    str,
    _option(
        DATA,
        "Share of each class to hold out, or a file to validate with.",
        metavar="SHARE|FILE",
    ),
]
WORD_OPTIONS = {
    "vocab_size": Option(
        Annotated[int, _option(DATA, "Largest vocabulary, in words.", min=3, metavar="N")], VOCAB_SIZE
    ),
    "max_length": Option(
        Annotated[int, _option(DATA, "Words of a text to read; 0 for all.", min=0, metavar="N")], MAX_LENGTH
    ),
    "tokens": Option(
        Annotated[
            Literal["words", "characters"],
            _option(DATA, "What is predicted one after the other (--task next): words or characters.", metavar="NAME"),
        ],
        "words",
    ),
    "bptt": Option(
        Annotated[int, _option(DATA, "Tokens that gradients reach back (--task next of texts).", min=1, metavar="N")],
        BPTT,
    ),
    "pretrain": Option(
        Annotated[
            bool, _option(TRAINING, "Learn to foresee the words of the texts first; pays on long texts.", "--pretrain")
        ],
        False,
    ),
    "more_texts": Option(
        Annotated[
            Path | None,
            _option(DATA, "More texts to pretrain on, without labels; means --pretrain.", metavar="FILE"),
        ],
        None,
    ),
    "vectors": Option(
        Annotated[
            Path | None,
            _option(
                DATA,
                "Word vectors to start from: of GloVe, word2vec, fastText or floret, .npz or .safetensors; also "
                "compressed.",
                metavar="FILE",
            ),
        ],
        None,
    ),
    "parts": Option(
        Annotated[
            str,
            _option(
                SIZES,
                "What the answer is a sum of: network (or its cell's name), ngrams, or both with a comma.",
                metavar="NAMES",
                show_default="both, less what held-out texts do not need",
            ),
        ],
        "auto",
    ),
}
"""Of texts alone."""

CellOption = Annotated[str, _option(SIZES, f"{', '.join(cell_names())}.", metavar="NAME")]
RUN_OPTIONS = {
    "no_baselines": Option(
        Annotated[bool, _option(SIZES, "Do not train the baselines, the average and compounding.", "--no-baselines")],
        False,
    ),
    "memory": Option(
        Annotated[
            str | None,
            typer.Option(
                metavar="SIZE",
                help="Memory to train in, such as 2GB: larger data is read part by part and kept on the disk.",
                show_default="half of what the machine has",
            ),
        ],
        None,
    ),
    "workers": Option(
        Annotated[int, typer.Option(min=1, metavar="N", help="Processes that train together and share the threads.")],
        1,
    ),
    "autotune_minutes": Option(
        Annotated[
            float,
            _option(TRAINING, "First try other settings on held-out rows for so long; see tune.", min=0, metavar="N"),
        ],
        0.0,
    ),
    "ray_address": Option(
        Annotated[
            str | None,
            typer.Option(
                metavar="ADDRESS", help="Train on a Ray cluster: auto, ray://HOST:PORT, or local for one here."
            ),
        ],
        None,
    ),
    "storage": Option(
        Annotated[
            str | None,
            typer.Option(metavar="FOLDER", help="Where a run on a cluster keeps checkpoints: a folder or an address."),
        ],
        None,
    ),
    "resume": Option(ResumeOption, False),
    "checkpoint_every": Option(CheckpointEveryOption, EVERY),
}
"""How a run is done."""

SIZE_OPTIONS = {
    "summary": Option(
        Annotated[Summary, _option(SIZES, f"How outputs are pooled: {', '.join(SUMMARIES)}.", metavar="NAME")],
        DEFAULT_SIZES["summary"],
    ),
    "embedding_size": Option(
        Annotated[int, _option(SIZES, "Size of a word vector.", min=1, metavar="N")], DEFAULT_SIZES["embedding_size"]
    ),
    "hidden_size": Option(
        Annotated[int, _option(SIZES, "Units of a layer.", min=1, metavar="N")], DEFAULT_SIZES["hidden_size"]
    ),
    "num_layers": Option(Annotated[int, _option(SIZES, "Layers.", min=1, metavar="N")], 1),
    "bidirectional": Option(Annotated[bool, _option(SIZES, "Read in both directions.", "--bidirectional")], False),
    "rate": Option(
        Annotated[float | None, _option(SIZES, "Growth factor of compounding.", metavar="X", show_default="learned")],
        None,
    ),
}
"""What `Architecture` calls the same."""

_STANDARD = Settings()
_SETTINGS: dict[str, Any] = {
    "epochs": Annotated[
        int | None,
        _option(TRAINING, "Most passes over the texts.", min=1, show_default="3; more for few texts", metavar="N"),
    ],
    "batch_size": Annotated[
        int | None, _option(TRAINING, "Texts in a step.", min=1, show_default="64; 128 or 32 for fewer", metavar="N")
    ],
    "learning_rate": Annotated[
        float | None, _option(TRAINING, "Peak learning rate.", show_default="by cell", min=0, metavar="X")
    ],
    "dropout": Annotated[
        float | None,
        _option(
            TRAINING,
            "Share of features to leave out.",
            min=0,
            max=0.99,
            metavar="X",
            show_default=f"{_STANDARD.dropout}; {VECTOR_DROPOUT} of numbers and next words",
        ),
    ],
    "word_dropout": Annotated[
        float | None,
        _option(
            TRAINING,
            "Share of words replaced by the unknown word.",
            min=0,
            max=0.99,
            show_default=f"{WORD_DROPOUT}; 0 for --task next",
            metavar="X",
        ),
    ],
    "noise": Annotated[
        float,
        _option(
            TRAINING,
            "Standard deviation of noise added to scaled numbers; 0.5 helps few sequences.",
            min=0,
            max=MOST_NOISE,
            metavar="X",
        ),
    ],
    "weight_decay": Annotated[float, _option(TRAINING, "Weight decay of AdamW.", min=0, metavar="X")],
    "clip": Annotated[float, _option(TRAINING, "Largest norm of the gradient; 0: any.", min=0, metavar="X")],
    "patience": Annotated[
        int | None,
        _option(
            TRAINING, "Epochs without a better score before stopping.", min=1, show_default="half of all", metavar="N"
        ),
    ],
    "class_weights": Annotated[
        ClassWeights, _option(TRAINING, "none, balanced, or auto: balanced if 3 : 1 or more.", metavar="NAME")
    ],
    "loss": Annotated[
        Loss, _option(TRAINING, "huber: errors of numbers beyond a deviation count less.", metavar="NAME")
    ],
    "freeze": Annotated[bool, _option(DATA, "Do not train the word vectors.", "--freeze")],
    "chrono": Annotated[
        float | None,
        _option(TRAINING, "Longest memory, in words, to start with.", min=2, show_default="torch's", metavar="T"),
    ],
    "orthogonal": Annotated[
        bool, _option(TRAINING, "Start the weights of the states as orthogonal matrices.", "--orthogonal")
    ],
    "watch_gradients": Annotated[
        bool, _option(TRAINING, "After each epoch, see whether gradients vanish or explode.", "--watch-gradients")
    ],
    "seed": Annotated[int, _option(TRAINING, "Random seed.", min=0, metavar="N")],
}
SETTING_OPTIONS = {
    name: Option(details, None if name == "dropout" else getattr(_STANDARD, name))
    for name, details in _SETTINGS.items()
}
"""What `Settings` calls the same."""
