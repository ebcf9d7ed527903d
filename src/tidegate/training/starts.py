"""How weights start, where torch's own start is not wanted."""

import torch
from torch import nn

from tidegate.text.vectors import WordVectors


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
