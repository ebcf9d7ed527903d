"""Tests of the trained text model without torch: its numbers against torch, its file, and what it refuses."""

import copy
import dataclasses
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.models.architecture import cell_names
from tidegate.models.config import TextConfig
from tidegate.models.files import model_file
from tidegate.models.files.model_file import ModelFileError
from tidegate.models.loading import load
from tidegate.models.text_model import TextModel
from tidegate.sequences import padding
from tidegate.sequences.summaries import SUMMARIES
from tidegate.text.tokenizer import Tokenizer

TOLERANCE = 1e-5
SENTENCES = ["A fine, fine film!", "What a dull film...", "The plot, the acting: all is dull.", "Go and see it"]
TEXTS = [*SENTENCES, "", "unheard-of words", "film " * 70]
TOKENIZER = Tokenizer.train(SENTENCES, min_frequency=1)
BASE: dict[str, Any] = {
    "labels": ("bad", "good", "so-so"),
    "vocab_size": len(TOKENIZER),
    "embedding_size": 6,
    "hidden_size": 5,
}


def make_arrays(config: TextConfig, seed: int = 5) -> dict[str, npt.NDArray[np.float32]]:
    """Random arrays as the configuration wants them."""
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(-0.7, 0.7, shape).astype(np.float32) for name, shape in config.shapes().items()}


def make_model(cell: str = "gru", **changes: Any) -> TextModel:
    """A model with random weights."""
    config = TextConfig(cell=cell, **BASE | changes)
    return TextModel(config, TOKENIZER, make_arrays(config), {"accuracy": 0.5}, {"tidegate": "0.0"})


KINDS = [
    *((cell, {"summary": summary}) for cell in ("gru", "lstm", "rnn_tanh") for summary in SUMMARIES),
    *((cell, {"summary": s, "bidirectional": True, "num_layers": 2}) for cell in ("gru", "lstm") for s in SUMMARIES),
    ("rnn_relu", {"bias": False, "num_layers": 3}),
    ("average", {}),
    ("compound", {}),
]


def torch_scores(model: TextModel, texts: list[str]) -> npt.NDArray[np.float32]:
    """The same network in plain torch, text by text: embedding, layer, summary, head."""
    torch = pytest.importorskip("torch")
    config = model.config
    arrays = {name: torch.from_numpy(array.copy()) for name, array in model.arrays.items()}
    if config.recurrent:
        options: dict[str, Any] = {
            "num_layers": config.num_layers,
            "bidirectional": config.bidirectional,
            "bias": config.bias,
        }
        kinds = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
        if config.cell not in kinds:
            options["nonlinearity"] = config.cell.removeprefix("rnn_")
        layer = kinds.get(config.cell, torch.nn.RNN)(6, 5, **options)
        layer.load_state_dict({key[4:]: array for key, array in arrays.items() if key.startswith("rnn.")})

    def summary(ids: Any) -> Any:
        x = arrays["embedding.weight"][ids.astype(np.int64)]
        if not len(ids):
            return torch.zeros(config.summary_size)
        if config.cell == "average":
            return x.mean(0)
        if config.cell == "compound":
            return (arrays["rate"] ** torch.arange(len(ids) - 1, -1, -1)[:, None] * x).sum(0)
        y, h_n = layer(x[:, None])
        h_n = h_n[0] if config.cell == "lstm" else h_n
        last = h_n[-(1 + config.bidirectional) :].flatten()
        parts = {"last": last, "mean": y[:, 0].mean(0), "max": y[:, 0].amax(0)}
        return torch.cat([parts[part] for part in config.summary.split("+")])

    with torch.no_grad():
        rows = [summary(ids) for ids in model.tokenizer.encode_batch(texts, config.max_length)]
        scores = torch.stack(rows) @ arrays["head.weight"].T + arrays["head.bias"]
    return np.asarray(scores)


@pytest.mark.parametrize(("cell", "changes"), KINDS)
def test_scores_are_those_of_torch(cell: str, changes: dict[str, Any]) -> None:
    """Every cell, summary and direction gives the logits of the same network in torch, for texts of any length."""
    model = make_model(cell, **changes)
    assert model.scores(TEXTS) == pytest.approx(torch_scores(model, TEXTS), abs=TOLERANCE)


@pytest.mark.parametrize(("cell", "changes"), KINDS)
def test_a_text_has_the_same_bits_in_any_batch(
    cell: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores of a text depend neither on the other texts, nor on their order, nor on how they are batched."""
    model = make_model(cell, **changes)
    together = model.scores(TEXTS)
    assert together.tobytes() == np.concatenate([model.scores([text]) for text in TEXTS]).tobytes()
    assert together[::-1].tobytes() == model.scores(TEXTS[::-1]).tobytes()
    monkeypatch.setattr(padding, "STEPS_PER_BATCH", 75)
    monkeypatch.setattr("tidegate.text.tokenizer._AT_ONCE", 3)
    assert together.tobytes() == model.scores(TEXTS).tobytes()


@pytest.mark.parametrize(("cell", "changes"), KINDS)
def test_probability_after_a_word_is_that_of_the_text_so_far(cell: str, changes: dict[str, Any]) -> None:
    """Row t equals the prediction for the first t + 1 words alone, to the bit."""
    model = make_model(cell, **changes)
    text = "a dull plot the film is fine ! go"
    words, after = model.probability_after(text)
    assert words == text.split()
    beginnings = [" ".join(words[:end]) for end in range(1, len(words) + 1)]
    assert after.tobytes() == model.predict_proba(beginnings).tobytes()


def test_probability_after_stops_at_the_longest_text() -> None:
    """Words beyond `max_length` are neither read nor shown, and a text without words has no row."""
    model = make_model(max_length=3)
    words, after = model.probability_after("A fine, unheard-of film")
    assert (words, after.shape) == (["a", "fine", ","], (3, 3))
    assert (after[-1] == model.predict_proba(["A fine, unheard-of film"])[0]).all()
    for bidirectional in (False, True):
        words, after = make_model(bidirectional=bidirectional).probability_after(" ")
        assert (words, after.shape) == ([], (0, 3))


def test_labels_and_probabilities_follow_from_the_scores() -> None:
    """Probabilities are the softmax of the scores, labels the largest, in the types that users expect."""
    model = make_model()
    scores, probabilities = model.scores(TEXTS), model.predict_proba(TEXTS)
    powers = np.exp(scores.astype(np.float64))
    assert probabilities == pytest.approx(powers / powers.sum(axis=1, keepdims=True), abs=1e-6)
    assert probabilities.dtype == scores.dtype == model.encode(TEXTS).dtype == np.float32
    labels = model.predict(TEXTS)
    assert labels.tolist() == [model.config.labels[best] for best in scores.argmax(axis=1)]
    assert {type(label) for label in labels} == {str}


def test_large_scores_do_not_overflow() -> None:
    """Logits of thousands give probabilities of 0 and 1."""
    model = make_model("average")
    bias = np.array([5000, -5000, 0], np.float32)
    extreme = TextModel(model.config, TOKENIZER, model.arrays | {"head.bias": bias})
    assert extreme.predict_proba(["film"]).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("texts", [[], (), iter([]), np.array([], str)])
def test_no_texts_give_no_rows(texts: Any) -> None:
    """An empty list is no error: the arrays have 0 rows and all their columns."""
    model = make_model()
    texts = list(texts)
    assert model.scores(texts).shape == model.predict_proba(texts).shape == (0, 3)
    assert model.encode(texts).shape == (0, 5)
    assert model.predict(texts).shape == (0,)


def test_texts_come_in_any_collection() -> None:
    """Lists, tuples, generators and arrays of texts are read alike."""
    model = make_model()
    expected = model.scores(TEXTS).tobytes()
    for texts in (tuple(TEXTS), iter(TEXTS), np.array(TEXTS), np.array(TEXTS, object)):
        assert model.scores(texts).tobytes() == expected


WRONG_TEXTS: dict[str, tuple[Any, str]] = {
    "one text": ("A fine film", r"texts is one text, expected several: pass \[text\] for 'A fine film'"),
    "a missing value": (["film", float("nan")], r"texts\[1\] is nan, expected a text \(str\)"),
    "bytes": ([b"film"], r"texts\[0\] is b'film', expected a text \(str\)"),
}


@pytest.mark.parametrize("method", ["predict", "predict_proba", "scores", "encode"])
@pytest.mark.parametrize(("texts", "message"), WRONG_TEXTS.values(), ids=WRONG_TEXTS.keys())
def test_what_is_no_list_of_texts_is_named(method: str, texts: Any, message: str) -> None:
    """A text alone would be read letter by letter, so it is refused, and so is what is no text."""
    with pytest.raises(TypeError, match=message):
        getattr(make_model(), method)(texts)


def test_two_models_in_two_threads_do_not_disturb_each_other() -> None:
    """One model may be used by several threads at once."""
    model = make_model(num_layers=2, bidirectional=True)
    expected = model.scores(TEXTS).tobytes()
    with ThreadPoolExecutor(4) as pool:
        assert {scores.tobytes() for scores in pool.map(lambda _: model.scores(TEXTS), range(20))} == {expected}


def test_arrays_are_the_models_own() -> None:
    """Training may go on with the arrays that a model was made of, and the model's cannot be changed."""
    config = TextConfig(cell="gru", **BASE)
    arrays = make_arrays(config)
    model = TextModel(config, TOKENIZER, arrays)
    before = model.scores(TEXTS).tobytes()
    for array in arrays.values():
        array[:] = 0
    assert model.scores(TEXTS).tobytes() == before
    with pytest.raises(ValueError, match="read-only"):
        model.arrays["head.bias"][:] = 0


def test_a_model_shows_what_it_is() -> None:
    """The representation names cell, labels and size."""
    assert repr(make_model("average", vocab_size=len(TOKENIZER))) == (
        f"TextModel('average', labels=['bad', 'good', 'so-so'], {len(TOKENIZER) * 6 + 3 * 6 + 3:,} parameters)"
    )


def assert_same(left: TextModel, right: TextModel) -> None:
    """Holds two models against each other, part by part and by what they predict."""
    assert left.config == right.config
    assert left.metrics == right.metrics
    assert left.versions == right.versions
    assert left.tokenizer.to_json() == right.tokenizer.to_json()
    assert left.arrays.keys() == right.arrays.keys()
    assert all(left.arrays[name].tobytes() == right.arrays[name].tobytes() for name in left.arrays)
    assert left.scores(TEXTS).tobytes() == right.scores(TEXTS).tobytes()


@settings(max_examples=50)
@given(data=st.data())
def test_a_saved_model_comes_back_the_same(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever its sizes, labels and metrics, a model is the same after saving and loading, to the bit."""
    cell = data.draw(st.sampled_from(cell_names()))
    config = TextConfig(
        cell=cell,
        labels=tuple(data.draw(st.lists(st.text(), min_size=2, max_size=5, unique=True))),
        vocab_size=len(TOKENIZER),
        embedding_size=data.draw(st.integers(1, 9)),
        hidden_size=data.draw(st.integers(1, 17)),
        num_layers=data.draw(st.integers(1, 3)),
        bidirectional=data.draw(st.booleans()),
        bias=data.draw(st.booleans()),
        summary=data.draw(st.sampled_from(SUMMARIES)),
        max_length=data.draw(st.none() | st.integers(1, 5)),
        rate=data.draw(st.none() | st.floats(0, 1)) if cell == "compound" else None,
    )
    metrics = data.draw(st.dictionaries(st.text(), st.none() | st.booleans() | st.floats(allow_nan=False) | st.text()))
    model = TextModel(config, TOKENIZER, make_arrays(config), metrics)
    path = tmp_path_factory.getbasetemp() / "round_trip.safetensors"
    model.save(path)
    assert_same(load(path, TextModel), model)


def test_a_model_can_be_sent_to_another_process() -> None:
    """Pickled and restored, as pools of processes do it, or copied, a model is the same."""
    model = make_model(num_layers=2, bidirectional=True)
    assert_same(pickle.loads(pickle.dumps(model)), model)
    assert_same(copy.deepcopy(model), model)


def test_metrics_of_numpy_are_saved_as_numbers(tmp_path: Path) -> None:
    """Scalars of numpy, which JSON does not know, become plain numbers; not-a-number stays what it is."""
    model = make_model()
    model.metrics |= {"f1": np.float32(0.5), "n": np.int64(7), "ece": float("nan")}
    model.save(tmp_path / "model.safetensors")
    metrics = load(tmp_path / "model.safetensors").metrics
    assert (metrics["f1"], metrics["n"]) == (0.5, 7)
    assert np.isnan(metrics["ece"])


def test_a_new_model_names_the_version_that_made_it() -> None:
    """Without versions given, a model holds that of tidegate."""
    config = TextConfig(cell="average", **BASE)
    assert TextModel(config, TOKENIZER, make_arrays(config)).versions == {"tidegate": version("tidegate")}


def test_a_failed_save_keeps_the_old_model(tmp_path: Path) -> None:
    """Metrics that JSON does not hold are refused before anything is written."""
    path = tmp_path / "model.safetensors"
    model = make_model()
    model.save(path)
    model.metrics["model"] = model
    with pytest.raises(TypeError, match=r"TextModel.* is of type TextModel, expected what JSON holds"):
        model.save(path)
    assert load(path).metrics == {"accuracy": 0.5}
    assert list(tmp_path.iterdir()) == [path]


@given(data=st.data())
def test_a_changed_file_is_seen_or_is_the_same_model(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """With bytes changed, cut off or put in, a file gives a ModelFileError or the very same model."""
    path = tmp_path_factory.getbasetemp() / "changed_model.safetensors"
    model = make_model()
    model.save(path)
    saved = path.read_bytes()
    position = data.draw(st.integers(0, len(saved)))
    removed, inserted = data.draw(st.integers(0, 3)), data.draw(st.binary(max_size=3))
    path.write_bytes(saved[:position] + inserted + saved[position + removed :])
    try:
        loaded = load(path, TextModel)
    except ModelFileError:
        return
    assert_same(loaded, model)


Change = Callable[[dict[str, Any], dict[str, Any]], object]


def config_with(**changes: Any) -> Change:
    """Changes values of the configuration."""
    return lambda arrays, texts: texts.update(config=json.dumps(json.loads(texts["config"]) | changes))


def nan_in_the_head(arrays: dict[str, Any], texts: dict[str, Any]) -> None:
    """Makes one weight not a number."""
    arrays["head.weight"] = arrays["head.weight"].copy()
    arrays["head.weight"][0, 0] = np.nan


BAD_CONTENTS: dict[str, tuple[Change, str]] = {
    "hidden size": (
        config_with(hidden_size=6),
        r"rnn.weight_ih_l0 has shape \(15, 6\), expected \[G·H, E\] = \(18, 6\): .*H=6 comes from hidden_size",
    ),
    "more layers": (config_with(num_layers=2), "the model lacks 'rnn.weight_ih_l1', .*expected for cell 'gru'"),
    "most layers": (config_with(num_layers=64, hidden_size=65_536), "the model lacks 'rnn.weight_ih_l1'"),
    "too many layers": (config_with(num_layers=10**9), "num_layers is 1000000000, expected 1..64"),
    "another cell": (config_with(cell="rnn_tanh"), r"rnn.weight_ih_l0 has shape .* G=1 comes from cell 'rnn_tanh'"),
    "no cell": (config_with(cell="average"), "the model has 'rnn.bias_hh_l0', .*not expected for cell 'average'"),
    "another summary": (
        config_with(summary="mean+max"),
        r"head.weight has shape \(3, 5\), .* F=10 comes from the size",
    ),
    "more labels": (config_with(labels=["a", "b", "c", "d"]), r"head.weight .* C=4 comes from the number of labels"),
    "equal labels": (config_with(labels=["a", "b", "a"]), "labels has 'a' twice"),
    "a larger vocabulary": (
        config_with(vocab_size=10**6),
        "embedding.weight has shape .* V=1000000 comes from vocab_s",
    ),
    "an unknown key": (config_with(colour="red"), "config has 'colour', not expected"),
    "no configuration": (lambda arrays, texts: texts.update(config="null"), "config is 'null', expected a JSON object"),
    "no metrics": (lambda arrays, texts: texts.update(metrics="{"), "metrics is not JSON"),
    "no versions": (lambda arrays, texts: texts.update(versions="[]"), r"versions is '\[\]', expected a JSON object"),
    "no tokenizer": (lambda arrays, texts: texts.update(tokenizer="{}"), "this is not a tokenizer of tidegate"),
    "another tokenizer": (
        lambda arrays, texts: texts.update(tokenizer=Tokenizer.train(["film"], min_frequency=1).to_json()),
        rf"the tokenizer has 3 words, expected vocab_size = {len(TOKENIZER)}",
    ),
    "no number": (nan_in_the_head, "head.weight holds 1 numbers that are not finite"),
    "an array less": (lambda arrays, texts: arrays.pop("head.bias"), "the model lacks 'head.bias'"),
    "an array more": (lambda arrays, texts: arrays.update(x=arrays["head.bias"]), "the model has 'x', not expected"),
    "no texts": (lambda arrays, texts: texts.clear(), "its metadata has .*, expected"),
    "a text more": (lambda arrays, texts: texts.update(notes="mine"), "its metadata has .*'notes'.*, expected"),
    "the next version": (lambda arrays, texts: texts.update(tidegate="3"), "it has format '3', expected '1' or '2'"),
}


@pytest.mark.parametrize(("change", "message"), BAD_CONTENTS.values(), ids=BAD_CONTENTS.keys())
def test_contents_that_do_not_fit_are_named(tmp_path: Path, change: Change, message: str) -> None:
    """A file whose digest is right, but whose parts do not fit each other, is refused with file and reason."""
    path = tmp_path / "model.safetensors"
    make_model().save(path)
    with model_file.reading(path) as contents:
        arrays, texts = contents.arrays(), contents.metadata
    change(arrays, texts)
    model_file.write(path, arrays, texts)
    with pytest.raises(ModelFileError, match=rf"model\.safetensors: {message}"):
        load(path)


def test_arrays_are_not_read_before_they_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the wrong sizes is refused by its header, however large it is."""
    path = tmp_path / "model.safetensors"
    make_model().save(path)
    with model_file.reading(path) as contents:
        arrays, texts = contents.arrays(), contents.metadata
    config_with(hidden_size=6)(arrays, texts)
    model_file.write(path, arrays, texts)
    monkeypatch.setattr(model_file.Contents, "arrays", lambda contents: pytest.fail("the arrays were read"))
    with pytest.raises(ModelFileError, match="expected"):
        load(path)


@given(data=st.data())
def test_a_hostile_configuration_is_refused_or_works(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any change of the configuration with a right digest gives a ModelFileError or a model that predicts."""
    path = tmp_path_factory.getbasetemp() / "hostile.safetensors"
    model = make_model()
    key = data.draw(st.sampled_from([field.name for field in dataclasses.fields(TextConfig)]))
    json_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=4)
    config = json.loads(model.config.to_json()) | {key: data.draw(json_values)}
    texts = {"tokenizer": TOKENIZER.to_json(), "metrics": "{}", "versions": "{}", "config": json.dumps(config)}
    model_file.write(path, model.arrays, texts)
    try:
        loaded = load(path)
    except ModelFileError:
        return
    assert loaded.predict_proba(TEXTS).sum(axis=1) == pytest.approx(1)


WRONG_PARTS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "float64": ({"head.bias": np.zeros(3)}, TypeError, "head.bias has dtype float64, expected float32"),
    "infinity": (
        {"head.bias": np.array([0, np.inf, -np.inf], np.float32)},
        ValueError,
        "head.bias holds 2 numbers that are not finite",
    ),
    "shape": (
        {"head.bias": np.zeros(2, np.float32)},
        ValueError,
        r"head.bias has shape \(2,\), expected \[C\] = \(3,\)",
    ),
}


@pytest.mark.parametrize(("changes", "kind", "message"), WRONG_PARTS.values(), ids=WRONG_PARTS.keys())
def test_parts_that_do_not_fit_are_named(changes: dict[str, Any], kind: type[Exception], message: str) -> None:
    """A model cannot be made of arrays that its file would refuse."""
    config = TextConfig(cell="gru", **BASE)
    with pytest.raises(kind, match=message):
        TextModel(config, TOKENIZER, make_arrays(config) | changes)


def test_models_need_no_torch(tmp_path: Path) -> None:
    """A fresh interpreter loads a model and uses all of it without torch, pyarrow or scikit-learn."""
    path = tmp_path / "model.safetensors"
    make_model(bidirectional=True).save(path)
    code = (
        "import sys; from tidegate.models.loading import load; model = load(sys.argv[1]);"
        "model.predict(['fine']), model.predict_proba(['fine']), model.encode(['fine']);"
        "model.probability_after('fine'), model.save(sys.argv[1]);"
        "print(sorted({'torch', 'pyarrow', 'sklearn', 'typer', 'rich'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
