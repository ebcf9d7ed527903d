"""How fast are texts cut into words and their words counted, beside the library whose rules these are?

TIDEGATE_DATA=… python benchmarks/bench_cutting.py [--texts 5000] [--rounds 5]

Reviews of IMDB are read on one thread: turned into ids, counted as more texts than fit into memory are, and counted for
a vocabulary. All take turns; figures are the best of some rounds, in megabytes of text a second of the processor.
"""

import argparse
import os
from pathlib import Path
from time import process_time

import pyarrow.parquet as pq

import contest
from tidegate.text.counting import WordCounter
from tidegate.text.rules import pipeline
from tidegate.text.tokenizer import UNK, Tokenizer


def main() -> None:
    """Prints a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    path = Path(os.environ.get("TIDEGATE_DATA", "")) / "imdb" / "train.parquet"
    texts = pq.read_table(path, columns=["text"])["text"].to_pylist()[: asked.texts]
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # on one thread, as the rest
    tokenizer = Tokenizer.train(texts)
    library = pipeline({word: i for i, word in enumerate(tokenizer.vocab)}, UNK)
    ways = {
        "ids": lambda: tokenizer.encode_batch(texts),
        "ids, by the library": lambda: library.encode_batch_fast(texts, add_special_tokens=False),
        "counted part by part": lambda: WordCounter().read(texts),
        "vocabulary": lambda: Tokenizer.train(texts),
        "vocabulary, by the library": lambda: Tokenizer._train_by_library(texts, 20_000, 2),  # noqa: SLF001 - the other way
    }
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(asked.rounds):
        for name, way in ways.items():
            start = process_time()
            way()
            best[name] = min(best[name], process_time() - start)
    print(f"{contest.machine()}; {len(texts):,} reviews, {megabytes:.1f} MB")
    for name, seconds in best.items():
        print(f"{name:28} {megabytes / seconds:8.1f} MB/s")


if __name__ == "__main__":
    main()
