"""What the memory holds, and how the gradient flows."""

import re
from functools import partial

import pytest
from playwright.sync_api import expect

from .kinds import TEXT  # noqa: TID252 - pytest takes tests by their paths
from .pages import Open, ask, comes_back, picture, words  # noqa: TID252


def test_the_stream_tells_what_the_memory_holds(look: Open) -> None:
    """The note under the stream gives the shares of the largest words and of all others."""
    page = look("gru")
    told = ask(page, "ledger", text=TEXT)
    total, t = sum(row[-1] for row in told["amounts"]), len(told["own"]) - 1
    others = sorted((row[-1] / total for row, word in zip(told["amounts"], told["top"], strict=False) if word != t))
    own, listed = told["own"][-1] / total, sum(others[-5:])
    note, name = page.locator("#stream-note"), r"“film \(14\)”"
    expect(note).to_have_text(re.compile(rf"^After {name} the memory holds: {100 * own:.0f}\s% {name}, "))
    expect(note).to_have_text(re.compile(rf", {100 * (1 - own - listed):.0f}\s% others\.$"))


def test_the_stream_counts_the_word_just_read(visit: Open) -> None:
    """A word has its share in the sentence about its own step, though its band is grey."""
    page = visit(text="a film and a film and a bad film and nothing but good film")
    told = ask(page, "ledger", text=page.input_value("#text"))
    t = min(set(range(len(told["own"]))) - set(told["top"]))
    page.locator("#words > *").nth(t).click()
    share = 100 * told["own"][t] / sum(row[t] for row in told["amounts"])
    name = words(page)[t] + f" ({t + 1})" * (words(page).count(words(page)[t]) > 1)
    expect(page.locator("#stream-note")).to_contain_text(f"After “{name}” the memory holds: {share:.0f} % “{name}”")
    page.locator("#words > *").filter(has_text="nothing").click()
    expect(page.locator("#stream-note")).to_contain_text("After “nothing” the memory")


def test_the_gradient_stands_beside_that_of_a_network_without_gates(look: Open) -> None:
    """Both verdicts are told, with true minus signs, at which no line breaks, and what the other network is."""
    page = look("gru")
    told = ask(page, "flow", text=TEXT)
    this, vanilla = (told[name]["verdict"].replace("e-", "e−") for name in ("this", "vanilla"))
    assert "e−" in this
    expect(page.locator("#flow-note li")).to_have_text([f"this GRU {this}", f"the RNN without gates {vanilla}"])
    expect(page.locator("#flow-hint")).to_contain_text(
        "the vanilla RNN that this GRU becomes with its gates off, with the same candidate weights"
    )


@pytest.mark.parametrize(("before", "text"), [("a good film", "a bad film"), ("good", "film")])
def test_pictures_come_back_after_an_empty_text(visit: Open, before: str, text: str) -> None:
    """A text typed after an empty one has the curve and the map that it has on a fresh page."""
    page = visit(text=before)
    expect(page.locator("#flow-note li")).to_have_count(2)
    pages = (page, visit(text=text))
    page.fill("#text", "")
    expect(page.locator("#words-empty")).to_be_visible()
    page.wait_for_timeout(300)
    page.fill("#text", text)
    for each in pages:
        expect(each.locator("#words > *")).to_have_text(text.split())
        expect(each.locator("#flow-note li")).to_have_count(2)
        each.locator("#words > *").last.click()
        each.mouse.move(5, 5)
    for canvas in ("#curve canvas", "#map", "#stream canvas", "#flow-plot canvas", "#life canvas"):
        assert comes_back(page, partial(picture, pages[1], canvas), canvas), canvas
