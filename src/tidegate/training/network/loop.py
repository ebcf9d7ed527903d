"""The training loop on torch, a generator of plain events: the caller decides what to show and when to stop."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    import torch
    from torch import Tensor
except ImportError as error:
    raise ImportError("tidegate.training needs PyTorch: pip install 'tidegate[train]'") from error

from tidegate.models.architecture import Architecture
from tidegate.models.config import SequenceConfig, TextConfig
from tidegate.models.network import Network
from tidegate.ops.threads import kept_awake
from tidegate.sequences.padding import batches
from tidegate.text.vectors import WordVectors
from tidegate.torch.chrono import check_chrono
from tidegate.training.checkpoints import Checkpoints
from tidegate.training.data.corpus import Corpus, Integers
from tidegate.training.data.examples import Examples
from tidegate.training.data.labelled import Labelled
from tidegate.training.data.next_tokens import Running
from tidegate.training.data.sampling import add_noise, drop_words
from tidegate.training.events import DivergedError, Epoch, Events, Resumed, Step
from tidegate.training.group import ALONE, Group
from tidegate.training.network.likelihoods import judge_texts
from tidegate.training.network.modules import NetworkModule, TextModule
from tidegate.training.network.optimizer import Optimizer, one_torch_thread
from tidegate.training.network.shares import Share
from tidegate.training.network.starts import start_network
from tidegate.training.network.state import State
from tidegate.training.network.threads import shared_map
from tidegate.training.network.watch import Watch
from tidegate.training.settings import HUBER, WORD_DROPOUT, Settings

__all__ = ["Epoch", "Settings", "Step", "check_settings", "evaluate", "predict", "to_model", "train"]


def train(
    examples: Examples,
    config: Architecture,
    settings: Settings | None = None,
    vectors: WordVectors | None = None,
    checkpoints: Checkpoints | None = None,
    *,
    start: Mapping[str, npt.NDArray[np.float32]] | None = None,
    group: Group = ALONE,
) -> Events:
    """Trains a network; the last epoch with weights is the best. To stop early, stop iterating.

    Example:
        >>> from tidegate.training.data.examples import prepare_texts
        >>> examples = prepare_texts(["so good", "so bad"] * 8, ["yes", "no"] * 8, validation=0.25)
        >>> config = examples.config("gru", embedding_size=4, hidden_size=8)
        >>> events = list(train(examples, config, Settings(epochs=20, batch_size=4, learning_rate=0.1)))
        >>> *_, best = (event for event in events if isinstance(event, Epoch) and event.weights)
        >>> to_model(examples, config, best).predict(["good", "bad"]).tolist()
        ['yes', 'no']

    Args:
        examples: What to train on and what to judge by.
        config: What to train, usually `examples.config(…)`.
        settings: How to train. torch's global random generator is seeded.
        vectors: Word vectors to start the embedding from.
        checkpoints: Where checkpoints are written, also when the iteration is stopped early, and where those of an
            interrupted training are read; the result has the same bits as without interruption.
        start: Arrays to start from, see `start_network`.
        group: The processes that train together, which all call this; `start` and checkpoints are the first one's. The
            losses are those of one process but for rounding.

    Yields:
        A `Step` after each batch, an `Epoch` after each epoch; first of all, if a training is resumed, a `Resumed` and
        its best `Epoch` so far.

    Raises:
        CheckpointError: A checkpoint does not fit what is trained.
        DivergedError: The loss is no longer finite; a FloatingPointError.
        LostWorkerError: A process of the group has ended.
        ValueError: A setting does not fit, or the vectors are of another size than the embedding or know no word of it.
    """
    settings = settings or Settings()
    check_settings(settings, config)
    torch.manual_seed(settings.seed)
    module = start_network(examples, config, settings, vectors, group.share(start))
    schedule = examples.schedule(settings, config)
    how = schedule.learning_rate, schedule.epochs * schedule.steps, settings.weight_decay, settings.clip
    optimizer = Optimizer(module.parameters(), *how, group)
    state = State(module, optimizer, schedule, settings.seed)
    found = group.share(checkpoints.read(_name(config)) if checkpoints else None)
    if found:
        state.restore(found)
        done, total = state.progress, schedule.epochs * examples.source.steps
        yield Resumed(done.epoch, schedule.epochs, done.words, total, done.ended, tuple(done.gradients))
        if state.best:
            yield state.best
    events = _events(state, examples, settings)
    yield from events if checkpoints is None else _saved(events, state, checkpoints)


def _name(config: Architecture) -> str:
    """Names what is trained among the trainings of a run."""
    return f"{config.cell} {config.task}" if config.aim.reads_tokens else config.cell


def _saved(events: Events, state: State, checkpoints: Checkpoints) -> Events:
    """Passes on the events of a training, and writes a checkpoint now and then, and when nobody asks for more."""
    name = _name(state.module.config)
    try:
        for event in events:
            if checkpoints.due(at_end=state.progress.ended):
                checkpoints.write(name, state.checkpoint())
            yield event
    except GeneratorExit:
        if not sys.is_finalizing():  # then it is too late
            checkpoints.write(name, state.checkpoint())
        raise


def _events(state: State, examples: Examples, settings: Settings) -> Events:
    """Trains from the present state on."""
    progress, epochs = state.progress, state.schedule.epochs
    group = state.optimizer.group
    watch = Watch(examples, state.module.config) if settings.watch_gradients and not group.rank else None
    source = examples.source
    while not progress.ended:
        with _threads(state.module):
            for labelled, rows in state.batches(source):
                loss = _step(state, labelled, rows, settings)
                progress.loss += len(rows) * loss
                progress.batches, progress.rows = progress.batches + 1, progress.rows + len(rows)
                progress.words += labelled.corpus.count(rows)
                mean = progress.loss / progress.rows
                yield Step(progress.epoch, epochs, progress.words, epochs * source.steps, mean)
        _check_weights(state, settings)
        report = evaluate(state.module, examples.validation, group)
        # of equals, the later is the better trained
        progress.since_best = 0 if report.quality >= progress.quality else progress.since_best + 1
        progress.quality = max(progress.quality, report.quality)
        weights = state.module.arrays() if watch or not progress.since_best else {}
        gradients = watch.measure(weights) if watch else None
        facts = (progress.epoch, progress.loss / progress.rows, report, state.seconds)
        epoch = Epoch(*facts, None if progress.since_best else weights, gradients)
        state.end_epoch(epoch, last=progress.since_best == state.schedule.patience or progress.epoch == epochs)
        yield epoch


@contextmanager
def _threads(module: NetworkModule) -> Iterator[None]:
    """Has threads ready for an epoch: those of native calls wait awake, unless others compute the loss between them."""
    if not isinstance(module, TextModule) or not module.config.aim.foresees:
        with kept_awake():
            yield
        return
    with shared_map() as shared:
        module.shared = shared
        try:
            yield
        finally:
            module.shared = map


def _step(state: State, labelled: Labelled, rows: Integers, settings: Settings) -> float:
    """Follows the gradient of one batch, some rows of what is trained on, and returns its loss."""
    module, (inputs, lengths) = state.module, labelled.corpus.padded(rows)
    share = module.share = Share(lengths, state.optimizer.group)
    if isinstance(module, TextModule):
        standard = 0.0 if module.config.aim.foresees else WORD_DROPOUT
        inputs = drop_words(inputs, standard if settings.word_dropout is None else settings.word_dropout, state.rng)
        if not state.progress.batches:
            module.carried = ()
    elif settings.noise and isinstance(module.config, SequenceConfig):
        inputs = add_noise(inputs, settings.noise, module.config.features, state.rng)
    with one_torch_thread():
        touched = module.touched(inputs) if share.group.size > 1 else {}
        own = inputs[:, share.rows], lengths[share.rows]
        x, own_lengths = (torch.from_numpy(np.ascontiguousarray(array)) for array in own)
        loss = _loss(module, x, own_lengths, labelled, rows, share)
        carried = [share.laid_out(each, 1) for each in module.carried] if isinstance(module, TextModule) else []
        try:
            mean = state.optimizer.step(loss, touched, carried)
        except FloatingPointError as error:
            raise _diverged(str(error).partition(",")[0], state, settings, state.progress.batches + 1) from None
    state.carried = tuple(carried)
    return mean


def _loss(
    module: NetworkModule, inputs: Tensor, lengths: Tensor, labelled: Labelled, rows: Integers, share: Share
) -> Tensor:
    """Computes the loss of a batch, or the part of it that the own rows make of the mean over all of them.

    Args:
        module: What is trained.
        inputs: Of the own rows.
        lengths: Of the own rows.
        labelled: What the batch is drawn from.
        rows: Those of the batch.
        share: Which of them are the own ones.
    """
    chosen = rows[share.rows]
    if not len(chosen):
        nothing: Tensor = module(inputs, lengths)
        return nothing.sum()  # 0, and so are its gradients
    targets = torch.from_numpy(labelled.targets[labelled.answers(chosen)])
    weights = None if labelled.weights is None else torch.from_numpy(labelled.weights[chosen])
    loss = module.loss_of(inputs, lengths, targets, weights)
    if share.group.size == 1:
        return loss
    everyone = torch.from_numpy(labelled.targets[labelled.answers(rows)])
    return loss * (module.importance(targets) / module.importance(everyone))


def _check_weights(state: State, settings: Settings) -> None:
    """Raises DivergedError if the last step of an epoch has spoilt the weights, which no further loss would tell."""
    if not all(parameter.isfinite().all() for parameter in state.module.parameters()):
        raise _diverged("the weights are not finite", state, settings, state.progress.batches)


def _diverged(what: str, state: State, settings: Settings, batch: int) -> DivergedError:
    where = f"at batch {batch} of {state.schedule.steps} in epoch {state.progress.epoch}"
    remedy = state.optimizer.remedy + (", or less noise" if settings.noise else "")
    return DivergedError(f"{what} {where}, training has diverged: try {remedy}", state.best)


def check_settings(settings: Settings, config: Architecture) -> None:
    """Checks what of the settings depends on what is trained.

    Raises:
        ValueError: A setting would do nothing: there are no gates whose memory could be set, no recurrent layers, no
            classes, no words, no numbers to add noise to, or no word vectors to freeze.
    """
    if settings.chrono is not None:
        if not config.recurrent:
            raise ValueError(f"chrono is {settings.chrono}, but the cell {config.cell!r} has no gates to set")
        check_chrono(settings.chrono, config.recurrent_cell, config.bias)
    for name in ("orthogonal", "watch_gradients"):
        if getattr(settings, name) and not config.recurrent:
            raise ValueError(f"{name} is True, but the cell {config.cell!r} has no recurrent layer")
    if settings.watch_gradients and (config.aim.each_step or not config.aim.exclusive):
        raise ValueError(f"watch_gradients measures the loss of classes, but the task is {config.aim.title!r}")
    if settings.class_weights == "balanced" and not config.aim.exclusive:
        raise ValueError(f"class_weights is 'balanced', but the task is {config.aim.title!r}")
    if settings.loss == HUBER and config.task not in {"regression", "next"}:
        raise ValueError(f"loss is 'huber', which is a loss of numbers, but the task is {config.aim.title!r}")
    if settings.noise and (config.aim.foresees or isinstance(config, TextConfig)):
        what = f"the task is {config.aim.title!r}" if config.aim.foresees else "texts have no numbers to add it to"
        raise ValueError(f"noise is {settings.noise}, but {what}")
    if isinstance(config, TextConfig):
        return
    if settings.word_dropout:
        raise ValueError(f"word_dropout is {settings.word_dropout}, but a network of vectors has no words")
    if settings.freeze:
        raise ValueError("freeze is True, but a network of vectors has no word vectors")


def evaluate(module: NetworkModule, labelled: Labelled, group: Group = ALONE) -> Any:
    """Scores a network on sequences whose classes or numbers are known; makes a report, see `Task`."""
    if isinstance(labelled, Running):
        return judge_texts(module, labelled, group)
    return module.config.aim.score(labelled.targets, predict(module, labelled.corpus, group), module.config.labels)


@torch.inference_mode()
def predict(module: NetworkModule, corpus: Corpus, group: Group = ALONE) -> npt.NDArray[np.float32]:
    """Computes the probability of each class, or the numbers of a regression, for B sequences, float32 [B, C].

    Where steps are foreseen or labelled, it is done for each of the N steps, [N, C]. The processes of a group share the
    sequences.
    """
    was_training, each_step = module.training, module.config.aim.each_step
    module.eval()
    result = np.zeros((len(corpus.steps if each_step else corpus), len(module.config.labels)), np.float32)
    with one_torch_thread():
        for batch in batches(corpus.lengths):
            rows = batch[group.rank :: group.size]
            inputs, lengths = corpus.padded(rows)
            places = corpus.places(rows) if each_step else rows
            result[places] = module.predict(torch.from_numpy(inputs), torch.from_numpy(lengths)).numpy()
    group.sum(result)
    module.train(was_training)
    return result


def to_model(
    examples: Examples, config: Architecture, epoch: Epoch, figures: Mapping[str, Any] | None = None
) -> Network:
    """Makes the model of an epoch, which works without torch.

    Args:
        examples: What it was trained on.
        config: What was trained.
        epoch: An epoch with weights.
        figures: More to keep under `Network.metrics`, beside the scores of the epoch.

    Returns:
        A `TextModel` if it was trained on texts, otherwise a `SequenceModel`.

    Raises:
        ValueError: The epoch was not the best when it ended, and so has no weights.
    """
    if epoch.weights is None:
        raise ValueError(f"epoch {epoch.epoch} has no weights, expected the best epoch: an earlier one was better")
    metrics = epoch.report.as_dict() | {"epoch": epoch.epoch, "seconds": epoch.seconds} | dict(figures or {})
    versions = {name: version(name) for name in ("tidegate", "torch", "tokenizers", "numpy")}
    return examples.model(config, epoch.weights, metrics, versions)
