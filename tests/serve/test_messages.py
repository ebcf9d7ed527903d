"""What the page may ask: what is refused, and what becomes of the rest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydantic")

import pydantic

from tidegate.models.text_model import TextModel
from tidegate.serve.page import messages
from tidegate.serve.page.readings import Readings

Make = Callable[..., TextModel]


@pytest.mark.parametrize(
    ("kind", "fields", "complaint"),
    [
        ("Question", {"text": 5}, "valid string"),
        ("Question", {"txt": "a"}, "txt"),
        ("Question", {"text": "a" * (messages.LONGEST_TEXT + 1)}, "at most 200000 characters"),
        ("Question", {"vectors": [["x"]]}, "valid number"),
        ("Question", {"vectors": [[0.0]] * (messages.MOST_STEPS + 1)}, "at most 5000 items"),
        ("Place", {"text": "a", "layer": -1}, "greater than or equal to 0"),
        ("GateQuestion", {"text": "a", "gate": "w" * 101}, "at most 100 characters"),
        ("UnitQuestion", {"text": "a"}, "unit"),
        ("WhatIfQuestion", {"text": "a", "unit": 0, "step": 0, "values": {"n": 1e7}}, "less than or equal to 1000000"),
        ("WhatIfQuestion", {"text": "a", "unit": 0, "step": 0, "values": {"n": float("nan")}}, "values.n"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(kind: str, fields: dict[str, Any], complaint: str) -> None:
    """Wrong types, names, sizes and values are refused with a word about which and why."""
    with pytest.raises(pydantic.ValidationError, match=complaint):
        getattr(messages, kind)(**fields)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "neither or both of text and vectors"),
        ({"text": "a", "vectors": []}, "neither or both of text and vectors"),
        ({"vectors": [[1, 2, 3, 4], [1, 2, 3]]}, "row 2 has 3 numbers, expected 4"),
        ({"vectors": [[1, 2, 3, 1e300], [1, 2, 3, 4]]}, "the vectors hold 1 numbers that are not finite"),
        ({"text": "film " * (messages.MOST_STEPS + 1)}, "5,001 words, expected at most 5,000"),
    ],
)
def test_what_a_model_cannot_read_is_refused(random_model: Make, fields: dict[str, Any], complaint: str) -> None:
    """Neither input or both, vectors of another size or beyond float32, and too many words are refused."""
    with pytest.raises(messages.QuestionError, match=complaint):
        Readings(random_model()).of(messages.Question(**fields))


def test_vectors_become_an_array() -> None:
    """Rows of numbers are read as float32 [T, E], no row as [0, E]."""
    array = messages.Question(vectors=[[1, 2, 3, 4]]).source(4)
    assert isinstance(array, np.ndarray)
    np.testing.assert_array_equal(array, np.array([[1, 2, 3, 4]], np.float32))
    empty = messages.Question(vectors=[]).source(4)
    assert isinstance(empty, np.ndarray)
    assert empty.shape == (0, 4)


def test_a_layer_that_is_not_there_is_named(random_model: Make) -> None:
    """A layer or direction that the model has not is refused by name."""
    traces = random_model(num_layers=2).trace("film")
    assert messages.Place(text="film", layer=1).find(traces).layer == 1
    with pytest.raises(messages.QuestionError, match="no layer 2, expected one of its 2"):
        messages.Place(text="film", layer=2).find(traces)
    with pytest.raises(messages.QuestionError, match="no layer 0, reverse"):
        messages.Place(text="film", reverse=True).find(traces)
