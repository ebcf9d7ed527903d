"""A model as a file of ONNX answers in ONNX Runtime as it does itself, for rows of any number and length."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime

from tidegate.convert.certificate import ConversionError
from tidegate.convert.samples import results_of
from tidegate.convert.to_onnx import onnx_inputs, to_onnx
from tidegate.models.config import TextConfig
from tidegate.models.text_model import TextModel
from tidegate.text.tokenizer import Tokenizer

Make = Callable[..., Any]
TOLERANCE = 1e-5

CELLS: dict[str, dict[str, Any]] = {
    "gru": {"summary": "last", "num_layers": 2},
    "gru reset=before gate=hard_sigmoid": {"summary": "mean"},
    "gru reset=off candidate=relu": {"summary": "max", "bias": False},
    "gru update=off candidate=identity": {"summary": "last"},
    "lstm": {"summary": "mean+max", "num_layers": 2},
    "rnn_tanh": {"summary": "mean", "bias": False},
    "rnn_relu": {"summary": "max"},
    "average": {},
    "compound": {},
}


def run(path: Path, **feeds: Any) -> dict[str, Any]:
    """Runs a file."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def padded(sequences: list[Any], fill: float) -> tuple[Any, Any]:
    """Sequences side by side, and their lengths."""
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    x = np.full((len(sequences), lengths.max(), *np.shape(sequences[0])[1:]), fill, np.asarray(sequences[0]).dtype)
    for row, sequence in zip(x, sequences, strict=True):
        row[: len(sequence)] = sequence
    return x, lengths


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_and_summary(vectors_model: Make, tmp_path: Path, cell: str) -> None:
    """Stacks, poolings and all summaries; an independent batch, with a row of no step and garbage beyond the ends."""
    model, path = vectors_model(cell, **CELLS[cell]), tmp_path / "m.onnx"
    assert to_onnx(model, path).error <= TOLERANCE
    rng = np.random.default_rng(5)
    sequences = [rng.standard_normal((length, 3)).astype(np.float32) for length in (4, 11, 0, 7)]
    x, lengths = padded(sequences, np.nan)
    found = run(path, x=x, lengths=lengths)
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(sequences), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found["vectors"], model.encode(sequences), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_and_summary_in_pieces(vectors_model: Make, tmp_path: Path, cell: str) -> None:
    """The streaming form takes pieces of any length, none at all too, and gives what the beginning so far gives."""
    model, path = vectors_model(cell, **CELLS[cell]), tmp_path / "m.onnx"
    assert to_onnx(model, path, streaming=True).error <= TOLERANCE
    rng = np.random.default_rng(5)
    x = rng.standard_normal((2, 9, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shapes = {given.name: [2 if size == "rows" else size for size in given.shape] for given in session.get_inputs()[2:]}
    states = {name: np.zeros(shape, np.int64 if name == "count" else np.float32) for name, shape in shapes.items()}
    ends = np.zeros(2, int)
    for pieces in ((0, 4), (3, 0), (1, 5)):
        piece = [row[end : end + steps] for row, end, steps in zip(x, ends, pieces, strict=True)]
        fed, lengths = padded(piece, np.nan)
        names = [f"next_{name}" for name in states]
        vectors, *after = session.run(["vectors", *names], {"x": fed, "lengths": lengths} | states)
        states, ends = dict(zip(states, after, strict=True)), ends + lengths
        expected = model.encode([row[:end] for row, end in zip(x, ends, strict=True)])
        np.testing.assert_allclose(vectors, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("cell", ["gru", "gru reset=before", "lstm", "rnn_tanh", "rnn_relu"])
def test_both_directions(vectors_model: Make, tmp_path: Path, cell: str) -> None:
    """A stack in both directions is exported whole, and refused for streams."""
    for summary in ("last", "mean+max"):
        model = vectors_model(cell, bidirectional=True, num_layers=2, summary=summary)
        assert to_onnx(model, tmp_path / "m.onnx").error <= TOLERANCE
    with pytest.raises(ValueError, match="both directions"):
        to_onnx(model, tmp_path / "m.onnx", streaming=True)


@pytest.mark.parametrize("layout", ["steps_first", "channels_first"])
def test_numbers_are_scaled_and_their_gaps_filled(numbers_model: Make, tmp_path: Path, layout: str) -> None:
    """The file takes numbers in their own units, NaN where they are missing, and cuts off outliers."""
    model, path = numbers_model("gru", layout=layout, summary="mean"), tmp_path / "m.onnx"
    to_onnx(model, path)
    rng = np.random.default_rng(5)
    sequences = [5 * rng.standard_normal((length, 4)).astype(np.float32) for length in (9, 3, 0)]
    sequences[0][[0, 1, 4], [1, 1, 3]] = np.nan
    sequences[1][1, 0] = 1e9
    x, lengths = padded(sequences, np.nan)
    first = layout == "channels_first"
    found = run(path, x=np.ascontiguousarray(x.transpose(0, 2, 1)) if first else x, lengths=lengths)
    expected = model.predict_proba([sequence.T for sequence in sequences] if first else sequences)
    np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_a_model_refuses_gives_nan(numbers_model: Make, tmp_path: Path, wrong: float) -> None:
    """A file cannot raise errors: a gap that never was in training, or an infinite number, makes all results NaN."""
    to_onnx(numbers_model("gru", summary="max"), tmp_path / "m.onnx")
    x = np.zeros((2, 3, 4), np.float32)
    x[0, 1, 0] = wrong
    found = run(tmp_path / "m.onnx", x=x, lengths=np.array([3, 3]))["probabilities"]
    assert np.isnan(found).all(axis=1).tolist() == [True, False]


def test_streams_of_numbers_with_gaps(numbers_model: Make, tmp_path: Path) -> None:
    """What a gap is filled with is in the states, too: steps one by one give what the whole sequence gives."""
    model, path = numbers_model("lstm", summary="mean+max", num_layers=2), tmp_path / "m.onnx"
    to_onnx(model, path, streaming=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    assert names == ["x", "lengths", "count", "carried", "unseen", "hidden", "cell_state", "sum", "max"]
    x = np.random.default_rng(5).standard_normal((1, 8, 4)).astype(np.float32)
    x[0, [2, 3, 5], [1, 1, 3]] = np.nan
    shapes = {given.name: [1 if size == "rows" else size for size in given.shape] for given in session.get_inputs()[2:]}
    states = {name: np.zeros(shape, np.int64 if name == "count" else np.float32) for name, shape in shapes.items()}
    for t in range(8):
        feeds = {"x": x[:, t : t + 1], "lengths": np.array([1])} | states
        scores, *after = session.run(["scores", *(f"next_{name}" for name in states)], feeds)
        states = dict(zip(states, after, strict=True))
        np.testing.assert_allclose(scores, model.scores([x[0, : t + 1]]), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("layout", ["steps_first", "channels_first"])
def test_changes_are_added_to_the_last_step(numbers_model: Make, tmp_path: Path, layout: str) -> None:
    """Of a model that predicts changes, a file gives the next steps, and so does one in pieces; a row may be empty."""
    foresees = {"task": "next", "horizon": 2, "residual": True, "missing": (), "layout": layout}
    model = numbers_model("gru", labels=tuple(f"{k} +{h}" for h in (1, 2) for k in range(4)), **foresees)
    for streaming in (False, True):
        proof = to_onnx(model, tmp_path / "m.onnx", streaming=streaming)
        assert (proof.error < TOLERANCE, proof.what) == (True, ("vectors", "scores"))
    given = onnxruntime.InferenceSession(tmp_path / "m.onnx").get_inputs()
    assert [each.name for each in given] == ["x", "lengths", "latest", "hidden"]


@pytest.mark.parametrize(
    "choices",
    [
        {"cell": "gru", "max_length": 7, "summary": "mean"},
        {"cell": "compound", "max_length": 3},
        {"cell": "average"},
        {"cell": "none", "embedding_size": 0, "ngrams": 12, "ngram_order": 1},
        {"cell": "none", "embedding_size": 0, "ngrams": 30, "ngram_order": 4, "labels": ("a", "b", "c")},
        {"cell": "lstm", "ngrams": 25, "ngram_order": 3, "max_length": 9},
        {"cell": "gru", "ngrams": 25, "ngram_order": 2, "ngram_letters": 30, "max_length": 9},
        {
            "cell": "none",
            "embedding_size": 0,
            "ngrams": 9,
            "ngram_order": 1,
            "ngram_letters": 9,
            "labels": ("a", "b", "c"),
        },
    ],
    ids=str,
)
def test_texts_by_their_ids(texts_model: Make, tmp_path: Path, choices: dict[str, Any]) -> None:
    """Words beyond the longest text are not read; runs of words count exactly; the tokenizer is in the metadata."""
    model, path = texts_model(**choices), tmp_path / "m.onnx"
    to_onnx(model, path)
    texts = [
        "a good film",
        "",
        "it was very long , and boring ; the best film ! a bad film .",
        "unheard words , too : words unheard , again unheard",
    ]
    stored = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    tokenizer = Tokenizer.from_json(stored["tokenizer"])
    expected = model.predict_proba(texts)
    if not model.config.ngram_letters:
        ids, lengths = padded([row.astype(np.int64) for row in tokenizer.encode_batch(texts)], 99)
        found = run(path, ids=ids, lengths=lengths)
        np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=TOLERANCE)
    for some in (texts, texts[:2], texts[1:2], texts[3:]):
        found = run(path, **onnx_inputs(model, some))
        np.testing.assert_allclose(found["probabilities"], model.predict_proba(some), rtol=0, atol=TOLERANCE)
    assert tuple(json.loads(stored["labels"])) == model.labels


def test_a_stream_of_words_ends_where_a_text_would(texts_model: Make, tmp_path: Path) -> None:
    """The streaming form reads no more words than the model does."""
    assert to_onnx(texts_model("gru", max_length=6), tmp_path / "m.onnx", streaming=True).error <= TOLERANCE


def test_the_next_word_is_foreseen(tmp_path: Path) -> None:
    """The first id of a text is that of nothing, so that the file foresees what the model does, its first word too."""
    tokenizer = Tokenizer.train(["a fine film"], min_frequency=1)
    config = TextConfig(cell="gru", task="next-token", vocab_size=len(tokenizer), embedding_size=3, hidden_size=5)
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in config.shapes().items()}
    model, texts = TextModel(config, tokenizer, arrays), ["a fine", "", "film"]
    assert to_onnx(model, tmp_path / "m.onnx").error <= TOLERANCE
    found = run(tmp_path / "m.onnx", **onnx_inputs(model, texts))
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(texts), rtol=0, atol=TOLERANCE)


def test_regression_encoding_and_compressed_weights(
    numbers_model: Make, vectors_model: Make, texts_model: Make, tmp_path: Path
) -> None:
    """A regression has scores and vectors, an encoder vectors alone; int8 weights become what they stand for."""
    path = tmp_path / "m.onnx"
    to_onnx(numbers_model("compound", task="regression", labels=("kWh",)), path)
    assert run(path, x=np.ones((1, 2, 4), np.float32), lengths=np.array([2])).keys() == {"scores", "vectors"}
    to_onnx(vectors_model("gru", task="encoding", labels=()), path)
    assert run(path, x=np.ones((1, 2, 3), np.float32), lengths=np.array([2])).keys() == {"vectors"}
    small = texts_model("gru").compress("int8")
    to_onnx(small, path)
    weights = {entry.name: onnx.numpy_helper.to_array(entry) for entry in onnx.load(path).graph.initializer}
    np.testing.assert_array_equal(weights["embedding"], small.arrays["embedding.weight"])


def test_the_certificate_is_in_the_file(vectors_model: Make, tmp_path: Path) -> None:
    """The metadata hold what was compared; the file holds nothing that its outputs do not need."""
    certificate = to_onnx(vectors_model("gru"), tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    stored = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(stored["certificate"]) == certificate.metadata()
    assert certificate.numbers > 0
    read = {name for node in model.graph.node for name in node.input}
    assert {constant.name for constant in model.graph.initializer} <= read


def test_a_file_that_differs_is_not_written(
    vectors_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If ONNX Runtime gives something else, that is an error, and there is no file."""
    monkeypatch.setattr(
        "tidegate.convert.onnx.compared.results_of",
        lambda *args: {name: array + np.float32(1e-4) for name, array in results_of(*args).items()},
    )
    with pytest.raises(ConversionError, match=r"vectors differs by .* from onnxruntime"):
        to_onnx(vectors_model("gru"), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_one_error(texts_model: Make, tmp_path: Path) -> None:
    """N-grams in a stream are refused, and never left out."""
    with pytest.raises(ValueError, match="n-grams, which read a text as a whole"):
        to_onnx(texts_model("gru", ngrams=9, ngram_order=2), tmp_path / "m.onnx", streaming=True)
    assert list(tmp_path.iterdir()) == []
