"""The list of words, and what follows the word that is chosen."""

import re

import pytest
from playwright.sync_api import expect

from .kinds import TEXT  # noqa: TID252 - pytest takes tests by their paths
from .pages import Open, ask, luminance, words  # noqa: TID252


def test_words_are_coloured_as_one_types(visit: Open) -> None:
    """Every word gets the colour of its share, and the verdict follows each key."""
    page = visit(text="")
    page.locator("#text").press_sequentially("a bad film")
    expect(page.locator("#words > *")).to_have_text(["a", "bad", "film"])
    told = ask(page, "words", text="a bad film")
    pulls = [share[1] - share[0] for share in told["contributions"]]
    items = page.locator("#words > *")
    expect(items.nth(2)).to_have_attribute("aria-selected", "true")
    for item, pull in zip(items.all(), pulls, strict=True):
        assert ("against" if pull < 0 else "for") in (item.get_attribute("class") or "")
        strength = float(item.evaluate("(word) => word.style.getPropertyValue('--pull')"))
        assert strength == pytest.approx((abs(pull) / max(map(abs, pulls))) ** 0.6, abs=1e-3)
    bar = page.locator("#verdict meter").nth(1).evaluate("(meter) => meter.value")
    assert bar == pytest.approx(told["probabilities"][1])
    expect(page.locator("#curve-note")).to_contain_text(
        f"After “film”: {100 * told['probabilities'][1]:.0f} % for positive."
    )


def test_examples_are_one_click_away(visit: Open) -> None:
    """An example fills the text, and the word that counts most is chosen."""
    page = visit()
    page.get_by_role("button", name="Love first, then a plot").click()
    expect(page.locator("#text")).to_have_value(re.compile("^I love this movie so much"))
    expect(page.locator("#words > *").nth(1)).to_have_text("love")
    told = ask(page, "words", text=page.input_value("#text"))
    pulls = [abs(share[1] - share[0]) for share in told["contributions"]]
    expect(page.locator("#step")).to_have_value(str(1 + pulls.index(max(pulls))))


def test_all_pictures_mark_the_same_word(visit: Open) -> None:
    """A word that is chosen anywhere is the one that every picture speaks of."""
    page = visit()
    page.locator("#words > *").nth(1).click()
    for note in ("#word-note", "#curve-note", "#map-note", "#stream-note", "#life-note", "#step-note"):
        expect(page.locator(note)).to_contain_text("good")
    page.get_by_role("button", name="Next word").click()
    for note in ("#word-note", "#curve-note", "#map-note", "#stream-note", "#life-note", "#step-note"):
        expect(page.locator(note)).to_contain_text("film")
    page.locator("#curve .u-over").click(position={"x": 4, "y": 20})
    expect(page.locator("#step")).to_have_value("1")


def test_the_words_can_be_walked_by_keys(visit: Open) -> None:
    """The list of words is one stop of the tab key; arrows, Home and End choose a word, and it is named."""
    page = visit()
    page.focus("#words")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#words")).to_have_attribute("aria-activedescendant", "word-1")
    expect(page.locator("#words [aria-selected=true]")).to_have_accessible_name(re.compile(r"^good, [+−]?\d\.\d\d$"))
    page.keyboard.press("End")
    expect(page.locator("#step")).to_have_value(str(len(words(page))))


def test_the_chosen_word_of_a_long_text_is_in_view(visit: Open) -> None:
    """Where another picture chooses a word, the list of words shows it, and the page stays where it is."""
    page = visit(text="film " * 600)
    page.locator("#step").fill("580")
    chosen = page.locator("#words > [aria-selected=true]")
    expect(chosen).to_have_id("word-579")
    expect(chosen).to_be_in_viewport()
    assert page.evaluate("scrollY") == 0


def test_a_long_text_is_read(visit: Open) -> None:
    """Two thousand words are coloured and mapped."""
    page = visit(text="a good film " * 667)
    expect(page.locator("#words > *")).to_have_count(2001)
    expect(page.locator("#map")).to_have_attribute("aria-label", re.compile("at 2001 words"))
    expect(page.locator("#flow-note li")).to_have_count(2)


def test_other_scripts_are_shown_as_they_are_read(visit: Open) -> None:
    """Emoji stay whole, and a text from right to left runs, and is walked, from right to left."""
    page = visit(text='👩‍🚀 ✨ <film> & "film"')
    expect(page.locator("#words > *").first).to_be_visible()
    assert "<" in words(page)
    page.fill("#text", "פילם טוב מאוד")
    expect(page.locator("#words > *")).to_have_text(["פילם", "טוב", "מאוד"])
    first, second = (page.locator("#words > *").nth(i).bounding_box() for i in (0, 1))
    assert first is not None
    assert second is not None
    assert first["x"] > second["x"]
    page.focus("#words")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#step")).to_have_value("2")
    expect(page.locator("#curve-note")).to_have_text(re.compile("^After “\u2068טוב\u2069”: .* for positive"))


def test_what_cannot_be_seen_is_spelt_out(visit: Open) -> None:
    """Controls are spelt out; marks of direction and spaces without width are no words."""
    page = visit(text="a \x1b film \u202e \u200b \x9b")
    expect(page.locator("#words > *")).to_have_text(["a", "\\x1b", "film", "\\x9b"])
    page.locator("#words > *").nth(3).click()
    expect(page.locator("#life-note")).to_contain_text("“\\x9b”: state")


def test_a_long_word_is_shortened(visit: Open) -> None:
    """Of a word of 3,000 letters thirty are shown, everywhere; the whole word is in its title."""
    page = visit(text="film " + "x" * 3000)
    word = page.locator("#words > *").nth(1)
    expect(word).to_have_text("x" * 29 + "…")
    expect(word).to_have_attribute("title", "x" * 3000)
    assert page.locator("#words > *").nth(0).get_attribute("title") in (None, "")
    page.get_by_text("All figures as a table").click()
    assert "x" * 30 not in " ".join(page.locator("section:not(:has(#text)), nav").all_inner_texts())


def test_all_figures_can_be_read_as_a_table(visit: Open) -> None:
    """The table has a row for each word, and its last row adds them up."""
    page = visit()
    page.get_by_text("All figures as a table").click()
    told = ask(page, "words", text=TEXT)
    rows = page.locator("#figures tbody tr")
    expect(rows).to_have_count(len(told["words"]) + 1)
    expect(rows.nth(1)).to_contain_text(f"{abs(told['contributions'][1][1]):.3f}")
    expect(rows.last).to_contain_text(f"{told['probabilities'][1]:.3f}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_on_their_colour(visit: Open, scheme: str) -> None:
    """In both themes letters keep a contrast of 4.5 on every word, the most coloured included."""
    page = visit(color_scheme=scheme)
    page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
    pairs = page.locator("#words > *").evaluate_all(
        "(all) => all.map((one) => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor])"
    )
    for pair in pairs:
        darker, lighter = sorted(map(luminance, pair))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, pair
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (paper < 0.1) == (scheme == "dark")
