"""What is gained where inputs are words, found by their numbers? A layer that looks them up, beside an embedding.

python benchmarks/bench_words.py [--batches 4] [--seconds 20] [--save]

Batches of 64 film reviews, as `tidegate train` cuts them (the data come from `tidegate data imdb`), 20,000 words of 100
numbers, 128 units. Reading is a forward pass; a training step is forward and backward from the last states, with the
gradients of the layer and of the embedding. torch reads packed sequences.
"""

import argparse
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

import contest
import results
from contender import Contender
from grid import INFERENCE, TRAINING
from tidegate.data import datasets
from tidegate.data.tables import read
from tidegate.torch import GRU
from tidegate.training.data.examples import prepare_texts
from tidegate.training.data.sampling import shuffled_batches

ROWS, FEATURES, UNITS = 64, 100, 128
TORCH, EMBEDDED, LOOKED_UP = "torch", "tidegate after an embedding", "tidegate with ids"

Batch = tuple[Tensor, Tensor]


def reviews(count: int) -> tuple[list[Batch], int]:
    """Returns some batches of word ids and lengths, and the number of words known."""
    table = read(datasets.imdb()[0])
    examples = prepare_texts(table.texts, table.labels or [])
    corpus = examples.train.corpus
    cut = shuffled_batches(corpus.lengths, ROWS, np.random.default_rng(0))[:count]
    batches = [corpus.padded(rows) for rows in cut]
    return [(torch.from_numpy(ids), torch.from_numpy(lengths)) for ids, lengths in batches], len(examples.tokenizer)


def ways(vocabulary: int) -> dict[str, tuple[list[Tensor], Callable[[Tensor, Tensor], Tensor]]]:
    """Returns by name the parameters of each way to read a batch, and what maps it to the last states."""
    torch.manual_seed(0)
    embedding, layer = torch.nn.Embedding(vocabulary, FEATURES, padding_idx=0), GRU(FEATURES, UNITS)
    theirs = torch.nn.GRU(FEATURES, UNITS)
    theirs.load_state_dict(layer.state_dict())

    def packed(ids: Tensor, lengths: Tensor) -> Tensor:
        states: Tensor = theirs(pack_padded_sequence(embedding(ids), lengths, enforce_sorted=False))[1]
        return states

    ours, words = list(layer.parameters()), embedding.weight
    return {
        TORCH: ([words, *theirs.parameters()], packed),
        EMBEDDED: ([words, *ours], lambda ids, lengths: layer(embedding(ids), lengths=lengths)[1]),
        LOOKED_UP: ([words, *ours], lambda ids, lengths: layer(words, ids=ids, lengths=lengths)[1]),
    }


def contender(
    parameters: list[Tensor], way: Callable[[Tensor, Tensor], Tensor], batches: list[Batch], *, training: bool
) -> Contender:
    """Returns one way to read all batches, or to train on them."""

    def call() -> Any:
        found = []
        with torch.set_grad_enabled(training):
            for batch in batches:
                states = way(*batch)
                found.append(torch.autograd.grad(states.sum(), parameters) if training else [states])
        return found

    return Contender(call, lambda found: {str(i): array.numpy() for i, array in enumerate(found[0])})


def main() -> None:
    """Prints a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0, help="time for reading, and for training")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--save", action="store_true", help="write what was found to benchmarks/results/")
    options = parser.parse_args()
    contest.confine(options.threads, "")
    torch.set_num_threads(options.threads)
    batches, vocabulary = reviews(options.batches)
    words = sum(int(lengths.sum()) for _, lengths in batches)
    different = sum(len(ids.unique()) for ids, _ in batches) / words
    print(
        f"{contest.machine()}; {options.threads} threads; {words:,} words, {different:.0%} of a batch's are different"
    )
    rates: dict[str, dict[str, float]] = {}
    for kind in (INFERENCE, TRAINING):
        field = {name: contender(*way, batches, training=kind == TRAINING) for name, way in ways(vocabulary).items()}
        times = contest.medians(field, options.seconds)
        rates[kind] = {name: round(words / seconds) for name, seconds in times.items()}
        for name, rate in rates[kind].items():
            print(f"{kind:10} {name:28} {rate:11,} words a second")
    if options.save:
        results.save("words", {"different": different, "words_per_second": rates})


if __name__ == "__main__":
    main()
