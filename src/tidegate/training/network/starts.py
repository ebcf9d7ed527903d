"""How a network starts: its module, and its weights where torch's own start is not wanted."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tidegate.models.architecture import Architecture
from tidegate.models.config import SequenceConfig, TextConfig
from tidegate.models.metrics.quantiles import read_labels
from tidegate.text.tokenizer import PADDING
from tidegate.text.vectors import WordVectors
from tidegate.training.data.examples import Examples, SequenceExamples, TextExamples
from tidegate.training.data.next_tokens import Running
from tidegate.training.network.modules import LastStep, NetworkModule, Scale, TextModule
from tidegate.training.settings import STANDARD, Settings


def start_network(
    examples: Examples,
    config: Architecture,
    settings: Settings,
    vectors: WordVectors | None,
    start: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> NetworkModule:
    """Makes a network at its start.

    Args:
        examples: What it is trained on.
        config: What it is.
        settings: How it is trained.
        vectors: Word vectors to start from.
        start: Arrays to start from, those of a network that has the same word vectors and recurrent layers.

    Raises:
        ValueError: The vectors are of another size than the embedding, know none of its words, or there are no
            words.
    """
    outputs, changes = None, _with_changes(examples, config)
    if config.aim.noun == "numbers" and not config.aim.has_probabilities:
        targets = examples.train.targets
        if changes:
            targets = targets - changes.last_steps()
        outputs = Scale.of(np.repeat(targets, len(config.labels) // targets.shape[1], axis=1))
    if not isinstance(config, TextConfig) or not isinstance(examples, TextExamples):
        if vectors is not None:
            raise ValueError("vectors are given, but a network of vectors has no words to start from them")
        module = NetworkModule(config, settings.dropout, settings.chrono, outputs=outputs)
        if outputs and changes:
            module.last_step = LastStep(changes.features, outputs)
    else:
        module = TextModule(config, settings.dropout, settings.chrono, outputs=outputs)
        if vectors is not None:
            start_from_vectors(module.embedding, examples.tokenizer.vocab, vectors)
        module.embedding.weight.requires_grad_(not settings.freeze)
    if settings.loss != STANDARD:
        module.measure = settings.loss
    if settings.orthogonal:
        start_orthogonal(module)
    if start is not None:
        start_from(module, start)
    if config.aim.exclusive:
        weights = settings.importance(examples.class_counts())
        module.class_weights = None if weights is None else torch.from_numpy(weights.astype(np.float32))
    if isinstance(examples.train, Running):
        size = examples.train.foreseen or config.output_size
        counts = np.bincount(examples.train.targets, minlength=size)
        if size < config.output_size:
            module.head = nn.Linear(config.summary_size, size)
        with torch.no_grad():
            module.head.bias.copy_(torch.from_numpy(np.log((counts + 0.5) / counts.sum())))
    if config.aim.activation == "sigmoid":
        start_from_frequencies(module.head, examples.train.targets)
    if config.aim.activation == "sorted":
        names, levels = read_labels(config.labels)
        module.class_weights = torch.tensor(levels).repeat(len(names))
    return module


def _with_changes(examples: Examples, config: Architecture) -> SequenceExamples | None:
    """Returns the examples if a network of them predicts changes of the last step."""
    residual = isinstance(config, SequenceConfig) and config.residual
    return examples if residual and isinstance(examples, SequenceExamples) else None


def start_from(module: NetworkModule, arrays: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """Copies the arrays of another network, but not its head."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name in arrays and not name.startswith("head."):
                parameter.copy_(torch.from_numpy(arrays[name]))
        if isinstance(module, TextModule):
            module.embedding.weight[PADDING] = 0


def start_from_frequencies(head: nn.Linear, targets: npt.NDArray[np.float32]) -> None:
    """Sets the biases of C outputs so that the first probabilities are about how often each label is there.

    Many labels are rare: a start at one half for each takes epochs to unlearn. The biases are log-odds, with half a
    case added on both sides (Anscombe 1956), so that a label that is always or never there has finite ones.

    Args:
        head: The head, C outputs.
        targets: 1 or 0 for each label of each of N rows, float32 [N, C].
    """
    ones = targets.sum(axis=0, dtype=np.float64)
    odds = (ones + 0.5) / (len(targets) - ones + 0.5)
    with torch.no_grad():
        head.bias.copy_(torch.from_numpy(np.log(odds)))


def start_from_vectors(embedding: nn.Embedding, vocab: list[str], vectors: WordVectors) -> int:
    """Copies word vectors into an embedding; words without one start at random with their mean and spread.

    One vector alone has no spread: the other words keep torch's own start then.

    Args:
        embedding: The embedding, [V, E].
        vocab: The V words.
        vectors: Vectors by word.

    Returns:
        How many of the words have a vector.

    Raises:
        ValueError: The vectors are not of size E, or none of the words has one.
    """
    size = vectors.vectors.shape[1]
    if size != embedding.embedding_dim:
        raise ValueError(f"the word vectors have {size} numbers each, expected E = {embedding.embedding_dim}")
    rows, found = (torch.from_numpy(array) for array in vectors.rows_of(vocab))
    if not found.any():
        raise ValueError(f"none of the {len(vocab)} words of the texts is among the {len(vectors)} words with a vector")
    with torch.no_grad():
        known = rows[found]
        if len(known) > 1:
            embedding.weight.normal_().mul_(known.std(0)).add_(known.mean(0))
        embedding.weight[found] = known
        embedding.weight[embedding.padding_idx or 0] = 0
    return len(known)


def start_orthogonal(module: nn.Module) -> None:
    """Starts the state weights of each gate as an orthogonal matrix."""
    for name, parameter in module.named_parameters():
        if "weight_hh" in name:
            for gate in parameter.detach().view(-1, parameter.shape[1], parameter.shape[1]):
                nn.init.orthogonal_(gate)
