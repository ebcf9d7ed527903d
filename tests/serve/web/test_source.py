"""What is read: texts, files of numbers, and what cannot be read."""

import re

from playwright.sync_api import expect

from .pages import Open, ask, load, words  # noqa: TID252 - pytest takes tests by their paths


def test_numbers_are_loaded_from_a_file(visit: Open) -> None:
    """A CSV with a line of names is read as steps of numbers, named by their places."""
    page = visit()
    rows = "a,b,c,d\n0.1,0.2,0.3,0.4\n-1,2,-3,4\n1e-3,0,0,0\n"
    load(page, rows)
    expect(page.locator("#words > *")).to_have_text(["1", "2", "3"])
    expect(page.locator("#text-note")).to_have_text("sensor.csv: 3 steps of 4 numbers.")
    told = ask(page, "words", vectors=[[0.1, 0.2, 0.3, 0.4], [-1, 2, -3, 4], [1e-3, 0, 0, 0]])
    expect(page.locator("#verdict li").nth(1)).to_contain_text(f"{100 * told['probabilities'][1]:.0f}")
    page.fill("#text", "a film")
    expect(page.locator("#words > *")).to_have_text(["a", "film"])


def test_rows_of_numbers_are_steps(visit: Open) -> None:
    """While numbers are read the page speaks of steps and names each once; a text brings the words back."""
    page = visit()
    load(page, "0.1,0.2,0.3,0.4\n-1,2,-3,4\n1e-3,0,0,0\n")
    expect(page.locator("#words > *")).to_have_count(3)
    page.locator("#words > *").nth(1).click()
    expect(page.locator("#words-title")).to_have_text("Which steps decide")
    expect(page.locator("#word-note")).to_have_text(re.compile("^Step 2 counts"))
    expect(page.locator("#curve-note")).to_have_text(re.compile(r"^After step 2: \d+\s% for positive"))
    expect(page.locator("#map-note")).to_have_text(re.compile(r"^Step 2, unit \d \(remembers [\d.]+ steps\):"))
    expect(page.locator("#stream-note")).to_have_text(re.compile(r"^After step 2 the memory holds: \d+\s% step 2, "))
    expect(page.locator("#life-note")).to_have_text(re.compile("^Step 2: state"))
    expect(page.locator("#step-note")).to_have_text("step 2 / 3")
    expect(page.locator("#drawing .word-text")).to_have_text("step 2")
    expect(page.get_by_role("button", name="Next step")).to_be_visible()
    page.get_by_text("All figures as a table").click()
    said = page.locator("section:not(:has(#text)), nav").all_inner_texts()
    assert not re.search(r"\bword|\btext\b|“", " ".join(said), re.IGNORECASE), said
    page.fill("#text", "a film")
    expect(page.locator("#words-title")).to_have_text("Which words decide")


def test_a_wrong_file_is_told(visit: Open) -> None:
    """A file that the model cannot read is refused with the line, and the text stays."""
    page = visit()
    complaints = {
        "1,2,3\n": "sensor.csv: line 1 has 3 numbers, this model reads 4 a step.",
        "1\n2\n": "sensor.csv: line 1 has 1 number, this model reads 4 a step.",
        "1,2,3,4\n1,x,3,4\n": "sensor.csv: line 2 holds something that is not a number.",
    }
    for other in ("a,b,c,d\n", "label,text\n1,a film, and a bad one\n", "\x89PNG\n\x1a\n\0"):
        complaints[other] = "sensor.csv: this is not a table of numbers; this model reads 4 numbers a step."
    for content, complaint in complaints.items():
        load(page, content)
        expect(page.get_by_role("alert")).to_have_text(complaint)
    assert words(page)[:2] == ["a", "good"]


def test_what_is_not_read_is_said(visit: Open) -> None:
    """Words beyond the model's longest text are counted, and so are those that it does not know."""
    page = visit("chosen", "unheard-of " * 3 + "a good film " * 2)
    expect(page.locator("#words > *")).to_have_count(9)
    expect(page.locator("#text-note")).to_have_text(
        "9 words · 9 not in the model's vocabulary (dotted) · 6 more left out: the model reads 9."
    )


def test_a_text_that_is_too_long_is_refused(visit: Open, complaints: list[str]) -> None:
    """More words than the page can show are an error in words, and a shorter text mends it."""
    page = visit(text="film " * 5001)
    expect(page.get_by_role("alert")).to_contain_text("the text has 5,001 words, expected at most 5,000 on the page")
    page.fill("#text", "film")
    expect(page.get_by_role("alert")).to_be_hidden()
    complaints[:] = [said for said in complaints if "status of 400" not in said]
