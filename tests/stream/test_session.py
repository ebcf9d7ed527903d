"""One stream through a model."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate
from tidegate import Network, NetworkConfig, Recurrent, Session, StreamPool, TextModel
from tidegate.models.config import SequenceConfig
from tidegate.models.sequence_model import SequenceModel
from tidegate.ops.cells import CELLS
from tidegate.sequences.summaries import SUMMARIES
from tidegate.stream.parts import Field, Kept, Rows, Steps, StreamPart

Array = npt.NDArray[np.float32]
Make = Callable[..., TextModel]

TEXT = "A good film, isn't it? <br />caf&eacute;s & 東京の映画。 <b>Bad</b> don't!"


def network(cell: str = "gru", task: str = "classification", I: int = 3, **rest: Any) -> Network:
    """A network with random weights."""
    sizes = {"hidden_size": 5, "num_layers": 2} | rest if cell.partition(" ")[0] in CELLS else {}
    labels = () if task == "encoding" else ("low", "high")
    config = NetworkConfig(cell=cell, labels=labels, input_size=I, task=task, **sizes)
    rng = np.random.default_rng(0)
    return Network(config, {name: rng.standard_normal(s).astype(np.float32) for name, s in config.shapes().items()})


def vectors(T: int, I: int = 3, seed: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal((T, I)).astype(np.float32)


def same(a: Any, b: Any) -> bool:
    """Whether two arrays have the same bits."""
    return bool(np.asarray(a).tobytes() == np.asarray(b).tobytes())


@pytest.mark.parametrize("summary", SUMMARIES)
@pytest.mark.parametrize("cell", [*CELLS, "gru reset=before", "average", "compound"])
@pytest.mark.parametrize("H", [1, 5])
@pytest.mark.parametrize("cuts", [[], [1, 1, 17], list(range(30))], ids=["whole", "some", "single steps"])
def test_a_stream_is_the_sequence_to_the_bit(cell: str, summary: str, H: int, cuts: list[int]) -> None:
    """However a sequence is cut, summary, scores and probabilities have the bits of the whole one."""
    model, x = network(cell, I=H, summary=summary, hidden_size=H), vectors(30, H)
    session = model.stream()
    for part in np.split(x, cuts):
        session.push(part)
    assert session.steps == 30
    assert same(session.vector, model.encode([x])[0])
    assert same(session.scores, model.scores([x])[0])
    assert same(session.probabilities, model.predict_proba([x])[0])
    assert session.prediction == model.predict([x])[0]


def sequence_model(**changes: Any) -> SequenceModel:
    """A model with random weights whose second of three features may be missing."""
    fields: dict[str, Any] = {"cell": "gru", "labels": ("a", "b"), "features": 3, "missing": (1,)} | changes
    config = SequenceConfig(**fields)
    rng = np.random.default_rng(5)
    return SequenceModel(config, {n: rng.uniform(0.1, 0.9, s).astype(np.float32) for n, s in config.shapes().items()})


def gaps(T: int, columns: list[int], seed: int = 1) -> npt.NDArray[np.float64]:
    """Steps in float64 with values that are missing, the first ones among them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((T, 3)) * 50
    for k in columns:
        x[rng.random(T) < 0.6, k] = np.nan
        x[:2, k] = np.nan
    return x


def test_every_kind_of_network_streams_as_it_predicts(random_model: Make) -> None:
    """Whatever it makes of its sequences before it reads them; no subclass is left out."""
    made: dict[type[Network], tuple[Network, Any]] = {
        Network: (network(), vectors(7)),
        TextModel: (random_model(), TEXT),
        SequenceModel: (sequence_model(), gaps(7, [1])),
    }
    assert {kind for kind in Network.__subclasses__() if kind.__module__.startswith("tidegate.")} < made.keys()
    for kind, (model, whole) in made.items():
        session = model.stream()
        for i in range(len(whole)):
            session.push(whole[i : i + 1])
        assert same(session.finish().vector, model.encode([whole])[0]), kind
        assert same(session.scores, model.scores([whole])[0]), kind
        assert session.prediction == model.predict([whole])[0], kind


@pytest.mark.parametrize("cuts", [[], [1, 1, 17], list(range(30))], ids=["whole", "some", "single steps"])
@pytest.mark.parametrize("missing", [(), (1,), (0, 2)])
@pytest.mark.parametrize("cell", ["lstm", "average"])
def test_features_are_scaled_and_gaps_filled_across_pieces(
    cell: str, missing: tuple[int, ...], cuts: list[int]
) -> None:
    """Alone, from a state, and with many others in a pool, of other lengths or step by step."""
    model = sequence_model(cell=cell, missing=missing, summary="mean+max" if cell == "lstm" else "last")
    x = [gaps(30, list(missing), seed) for seed in range(20)]
    session = model.stream()
    for part in np.split(x[0], cuts):
        session = model.stream(session.push(part).state)
    assert same(session.vector, model.encode(x[:1])[0])
    pool, keys = StreamPool(model), list(range(20))
    pool.push(keys, [each[: b % 4] for b, each in enumerate(x)])
    pool.push(keys, np.stack([each[b % 4 : b % 4 + 2] for b, each in enumerate(x)]))
    pool.push(keys, np.stack([each[b % 4 + 2] for b, each in enumerate(x)]))
    assert same(pool.push(keys, [each[b % 4 + 3 :] for b, each in enumerate(x)]).scores, model.scores(x))


def test_a_piece_has_the_layout_of_its_model() -> None:
    """Where sequences are [K, T], pieces are too; a single step is [K] for all."""
    x, model = gaps(6, [1]), sequence_model(layout="channels_first")
    session = model.stream().push(x[:3].T).push(x[3]).push(x[4:].T)
    assert same(session.vector, model.encode([x.T])[0])
    pool = StreamPool(model)
    pool.push(["a"], x[:3].T[None])
    pool.push(["a"], x[None, 3])
    assert same(pool.push(["a"], [x[4:].T]).vectors[0], session.vector)


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        ([[1.0, 2.0]], r"expected \[T, K\] = \(1, 3\)"),
        ([1.0, 2.0], r"expected \[K\] = \(3,\)"),
        ([[0.0, 1.0, 2.0], [0.0, 1.0, np.nan]], "piece has NaN at step 1, feature 2, which was never missing"),
        ([0.0, np.inf, 2.0], "piece has inf at step 0, feature 1"),
    ],
)
def test_a_wrong_step_of_features_reads_nothing(piece: Any, message: str) -> None:
    """Numbers that a model does not predict from are errors for its streams too."""
    session = sequence_model().stream().push(gaps(2, [1]))
    before = session.state
    with pytest.raises(ValueError, match=message):
        session.push(piece)
    assert session.state == before
    with pytest.raises(ValueError, match=r"pieces\[1\] has NaN at step 0, feature 2"):
        StreamPool(sequence_model()).push(["a", "b"], np.array([[[0.0, 1, 2]], [[0.0, 1, np.nan]]]))


def test_a_state_is_of_a_model_with_the_same_gaps() -> None:
    """Which features may be missing is a part of the model, also where the sizes are the same."""
    state = sequence_model().stream().state
    with pytest.raises(tidegate.StateError, match="another model"):
        sequence_model(missing=(2,)).stream(state)


def test_a_stream_without_a_step_is_an_empty_sequence() -> None:
    """Before the first step the vector is that of a sequence of length 0, also after a reset."""
    for summary in SUMMARIES:
        model = network(summary=summary)
        session = model.stream()
        assert same(session.vector, model.encode([vectors(0)])[0])
        session.push(vectors(4)).reset()
        assert (session.steps, same(session.vector, model.encode([vectors(0)])[0])) == (0, True)


@pytest.mark.parametrize("task", ["regression", "encoding"])
def test_all_tasks_stream(task: str) -> None:
    """A regression gives numbers, an encoder vectors; what they have not is an error."""
    model, x = network(task=task), vectors(6)
    session = model.stream().push(x[:2]).push(x[2:])
    assert same(session.vector, model.encode([x])[0])
    if task == "regression":
        assert same(session.prediction, model.predict([x])[0])
    else:
        with pytest.raises(ValueError, match="no head"):
            _ = session.scores
    with pytest.raises(ValueError, match="no head" if task == "encoding" else "expected one for classification"):
        _ = session.probabilities


def test_a_bare_stack_streams() -> None:
    """A `Recurrent` is read step by step as whole, single vectors too, and has no classes."""
    rng = np.random.default_rng(0)
    shapes = {"weight_ih_l0": (20, 3), "weight_hh_l0": (20, 5)}
    stack = Recurrent({name: rng.standard_normal(s) for name, s in shapes.items()}, "lstm", summary="mean+max")
    session, x = Session(stack), vectors(9)
    for step in x:
        session.push(step)
    assert same(session.vector, stack([x])[0])
    assert same(Session(stack, session.state).vector, session.vector)
    with pytest.raises(ValueError, match="no head"):
        _ = session.probabilities


@pytest.mark.parametrize("make", [str, str.encode], ids=["str", "bytes"])
@pytest.mark.parametrize("cell", ["lstm", "average"])
def test_a_text_may_be_cut_anywhere(random_model: Make, make: Callable[[str], Any], cell: str) -> None:
    """At every place in a word, a tag, a reference or a character of UTF-8."""
    model = random_model(cell, texts=[TEXT], summary="mean+max" if cell == "lstm" else "last")
    whole, text = model.predict_proba([TEXT])[0], make(TEXT)
    for i in range(len(text)):
        assert same(model.stream().push(text[:i]).push(text[i:]).finish().probabilities, whole)
    session = model.stream()
    for i in range(len(text)):
        session.push(text[i : i + 1])
    assert same(session.finish().probabilities, whole)


@settings(max_examples=40)
@given(st.lists(st.text("ab<>&;'\"= \u0301\u200d漢ー/n't", max_size=5), max_size=6))
def test_any_pieces_of_any_text(random_model: Make, pieces: list[str]) -> None:
    """Words and probabilities are those of the whole text; a state between two pieces changes nothing."""
    model = random_model()
    session = model.stream()
    for piece in pieces:
        session = model.stream(session.push(piece).state)
    assert same(session.finish().vector, model.encode(["".join(pieces)])[0])
    assert session.steps == len(model.tokenizer.words("".join(pieces)))


def test_a_session_says_what_it_holds_back(random_model: Make) -> None:
    """`pending` is what later text could change; `finish` reads it, and what follows is a new word."""
    session = random_model().stream().push("a good fil")
    assert (session.steps, session.pending) == (2, "fil")
    assert (session.push("m").pending, session.finish().pending, session.steps) == ("film", "", 3)
    assert session.push("s ").steps == 4


def test_a_stream_ends_where_predict_does(random_model: Make) -> None:
    """Words beyond the model's longest text change nothing, unless the stream is to be endless."""
    model = random_model(max_length=3)
    text = "a good film a bad film"
    session, endless = model.stream(), model.stream(endless=True)
    for word in text.split():
        session.push(word + " ")
        endless.push(word + " ")
    assert (session.steps, endless.steps) == (3, 6)
    assert same(session.probabilities, model.predict_proba([text])[0])
    assert not same(endless.probabilities, session.probabilities)


def test_a_model_in_both_directions_cannot_stream() -> None:
    """It says so at once, and why."""
    with pytest.raises(ValueError, match="both directions can't be streamed: one of them begins at the end"):
        network(bidirectional=True).stream()


@pytest.mark.parametrize(
    ("piece", "error", "message"),
    [
        ("words", TypeError, "real numbers"),
        ([[1.0, 2.0]], ValueError, r"expected .*\[T, I\]"),
        (np.full((2, 3), np.nan), ValueError, "6 numbers that are not finite"),
        (np.full((2, 3), 3e38), None, ""),
        (np.zeros((1, 1, 3)), ValueError, r"expected .*\[T, I\]"),
    ],
)
def test_a_wrong_piece_reads_nothing(piece: Any, error: type[Exception] | None, message: str) -> None:
    """Pieces that do not fit are errors, and the session is as it was; large numbers are numbers."""
    session = network().stream().push(vectors(2))
    before = session.state
    if error is None:
        assert session.push(piece).steps == 4
        return
    with pytest.raises(error, match=message):
        session.push(piece)
    assert session.state == before


def test_a_piece_of_bytes_that_is_no_text_reads_nothing(random_model: Make) -> None:
    """Bytes that are no UTF-8 are an error, and the session is as it was, with the half character that it holds."""
    session = random_model().stream().push(b"a good \xc3")
    before = session.state
    with pytest.raises(ValueError, match="utf-8"):
        session.push(b"\xff")
    with pytest.raises(ValueError, match="first bytes of a character"):
        session.finish()
    assert session.state == before
    assert session.push(b"\xa9").pending == "é"


class Letters:
    """A part of its own: the ids of all words that have been read, as a score of the first class."""

    fields = MappingProxyType({"ids": Field(())})

    def read(self, kept: Kept, rows: Rows, steps: Steps) -> None:
        assert steps.ids is not None
        kept["ids"][rows] += np.where(np.arange(len(steps.ids))[:, None] < steps.lengths, steps.ids, 0).sum(0)

    def results(self, kept: Kept, rows: Rows, counts: npt.NDArray[np.int64]) -> tuple[None, Array]:
        return None, np.stack([kept["ids"][rows], 0 * kept["ids"][rows]], axis=1)


def test_scores_are_the_sum_of_a_models_parts(random_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that a model adds to its own is read, kept in the state, and added to the scores."""
    parts: Callable[[TextModel], tuple[StreamPart, ...]] = TextModel.stream_parts
    monkeypatch.setattr(TextModel, "stream_parts", lambda self: (*parts(self), Letters()))
    model = random_model()
    session = model.stream(model.stream().push("a good ").state).push("film ")
    [ids] = model.tokenizer.encode_batch(["a good film"])
    assert same(session.scores, model.scores(["a good film"])[0] + np.array([ids.sum(), 0], np.float32))


def test_the_package_shows_what_streams_need() -> None:
    """`Session`, `StreamPool` and `StateError` are at the top."""
    assert issubclass(tidegate.StateError, ValueError)
    assert {tidegate.Session.__name__, tidegate.StreamPool.__name__} == {"Session", "StreamPool"}
