"""N-grams as nodes of ONNX: runs of words, and the letters of words."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tidegate.convert.onnx.network import Rows, code
from tidegate.convert.onnx.writer import Graph
from tidegate.models.ngrams import letters_of
from tidegate.models.text_model import TextModel
from tidegate.text.tokenizer import UNKNOWN


def ngrams(g: Graph, model: TextModel, ids: str, rows: Rows) -> str:
    """Writes what an n-gram part adds to the logits.

    Args:
        g: The graph.
        model: A model with n-grams.
        ids: Word ids, int64 [B, T], 0 beyond a row's length; of one that reads letters, V + n for row n of `unknown`.
        rows: Those of the batch.

    Returns:
        float32 [B, C].
    """
    margins = _runs(g, model, known(g, model, ids), rows)
    if model.config.ngram_letters:
        margins = g("Add", margins, _letters(g, model, ids, rows))
    if len(model.labels) > 2:
        return margins
    return g("MatMul", margins, g.constant([[-0.5, 0.5]], np.float32))


def known(g: Graph, model: TextModel, ids: str) -> str:
    """Puts the id of all unknown words in the place of those that are rows of `unknown`."""
    if not model.config.ngram_letters:
        return ids
    beyond = g("GreaterOrEqual", ids, g.constant(model.config.vocab_size, np.int64))
    return g("Where", beyond, g.constant(UNKNOWN, np.int64), ids)


def buckets(words: Sequence[str], count: int) -> npt.NDArray[np.int64]:
    """Returns the input `unknown`: the buckets of the letters of words, int64 [N, R], −1 behind the last of a word.

    Args:
        words: N words.
        count: Q, the number of buckets.
    """
    runs = [letters_of(word, count) for word in words]
    table = np.full((len(words), max(map(len, runs), default=1)), -1, np.int64)
    for row, found in zip(table, runs, strict=True):
        row[: len(found)] = found
    return table


def _letters(g: Graph, model: TextModel, ids: str, rows: Rows) -> str:
    """Writes the sum over the letters of words, float32 [B, M], in double precision as the model does."""
    letters = model.arrays["ngrams.letters"].astype(np.float64)
    squares = model.arrays["ngrams.letter_idf"].astype(np.float64)[:, None] ** 2
    spelled = [letters_of(word, len(letters)) for word in model.vocabulary]
    unknown = g.input("unknown", np.int64, ["unknown_words", "runs_of_letters"])
    there = g("Unsqueeze", g("GreaterOrEqual", unknown, g.constant(0, np.int64)), g.constant([2], np.int64))
    runs = g("Max", unknown, g.constant(0, np.int64))
    zero, columns = g.constant(0, np.float64), []
    for name, table in (("letters", letters), ("letter_squares", squares)):
        own = g.constant([table[found].sum(axis=0) for found in spelled], np.float64, f"ngrams.{name}_of_words")
        each = g("Where", there, g("Gather", g.constant(table, np.float64, f"ngrams.{name}"), runs), zero)
        others = g("ReduceSum", each, g.constant([1], np.int64), keepdims=0)
        columns.append(g("Concat", own, others, axis=0))
    number = g("Add", g("Gather", g("Shape", unknown), g.constant([0], np.int64)), g.constant([len(spelled)], np.int64))
    nothing = g("Expand", g.constant(0, np.float32), g("Concat", g("Shape", rows.lengths), number, axis=0))
    read = g("Transpose", g("Squeeze", rows.mask, g.constant([2], np.int64)), perm=[1, 0])
    counts = g("ScatterElements", nothing, ids, g("Cast", read, to=code(np.float32)), axis=1, reduction="add")
    counts = g("Cast", counts, to=code(np.float64))
    norms = g("MatMul", g("Mul", counts, counts), columns[1])
    norms = g("Sqrt", g("Where", g("Greater", norms, zero), norms, g.constant(1, np.float64)))
    return g("Cast", g("Div", g("MatMul", counts, columns[0]), norms), to=code(np.float32))


def _runs(g: Graph, model: TextModel, ids: str, rows: Rows) -> str:
    """Writes the sums over runs of words, float32 [B, M]."""
    V, order = model.config.vocab_size, runs_by_size(model.arrays["ngrams.words"], model.config.vocab_size)
    chosen = np.concatenate(order)
    weight, presence, idf = (model.arrays[f"ngrams.{name}"][chosen] for name in ("weight", "presence", "idf"))
    runs = [model.arrays["ngrams.words"][rows_, :n].astype(np.int64) for n, rows_ in enumerate(order, 1)]
    single, two = g.constant([1], np.int64), g.constant([0, 1, 0, 1], np.int64)
    padded = g("Pad", ids, two, g.constant(0, np.int64))
    width = g("Gather", g("Shape", padded), g.constant(1, np.int64))
    places = g("Range", g.constant(0, np.int64), width, g.constant(1, np.int64))
    end = g("Unsqueeze", g("Add", rows.lengths, single), single)
    at_ends = g("Or", g("Equal", places, g.constant([[0]], np.int64)), g("Equal", places, end))
    marked = g("Where", at_ends, g.constant(V, np.int64), padded)
    offsets = np.cumsum([0, *(of_size.size for of_size in runs)])[:-1]
    counts = g(
        "TfIdfVectorizer",
        marked,
        mode="TF",
        min_gram_length=1,
        max_gram_length=len(runs),
        max_skip_count=0,
        ngram_counts=offsets.tolist(),
        ngram_indexes=list(range(len(chosen))),
        pool_int64s=np.concatenate([of_size.ravel() for of_size in runs]).tolist(),
    )
    zero, unit = g.constant(0, np.float32), g.constant(1, np.float32)
    full = g("Unsqueeze", g("Greater", rows.lengths, g.constant(0, np.int64)), single)
    counts = g("Where", full, counts, zero)  # of a text without words the marks stand side by side, and are no run
    there = g("Greater", counts, zero)
    amounts = g("Where", there, g("Add", unit, g("Log", g("Max", counts, unit))), zero)
    squares = g("MatMul", g("Mul", amounts, amounts), g.constant(idf[:, None].astype(np.float64) ** 2, np.float32))
    norms = g("Sqrt", g("Where", g("Greater", squares, zero), squares, unit))
    sums = g("Div", g("MatMul", amounts, g.constant(weight, np.float32, "ngrams.weight")), norms)
    present = g("Cast", there, to=code(np.float32))
    return g("Add", sums, g("MatMul", present, g.constant(presence, np.float32, "ngrams.presence")))


def runs_by_size(words: npt.NDArray[np.float32], vocab_size: int) -> list[npt.NDArray[np.intp]]:
    """Lists the rows of runs of 1, 2, … words that a text can hold; a mark alone is none.

    Args:
        words: Word ids, float32 [P, O], see `models.ngrams.keys_of`.
        vocab_size: V, the id of the mark.
    """
    sizes = (np.cumprod(words != 0, axis=1) > 0).sum(axis=1)
    whole = (words != 0).sum(axis=1) == sizes
    whole &= ~((sizes == 1) & (words[:, 0] == vocab_size))
    return [np.flatnonzero(whole & (sizes == n)) for n in range(1, words.shape[1] + 1)]
