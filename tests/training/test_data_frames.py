"""Data frames and data sets of other libraries, trained on in memory or part by part."""

from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.training.data import data_frames
from tidegate.training.data.examples import SequenceExamples, TextExamples
from tidegate.training.fitting import _examples

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

QUICK: dict[str, Any] = {"epochs": 6, "batch_size": 8, "learning_rate": 0.05, "hidden_size": 4, "embedding_size": 4}
OPTIONS: dict[str, Any] = {"task": "classification", "validation": 0.2, "seed": 0}
REVIEWS = {"id": list(range(80)), "review": ["so good", "so bad"] * 40, "stars": [5, 1] * 40}


@pytest.fixture(params=[False, True], ids=["in memory", "on a disk"])
def large(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether every frame is taken for one that does not fit into memory."""
    if request.param:
        monkeypatch.setattr(data_frames, "_GROWS", 10**9)
    monkeypatch.setattr(data_frames, "_ROWS", 30)
    return bool(request.param)


@pytest.mark.parametrize("kind", ["polars", "lazy", "arrow", "pandas", "datasets", "iterable"])
def test_texts_of_a_frame(kind: str, large: bool) -> None:
    """Columns are found as those of files are, and labels keep their type."""
    frame: Any = pl.DataFrame(REVIEWS)
    if kind == "lazy":
        frame = frame.lazy()
    elif kind == "arrow":
        frame = frame.to_arrow()
    elif kind == "pandas":
        frame = pytest.importorskip("pandas").DataFrame(REVIEWS)
    elif kind in {"datasets", "iterable"}:
        frame = pytest.importorskip("datasets").Dataset.from_dict(REVIEWS)
        frame = frame.to_iterable_dataset() if kind == "iterable" else frame
    examples = _examples(frame, "stars", {}, **OPTIONS)
    assert isinstance(examples, TextExamples)
    assert (examples.spool is not None) == large
    assert len(examples.source) + len(examples.validation) == 80
    assert examples.classes == (1, 5)
    assert "good" in examples.tokenizer.vocab


def test_a_frame_trains_a_model(large: bool) -> None:
    """`tidegate.fit` takes a frame to train on and one to judge by."""
    frame = pl.DataFrame(REVIEWS)
    model = tidegate.fit(frame.lazy(), "stars", validation=frame, memory="1GB", **QUICK)
    assert model.predict(["good", "bad"]).tolist() == [5, 1]
    assert model.metrics["n"] == 80


@pytest.mark.parametrize("long", [True, False])
def test_sequences_of_a_frame(long: bool, large: bool) -> None:
    """A long frame with a key, and one with lists of numbers, hold sequences; several labels are a regression."""
    if long:
        keys = np.repeat(np.arange(60), 4)
        frame = pl.DataFrame({"who": keys, "x": np.arange(240.0), "a": keys / 7, "b": keys % 5})
        frame = frame.sample(fraction=1, shuffle=True, seed=0)
        settings: dict[str, Any] = {"key": "who", "features": "x"}
    else:
        frame = pl.DataFrame({"x": [[1.0, 2.0, 3.0]] * 60, "a": np.arange(60) / 7, "b": np.arange(60) % 5})
        settings = {}
    examples = _examples(frame, ["a", "b"], settings, **OPTIONS | {"task": "regression"})
    assert isinstance(examples, SequenceExamples)
    columns = {"key": "who" if long else None, "time": None, "target": None}
    assert settings == {"columns": ("x",), **columns}
    assert examples.labels == ("a", "b")
    assert (examples.spool is not None) == large
    assert len(examples.source) + len(examples.validation) == 60
    assert examples.train.targets.shape[1] == 2


@pytest.mark.parametrize(
    ("frame", "labels", "settings", "message"),
    [
        (pl.DataFrame({"text": [], "label": []}), "label", {}, "no rows"),
        (pl.DataFrame(REVIEWS), "nothing", {}, "no column 'nothing'"),
        (pl.DataFrame(REVIEWS), "stars", {"text": "other"}, "no column 'other'"),
        (pl.DataFrame(REVIEWS), "stars", {"memory": "little"}, "memory is 'little'"),
        (pl.DataFrame(REVIEWS), "stars", {"validation": (["so good"], [5])}, "validation"),
        (pl.DataFrame(REVIEWS), "stars", {"validation": (pl.DataFrame(REVIEWS), "other")}, "no column 'other'"),
        (pl.DataFrame(REVIEWS), "stars", {"validation": (pl.DataFrame(REVIEWS), ["id", "id"])}, "names 2 columns"),
        (pl.DataFrame(REVIEWS), "stars", {"validation": 1.5}, "the validation share is 1.5"),
        (pl.DataFrame(REVIEWS), ["p", "n"] * 40, {}, "labels is a list with 'p', expected names of columns"),
        (
            pl.DataFrame(REVIEWS),
            None,
            {"task": "next"},
            "takes sequences of numbers as arrays and texts as a list, but the data is a frame",
        ),
        (pl.DataFrame(REVIEWS), "stars", {"layout": "channels_first"}, "layout is given, which says what arrays hold"),
        (pl.DataFrame(REVIEWS), "stars", {"frontend": "logmel"}, "frontend is given"),
    ],
)
def test_what_a_frame_lacks_is_said(frame: Any, labels: str, settings: dict[str, Any], message: str) -> None:
    """Frames without rows or without the columns that are named are refused."""
    with pytest.raises(ValueError, match=message):
        tidegate.fit(frame, labels, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "multi-label"}, "the task is 'multi-label'"),
        ({"sample_weight": np.ones(80)}, "sample_weight is given"),
    ],
)
def test_what_needs_all_rows_in_memory_is_said(
    settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several labels a row, and weights of rows, are refused before a frame that is too large is read."""
    monkeypatch.setattr(data_frames, "_GROWS", 10**9)
    with pytest.raises(ValueError, match=f"{message}, for which a frame has to fit into memory"):
        tidegate.fit(pl.DataFrame(REVIEWS), "stars", memory="1GB", **settings)


def test_a_frame_to_judge_by_has_columns_of_its_own(large: bool) -> None:
    """The labels of another frame are those of the column that is named with it; values are no names."""
    frame = pl.DataFrame(REVIEWS)
    other = frame.with_columns(mine=6 - pl.col("stars"))
    examples = _examples(frame, "stars", {}, **OPTIONS | {"validation": (other, "mine")})
    assert examples.validation.targets.tolist() == [0, 1] * 40
    for labels in (np.array(REVIEWS["stars"]), REVIEWS["stars"]):
        with pytest.raises(TypeError, match="expected the name of a column"):
            _examples(frame, labels, {}, **OPTIONS)
        with pytest.raises(TypeError, match="the second of validation is of type"):
            _examples(frame, "stars", {}, **OPTIONS | {"validation": (other, labels)})


def test_columns_are_those_of_frames_alone() -> None:
    """Settings that name columns are refused where there are none."""
    with pytest.raises(TypeError, match="no setting 'key'"):
        tidegate.fit(["so good", "so bad"] * 4, ["a", "b"] * 4, key="who")
