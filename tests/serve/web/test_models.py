"""What the page shows of every kind of model, and of several side by side."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tidegate.models.text_model import TextModel

from .kinds import TEXT  # noqa: TID252 - pytest takes tests by their paths
from .pages import Open, ask, shown  # noqa: TID252


@pytest.mark.parametrize(
    ("kind", "maps", "parts"),
    [
        ("gru", 5, {"ledger", "flow", "inside"}),
        ("deep", 5, {"ledger", "flow", "inside"}),
        ("rnn", 2, {"flow", "inside"}),
        ("lstm", 7, {"ledger", "flow", "inside"}),
        ("before", 5, {"ledger", "flow", "inside"}),
        ("chosen", 4, {"ledger", "flow", "inside"}),
        ("fixed", 2, {"flow", "inside"}),
        ("average", 0, set()),
        ("compound", 0, set()),
    ],
)
def test_the_page_shows_what_a_model_has(visit: Open, kind: str, maps: int, parts: set[str]) -> None:
    """Every kind of model has its words and the pictures that its cell can fill, and no trouble with an empty text."""
    page = visit(kind, "a good film")
    expect(page.locator("#words > *")).to_have_text(["a", "good", "film"])
    assert page.locator("#gate input").count() == maps
    assert {part for part in ("ledger", "flow", "inside") if shown(page, f"#{part}")} == parts
    assert shown(page, "#gates") == bool(maps)
    if "inside" in parts:
        expect(page.locator("#equation")).to_contain_text(
            "cell state after = " if kind == "lstm" else "memory after = "
        )
        sliders = {"rnn": 0, "fixed": 1, "chosen": 2, "lstm": 4}.get(kind, 3)
        expect(page.locator("#drawing [role=slider]")).to_have_count(sliders)
        assert shown(page, "#undo") == (kind != "rnn")
    page.fill("#text", "")
    expect(page.locator("#words-empty")).to_be_visible()
    assert not any(shown(page, part) for part in ("#curve", "#gates", "#ledger", "#flow", "#inside"))
    expect(page.locator("#text-note")).to_have_text("0 words.")
    expect(page.locator("#stepper")).to_be_hidden()
    assert page.get_by_role("alert").count() == 0
    page.fill("#text", "film")
    expect(page.locator("#words > *")).to_have_text(["film"])
    assert {part for part in ("ledger", "flow", "inside") if shown(page, f"#{part}")} == parts
    expect(page.locator("#words-empty")).to_be_hidden()


@pytest.mark.parametrize(
    ("kind", "remark", "hint", "title"),
    [
        ("gru", "", "wrote into the memory", "The gates of every unit"),
        ("rnn", "No gate keeps what was written", "wrote into the memory", "The states of every unit"),
        ("fixed", "No gate keeps what was written", "wrote into the memory", "The states of every unit"),
        ("average", "An average has no memory that changes", "adds to the average", None),
        ("compound", "Compounding has no gates", "as far as compounding has left it", None),
    ],
)
def test_the_page_says_what_a_model_is_not(look: Open, kind: str, remark: str, hint: str, title: str | None) -> None:
    """Under the words stands what one must know of a model to read them, and no sentence speaks of what it has not."""
    page = look(kind)
    expect(page.locator("#remark")).to_have_text(re.compile(f"^{remark}" if remark else "^$"))
    expect(page.locator("#words-hint")).to_contain_text(hint)
    if title:
        expect(page.locator("#gates-title")).to_have_text(title)
    if kind == "average":
        assert "memory" not in page.text_content("#words-hint")  # type: ignore[operator]


def test_the_pictures_speak_of_the_chosen_class(visit: Open) -> None:
    """Of several classes the most probable is shown, until another is chosen; numbers are called classes."""
    page = visit("deep", "a good film")
    told = ask(page, "words", text="a good film")["probabilities"]
    expect(page.locator("#label")).to_have_value(str(told.index(max(told))))
    page.select_option("#label", label="class 1")
    expect(page.locator("#curve-note")).to_contain_text("class 1")
    expect(page.locator("#scale-high")).to_have_text("for class 1")


def test_two_models_stand_side_by_side(
    tools: Any, chromium: Browser, random_model: Callable[..., TextModel], tmp_path: Path
) -> None:
    """The same text has the words and the verdict of each model."""
    models = [random_model(cell, texts=[TEXT]) for cell in ("gru", "lstm")]
    paths = [tmp_path / f"{name}.safetensors" for name in ("first", "second")]
    for model, path in zip(models, paths, strict=True):
        model.save(path)
    with tools.served(*paths) as home:
        page = tools.opened(chromium, home, viewport={"width": 1280, "height": 2000})
        page.fill("#text", TEXT)
        for model, name in zip(models, ("own", "other"), strict=True):
            shares = [f"{100 * p:.0f} %" for p in model.predict_proba([TEXT])[0]]
            expect(page.locator(f"#{name}-verdict span")).to_have_text(shares)
            expect(page.locator(f"#{name}-words > *")).to_have_text(model.tokenizer.words(TEXT))
        expect(page.locator("#other-note")).to_contain_text("in first, and")
        expect(page.locator("#other option")).to_have_text(["second · LSTM"])
        page.context.close()


def test_a_late_answer_of_another_model_is_dropped(
    visit: Open, served: Callable[[Mapping[str, TextModel]], str], random_model: Callable[..., TextModel]
) -> None:
    """What a model answers after another one was chosen is not shown under the name of that."""
    models = {cell: random_model(cell, texts=[TEXT]) for cell in ("gru", "lstm", "rnn_tanh")}
    shares = [[f"{100 * p:.0f} %" for p in model.predict_proba([TEXT])[0]] for model in models.values()]
    assert shares[1] != shares[2]
    page = visit(served(models), text=None)
    late: list[Any] = []
    page.route("**/api/others/0/words", lambda route: late.extend([route]))
    with page.expect_request("**/api/others/0/words"):
        page.fill("#text", TEXT)
    page.select_option("#other", "1")
    expect(page.locator("#other-verdict span")).to_have_text(shares[2])
    with page.expect_response("**/api/others/0/words"):
        late[0].continue_()
    page.unroute("**/api/others/0/words")
    page.wait_for_timeout(100)
    expect(page.locator("#other-verdict span")).to_have_text(shares[2])


def test_one_model_stands_alone(look: Open) -> None:
    """There is nothing to compare it with, and nothing is shown."""
    assert not shown(look("gru"), "#beside")
