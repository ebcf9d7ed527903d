"""Pretraining: a network that first learns to foresee the words of the texts, and then tells classes apart.

The classifier starts from its word vectors and recurrent layers (Dai & Le 2015, "Semi-supervised Sequence Learning").
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tidegate.models.config import TextConfig
from tidegate.text.texts import check_texts
from tidegate.training.baselines.baselines import Baseline
from tidegate.training.data.examples import TextExamples
from tidegate.training.data.next_tokens import BPTT, running_rows
from tidegate.training.data.repeats import Repeats
from tidegate.training.run import Run
from tidegate.training.settings import TOKEN_DROPOUT, Settings

PRETRAINING = "pretraining"
FORESEEN = 2000  # of the most frequent words: to foresee more takes long
LEARNING_RATE, EPOCHS = 0.005, 3


def pretraining(examples: TextExamples, config: TextConfig, settings: Settings, more: Sequence[str] = ()) -> Baseline:
    """Says what is trained before a classifier.

    Args:
        examples: What the classifier is trained on; no label is read, and what is held out judges here too.
        config: The classifier.
        settings: How it is trained.
        more: Further texts, without labels.

    Raises:
        TypeError: One of them is no text.
        ValueError: The network has no recurrent layer that reads forward alone, or the texts are on a disk.
    """
    if not config.recurrent or config.bidirectional:
        raise ValueError(
            f"pretraining needs a recurrent cell that reads forward, found {config.cell!r}, "
            f"bidirectional={config.bidirectional}"
        )
    if examples.spool:
        raise ValueError("pretraining reads texts in memory, but they are on a disk: give more memory")
    parts = [[part.corpus.row(b) for b in range(len(part))] for part in (examples.train, examples.validation)]
    parts[0] += examples.tokenizer.encode_batch(check_texts(more))
    foreseen = min(FORESEEN, len(examples.tokenizer))
    train, held = (running_rows(rows, np.array([len(row) for row in rows]), BPTT, foreseen) for rows in parts)
    texts = TextExamples(
        labels=(),
        task="next-token",
        train=train,
        validation=held,
        rows=examples.rows,
        tokenizer=examples.tokenizer,
        max_length=examples.max_length,
        repeats=Repeats(),
    )
    sizes = {name: getattr(config, name) for name in ("embedding_size", "hidden_size", "num_layers", "bias")}
    how = Settings(
        dropout=TOKEN_DROPOUT,
        learning_rate=LEARNING_RATE,
        epochs=EPOCHS,
        chrono=settings.chrono,
        orthogonal=settings.orthogonal,
        seed=settings.seed,
    )
    return Baseline(PRETRAINING, texts, texts.config(config.cell, **sizes), how)


def pretrained(run: Run, more: Sequence[str] = ()) -> Run:
    """Adds pretraining to a run.

    Args:
        run: What is trained.
        more: Further texts, without labels.

    Raises:
        TypeError: One of them is no text.
        ValueError: There is no network of texts with labels, or as in `pretraining`.
    """
    if not isinstance(run.examples, TextExamples) or run.examples.aim.foresees:
        raise ValueError("pretraining is for texts with labels, expected such")
    if not run.network:
        raise ValueError("pretraining is that of a network, but the model has n-grams alone")
    return replace(run, pretraining=pretraining(run.examples, run.config, run.settings, more))
