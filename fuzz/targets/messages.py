"""Fuzzes the page's messages: a refusal that says why, or an answer that is JSON.

The first byte of an input chooses the model, the second one the question, the rest is the message.
"""

import json

import atheris
from harness import fuzz

with atheris.instrument_imports(include=["tidegate"]):
    from models import make_model
    from tidegate.serve.page.pictures import Page, messages

from pydantic import ValidationError

# Explaining a text in both directions takes time with the square of its length, and the search would grow such texts.
PAGES = [
    Page(make_model("gru", num_layers=2, bidirectional=True, max_length=16)),
    Page(make_model("lstm", summary="mean+max")),
    Page(make_model("rnn_tanh", bias=False)),
    Page(make_model("gru reset=before", max_length=3)),
    Page(make_model("average")),
]
QUESTIONS = (
    (messages.Question, Page.words),
    (messages.GateQuestion, Page.heat_map),
    (messages.Place, Page.stream),
    (messages.Place, Page.flow),
    (messages.UnitQuestion, Page.unit),
    (messages.WhatIfQuestion, Page.what_if),
)


def ask(data: bytes) -> None:
    """Asks one question."""
    if len(data) < 2:
        return
    page, (message, answer) = PAGES[data[0] % len(PAGES)], QUESTIONS[data[1] % len(QUESTIONS)]
    try:
        found = answer(page, message.model_validate_json(data[2:]))
    except (ValidationError, messages.QuestionError, FloatingPointError):
        return
    json.loads(found.model_dump_json(), parse_constant=not_json)


def not_json(word: str) -> None:
    """Raises for a word that Python reads and browsers do not."""
    raise RuntimeError(f"the answer holds {word}, which is not JSON")


if __name__ == "__main__":
    fuzz(ask)
