"""The page in a real browser, served by the real command: what a user does, sees and hears of it."""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

pytest.importorskip("playwright")
pytest.importorskip("fastapi")
pytest.importorskip("typer")

from playwright.sync_api import Browser, Page, expect

from tidegate.models.text_model import TextModel

Open = Callable[..., Page]

TEXT = "a good film, and a bad film, and nothing but a film"
KINDS: dict[str, dict[str, Any]] = {
    "gru": {"texts": [TEXT]},
    "deep": {"num_layers": 2, "bidirectional": True, "summary": "mean+max", "labels": ("1", "so-so", "good", "best")},
    "rnn": {"cell": "rnn_tanh", "bidirectional": True},
    "lstm": {"cell": "lstm", "texts": [TEXT]},
    "before": {"cell": "gru reset=before", "texts": [TEXT]},
    "chosen": {"cell": "gru reset=off candidate=relu", "max_length": 9},
    "fixed": {"cell": "gru reset=off update=off"},
    "average": {"cell": "average"},
    "compound": {"cell": "compound"},
}


@pytest.fixture(scope="module")
def tools() -> Any:
    """What starts server and browser, beside the benchmarks; tests are skipped where there is no Chromium."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    browser = import_module("browser")
    sys.path.pop(0)
    if browser.CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    return browser


@pytest.fixture(scope="module")
def chromium(tools: Any) -> Iterator[Browser]:
    """One browser for all tests; each has a profile of its own."""
    with tools.chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address(
    tools: Any, random_model: Callable[..., TextModel], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """Serves a kind of model, once for all tests; returns the page's address."""
    folder = tmp_path_factory.mktemp("served")
    running: dict[str, str] = {}
    with ExitStack() as stack:

        def of(kind: str) -> str:
            if kind not in running:
                path = folder / f"{kind}.safetensors"
                random_model(**KINDS[kind]).save(path)
                running[kind] = stack.enter_context(tools.served(path))
            return running[kind]

        yield of


@pytest.fixture(scope="module")
def opened(tools: Any, chromium: Browser, address: Callable[[str], str]) -> Open:
    """Opens the page; keeps what the browser's console complains of, and the address of any request to elsewhere."""

    def open_(complaints: list[str], kind: str = "gru", text: str | None = TEXT, **context: Any) -> Page:
        def listen(page: Page, home: str) -> None:
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda asked: None if asked.url.startswith(home) else complaints.append(asked.url))

        size = {"width": 1280, "height": 3000}
        options = {"viewport": size, "reduced_motion": "reduce"} | context
        page: Page = tools.opened(chromium, address(kind), listen, **options)
        if text is not None:
            page.fill("#text", text)
        wait_for_quiet(page)
        return page

    return open_


@pytest.fixture
def visit(opened: Open) -> Iterator[Open]:
    """Opens the page for one test, which fails where there is a complaint."""
    complaints: list[str] = []
    pages: list[Page] = []

    def go(*what: Any, **context: Any) -> Page:
        pages.append(opened(complaints, *what, **context))
        return pages[-1]

    go.complaints = complaints  # type: ignore[attr-defined]
    yield go
    for page in pages:
        page.context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def look(opened: Open) -> Iterator[Open]:
    """Opens the page of a kind of model once for all tests that leave it as it is; they fail where it complains."""
    complaints: list[str] = []
    pages: dict[str, Page] = {}

    def at(kind: str) -> Page:
        if kind not in pages:
            pages[kind] = opened(complaints, kind)
        assert complaints == []
        return pages[kind]

    yield at
    for page in pages.values():
        page.context.close()
    assert complaints == []


def wait_for_quiet(page: Page) -> None:
    """Waits until words and map show what was asked for last; the other pictures wait until they are seen."""
    for part in ("#words", "#map"):
        if shown(page, part):
            expect(page.locator(part)).to_have_attribute("aria-busy", "false")


def words(page: Page) -> list[str]:
    """The words that the page shows."""
    return page.locator("#words > *").all_text_contents()


def ask(page: Page, path: str, **question: Any) -> dict[str, Any]:
    """What the server itself says."""
    answer: dict[str, Any] = page.request.post(f"{page.url}api/{path}", data=question).json()
    return answer


def picture(page: Page, canvas: str = "#map") -> str:
    """What is drawn on a canvas: an answer is drawn as soon as its canvas is seen, which may be a little later."""
    wait_for_quiet(page)
    drawn = "(canvas) => { const at = document.querySelector(canvas); return at.width !== 300 || at.height !== 150; }"
    page.wait_for_function(drawn, arg=canvas)
    return str(page.locator(canvas).first.evaluate("(canvas) => canvas.toDataURL()"))


def comes_back(page: Page, whole: str) -> bool:
    """Whether the map becomes a picture that was seen before: what the mouse undoes is drawn a little later."""
    for _ in range(100):
        if picture(page) == whole:
            return True
        page.wait_for_timeout(50)
    return False


def room(page: Page) -> dict[str, float]:
    """Where the values of the map are on its canvas: left, width and height, in pixels."""
    found: dict[str, float] = page.evaluate(
        """async () => { const { room } = await import(new URL("heatmap.js", location).href);
        const { width, inner } = room(); return { left: width - inner.width, ...inner }; }"""
    )
    return found


def load(page: Page, content: str, name: str = "sensor.csv") -> None:
    """Chooses a file of numbers."""
    page.set_input_files("#csv", {"name": name, "mimeType": "text/csv", "buffer": content.encode("latin-1")})


def shown(page: Page, selector: str) -> bool:
    return page.locator(selector).is_visible()


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


def test_the_tab_key_visits_everything_and_is_never_caught(visit: Open) -> None:
    """Focus goes through all controls in the order of the page, each time visibly, and out again."""
    page = visit()
    page.locator("#drawing").scroll_into_view_if_needed()  # it is drawn when it is seen
    expect(page.get_by_role("slider", name="reset gate r")).to_be_visible()
    page.focus(".skip")
    page.keyboard.press("Shift+Tab")
    stops: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => { const at = document.activeElement; const style = getComputedStyle(at);
            const handle = at.querySelector?.(".handle"), label = at.closest("label") ?? at.labels?.[0];
            const ring = [at, label].some((one) => one && getComputedStyle(one).outlineStyle !== "none")
              || (handle && getComputedStyle(handle).strokeWidth === "5px");
            return [at.id || at.getAttribute("aria-label") || at.name || at.textContent.trim().slice(0, 30), ring]; }"""
        )
        if stops and stop[0] == stops[0]:
            break
        assert stop[1] or page.evaluate("document.activeElement === document.body"), stop
        stops.append(stop[0])
    expected = [
        "Skip to the pictures",
        "text",
        "A plot, then a verdict",
        "csv",
        "label",
        "words",
        "gate",
        "zoom-in",
        "map",
    ]
    expected += ["unit", "drawing", "reset gate r", "update gate z", "candidate n", "back", "step"]
    found = [stops.index(name) for name in expected]
    assert found == sorted(found)


def test_the_map_says_what_is_under_the_pointer(visit: Open) -> None:
    """Hovering names word, unit and value, and a click chooses both for all pictures."""
    page = visit()
    told = ask(page, "unit", text=TEXT, unit=0)
    order = page.locator("#unit option").evaluate_all("(options) => options.map((option) => Number(option.value))")
    at = room(page)
    x = at["left"] + at["width"] * 1.5 / len(told["after"]["hidden"])
    y = at["height"] * (order.index(0) + 0.5) / len(order)
    page.locator("#map").hover(position={"x": x, "y": y})
    value = f"{told['gates']['update'][1]:.2f}"
    expect(page.locator("#map-note")).to_have_text(re.compile(rf"Word 2 “good”, unit 0 .*Update gate z = {value}"))
    page.locator("#map").click(position={"x": x, "y": y})
    expect(page.locator("#step")).to_have_value("2")
    expect(page.locator("#unit")).to_have_value("0")


@pytest.mark.parametrize("kind", ["gru", "rnn"])
def test_the_labels_of_the_map_are_whole(look: Open, kind: str) -> None:
    """No letter beside the map is cut off at the left edge of its canvas."""
    page = look(kind)
    expect(page.locator("#map-note")).to_contain_text("unit")
    columns = page.locator("#map").evaluate(
        """(canvas) => [0, 1].map((x) => canvas.getContext("2d").getImageData(x, 0, 1, canvas.height).data)
        .map((pixels) => pixels.reduce((sum, value) => sum + value, 0))"""
    )
    inked = page.locator("#map").evaluate(
        """(canvas) => canvas.getContext("2d").getImageData(0, 0, 60, canvas.height).data.some(Boolean)"""
    )
    assert columns == [0, 0]
    assert inked


def test_the_map_shows_any_gate(visit: Open) -> None:
    """Each gate is another picture, with its name and its explanation."""
    page = visit()
    expect(page.locator("#map")).to_have_attribute("aria-label", re.compile("^Update gate z of 8 units at 14 words"))
    pictures, hints = {picture(page)}, {page.text_content("#gate-hint")}
    for gate in ("Reset gate r", "Candidate n", "State h", "Kept at the end"):
        page.get_by_role("radio", name=gate).check(force=True)
        expect(page.locator("#map")).to_have_attribute("aria-label", re.compile(f"^{gate}"))
        pictures.add(picture(page))
        hints.add(page.text_content("#gate-hint"))
    assert len(pictures) == len(hints) == 5


def test_the_map_zooms_by_mouse_buttons_and_keys(visit: Open) -> None:
    """A rectangle drawn by the mouse, the buttons and the keys enlarge a part; the whole map is one key away."""
    page = visit()
    whole = picture(page)
    page.locator("#map").hover(position={"x": 300, "y": 50})
    page.mouse.down()
    page.mouse.move(700, page.locator("#map").bounding_box()["y"] + 200, steps=4)  # type: ignore[index]
    page.mouse.up()
    parts = {picture(page)}
    page.get_by_role("button", name="Whole map").click()
    page.mouse.move(5, 5)
    assert comes_back(page, whole)
    page.get_by_role("button", name="Zoom in").click()
    parts.add(picture(page))
    page.focus("#map")
    page.keyboard.press("0")
    assert comes_back(page, whole)
    page.keyboard.press("+")
    page.keyboard.press("ArrowUp")
    parts.add(picture(page))
    assert whole not in parts


def test_a_gate_is_moved_by_keys(visit: Open) -> None:
    """With z = 1 by hand the unit keeps its memory, the change in probability is told, and it can be undone."""
    page = visit()
    page.locator("#words > *").nth(4).click()
    unit = int(page.input_value("#unit"))
    before = page.text_content("#equation")
    slider = page.get_by_role("slider", name="update gate z")
    slider.focus()
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuenow", "1.00")
    expect(slider).to_have_attribute("aria-valuetext", "1.00, set by hand")
    told = ask(page, "what-if", text=TEXT, unit=unit, step=4, values={"update": 1})
    old, new = (100 * told[key][1] for key in ("probabilities_before", "probabilities"))
    expect(page.locator("#change")).to_contain_text(f"positive: {old:.2f} % → {new:.2f} %")
    kept = ask(page, "unit", text=TEXT, unit=unit)["before"]["hidden"][4]
    expect(page.locator("#equation")).to_contain_text(re.compile(f"= −?{abs(kept):.2f}$"))
    page.keyboard.press("ArrowDown")
    expect(slider).to_have_attribute("aria-valuenow", "0.98")
    page.get_by_role("button", name="As the network has it").click()
    expect(page.locator("#equation")).to_have_text(before or "")
    expect(page.locator("#change")).to_have_text("Move a gate to see what it would have changed.")


def test_a_gate_is_dragged(visit: Open) -> None:
    """The handle of the reset gate follows the mouse along its track, and the candidate follows the gate."""
    page = visit()
    page.locator("#words > *").nth(4).click()
    slider = page.get_by_role("slider", name="reset gate r")
    candidate = page.get_by_role("slider", name="candidate n")
    old = candidate.get_attribute("aria-valuenow")
    track = slider.locator(".track").bounding_box()
    assert track is not None
    slider.locator(".handle").hover()
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] / 2, track["y"] + track["height"] + 30, steps=5)
    page.mouse.up()
    expect(slider).to_have_attribute("aria-valuenow", "0.00")
    expect(page.locator("#change b")).to_be_visible()
    expect(candidate).not_to_have_attribute("aria-valuenow", old or "")


def test_the_gates_of_an_lstm_are_moved(visit: Open) -> None:
    """Each of its gates, and its candidate, has a slider; memory and output follow, as the server computes them."""
    page = visit("lstm")
    page.locator("#words > *").nth(4).click()
    unit = int(page.input_value("#unit"))
    for title, least in {"forget gate f": 0, "input gate i": 0, "output gate o": 0, "candidate g": -1}.items():
        slider = page.get_by_role("slider", name=title)
        slider.press("Home")
        expect(slider).to_have_attribute("aria-valuetext", re.compile(", set by hand$"))
        expect(page.locator("#change b")).to_be_visible()
        told = ask(page, "what-if", text=TEXT, unit=unit, step=4, values={title.split()[0]: least})
        memory, output = (told["after"][name][4] for name in ("cell_state", "hidden"))
        ends = rf"= −?{abs(memory):.2f};\nhidden state after = o × tanh.* = −?{abs(output):.2f}$"
        equation = rf"^cell state after = f × cell state before \+ i\s×\sg = .* {ends}"
        expect(page.locator("#equation")).to_have_text(re.compile(equation))
        memory_line, output_line = page.locator("#equation").inner_text().splitlines()
        assert (memory_line[-1], output_line[:12]) == (";", "hidden state")
        page.get_by_role("button", name="As the network has it").click()
        expect(page.locator("#change b")).to_have_count(0)


def test_an_lstm_shows_both_of_its_states(visit: Open) -> None:
    """The chart of a unit has the output and the cell state beside the gates, and so have maps and notes."""
    page = visit("lstm")
    keys = ["hidden state h", "cell state c", "forget gate f", "input gate i", "output gate o"]
    expect(page.locator("#life-keys li:visible")).to_have_text(keys)
    told = ask(page, "unit", text=TEXT, unit=int(page.input_value("#unit")))
    expect(page.locator("#life-note")).to_contain_text(
        f"cell state c {told['after']['cell_state'][-1]:.2f}".replace("-", "−")
    )
    page.get_by_role("radio", name="Cell state c").check(force=True)
    expect(page.locator("#gate-hint")).to_contain_text("What a unit remembers after this word")
    expect(page.locator("#facts")).to_contain_text("LSTM")
    expect(page.locator("#flow-note li")).to_have_text(re.compile("^this LSTM "))


def test_a_reset_gate_before_the_product_is_moved(visit: Open) -> None:
    """What the candidate reads of the memory follows the gate, though it is read through all units."""
    page = visit("before")
    page.locator("#words > *").nth(4).click()
    page.get_by_role("slider", name="reset gate r").press("Home")
    expect(page.locator("#change b")).to_be_visible()
    unit = int(page.input_value("#unit"))
    read = ask(page, "what-if", text=TEXT, unit=unit, step=4, values={"reset": 0})["from_memory"]["candidate"]
    expect(page.locator("#drawing text.recalled")).to_have_text(f"memory {read:+.2f}".replace("-", "−"))


def test_the_unit_is_walked_word_by_word(visit: Open) -> None:
    """Arrow keys on the drawing go from word to word; a gate set by hand belongs to its word."""
    page = visit()
    page.focus("#drawing")
    last = len(words(page))
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#step")).to_have_value(str(last - 1))
    expect(page.locator("#drawing .word-text")).to_have_text("a")
    page.get_by_role("slider", name="reset gate r").press("Home")
    expect(page.locator("#change b")).to_be_visible()
    page.focus("#drawing")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#change b")).to_have_count(0)
    assert page.get_by_role("button", name="As the network has it").is_disabled()


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


def test_all_figures_can_be_read_as_a_table(visit: Open) -> None:
    """The table has a row for each word, and its last row adds them up."""
    page = visit()
    page.get_by_text("All figures as a table").click()
    told = ask(page, "words", text=TEXT)
    rows = page.locator("#figures tbody tr")
    expect(rows).to_have_count(len(told["words"]) + 1)
    expect(rows.nth(1)).to_contain_text(f"{abs(told['contributions'][1][1]):.3f}")
    expect(rows.last).to_contain_text(f"{told['probabilities'][1]:.3f}")


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
        each.wait_for_timeout(200)
    for canvas in ("#curve canvas", "#map", "#stream canvas", "#flow-plot canvas", "#life canvas"):
        assert picture(page, canvas) == picture(pages[1], canvas), canvas


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


def test_a_gate_that_is_off_is_fixed(visit: Open) -> None:
    """Gates that are off stand in the header and in the drawing with their value, and can not be moved."""
    page = visit("fixed")
    expect(page.locator("#facts")).to_contain_text("GRU, reset gate off, update gate off")
    expect(page.locator("#drawing text.reads")).to_have_text("reset off: r = 1")
    expect(page.locator("#drawing text.keeps")).to_have_text("update off: z = 0")
    expect(page.locator("#drawing .fixed")).to_have_count(2)
    expect(page.locator("#inside-hint")).to_contain_text("Drag the candidate")
    expect(page.locator("#map-note")).to_have_text(re.compile(r"unit \d: Candidate n"))
    expect(page.locator("#life-keys li:visible")).to_have_text(["state h"])
    page.get_by_role("slider", name="candidate n").press("End")
    expect(page.locator("#change b")).to_be_visible()


def test_layers_and_directions_can_be_chosen(visit: Open) -> None:
    """Another layer or direction is another map, stream and unit, all with its own numbers."""
    page = visit("deep")
    expect(page.locator("#place option")).to_have_text(["1 forward", "1 backward", "2 forward", "2 backward"])
    before = picture(page)
    page.select_option("#place", label="1 backward")
    told = ask(page, "unit", text=TEXT, layer=0, reverse=True, unit=int(page.input_value("#unit")))
    expect(page.locator("#life-note")).to_contain_text(f"update z {told['gates']['update'][-1]:.2f}")
    assert picture(page) != before


def test_the_pictures_speak_of_the_chosen_class(visit: Open) -> None:
    """Of several classes the most probable is shown, until another is chosen; numbers are called classes."""
    page = visit("deep", "a good film")
    told = ask(page, "words", text="a good film")["probabilities"]
    expect(page.locator("#label")).to_have_value(str(told.index(max(told))))
    page.select_option("#label", label="class 1")
    expect(page.locator("#curve-note")).to_contain_text("class 1")
    expect(page.locator("#scale-high")).to_have_text("for class 1")


def test_a_long_text_is_read(visit: Open) -> None:
    """Two thousand words are coloured and mapped."""
    page = visit(text="a good film " * 667)
    expect(page.locator("#words > *")).to_have_count(2001)
    expect(page.locator("#map")).to_have_attribute("aria-label", re.compile("at 2001 words"))
    expect(page.locator("#flow-note li")).to_have_count(2)


def test_what_is_not_read_is_said(visit: Open) -> None:
    """Words beyond the model's longest text are counted, and so are those that it does not know."""
    page = visit("chosen", "unheard-of " * 3 + "a good film " * 2)
    expect(page.locator("#words > *")).to_have_count(9)
    expect(page.locator("#text-note")).to_have_text(
        "9 words · 9 not in the model's vocabulary (dotted) · 6 more left out: the model reads 9."
    )


def test_a_text_that_is_too_long_is_refused(visit: Open) -> None:
    """More words than the page can show are an error in words, and a shorter text mends it."""
    page = visit(text="film " * 5001)
    expect(page.get_by_role("alert")).to_contain_text("the text has 5,001 words, expected at most 5,000 on the page")
    page.fill("#text", "film")
    expect(page.get_by_role("alert")).to_be_hidden()
    visit.complaints[:] = [said for said in visit.complaints if "status of 400" not in said]  # type: ignore[attr-defined]


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


@pytest.mark.parametrize("kind", ["gru", "deep", "lstm"])
def test_a_phone_shows_all_without_scrolling_sideways(visit: Open, kind: str) -> None:
    """At 375 pixels nothing is wider than the screen, and what is touched is large enough for a finger."""
    page = visit(kind, viewport={"width": 375, "height": 3000}, has_touch=True, is_mobile=True)
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    small = page.locator("button, select, .button, .choice label").evaluate_all(
        "(all) => all.filter((one) => one.offsetParent && one.getBoundingClientRect().height < 40).length"
    )
    assert small == 0


@pytest.mark.parametrize("width", [320, 390, 1280])  # ends as wide as the page was, for the next who looks
@pytest.mark.parametrize("kind", ["gru", "chosen", "rnn", "lstm", "before"])
def test_no_label_of_the_drawing_lies_on_a_line(look: Open, kind: str, width: int) -> None:
    """Every label stands within the drawing and beside its lines, at the greatest width that they have."""
    page = look(kind)
    page.set_viewport_size({"width": width, "height": 3000})
    expect(page.locator("#drawing svg")).to_have_class("wide" if width > 640 else "narrow")
    faults = page.locator("#drawing svg").evaluate(
        """(svg) => { const lines = [...svg.querySelectorAll(".flow")], size = svg.viewBox.baseVal, faults = [];
        const widths = lines.map((line) => line.style.strokeWidth);
        for (const line of lines) line.style.strokeWidth = "18px";
        for (const label of svg.querySelectorAll("text:not(.value, .plus, .word-text) tspan")) {
          const [start, end] = [0, label.getNumberOfChars() - 1].map((i) => label.getExtentOfChar(i));
          if (start.x < 0 || end.x + end.width > size.width) faults.push(`${label.textContent} sticks out`);
          for (let x = start.x; x <= end.x + end.width; x += 2)
            for (const y of [start.y + 3, start.y + start.height - 3])
              if (lines.some((line) => line.isPointInStroke(new DOMPoint(x, y)))) faults.push(label.textContent); }
        lines.forEach((line, i) => (line.style.strokeWidth = widths[i]));
        return [...new Set(faults)]; }"""
    )
    assert faults == []
    assert page.locator("#drawing tspan").count() >= 5


def test_a_knob_is_caught_from_beside_it(visit: Open) -> None:
    """A mouse that misses a knob by its own size still moves the gate, at the end of the track too."""
    page = visit()
    slider = page.get_by_role("slider", name="update gate z")
    for x, y in ((32, 0), (-32, 0), (0, 24)):
        slider.press("Home")
        expect(slider).to_have_attribute("aria-valuenow", "0.00")
        box = slider.locator(".handle").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2 + x, box["y"] + box["height"] / 2 + y)
        page.mouse.down()
        page.mouse.move(box["x"], box["y"] - 60, steps=4)
        page.mouse.up()
        assert float(slider.get_attribute("aria-valuenow") or 0) > 0.2, (x, y)
        assert page.evaluate("getSelection().toString()") == ""


def luminance(colour: str) -> float:
    """Relative luminance of a CSS colour, as WCAG 2 defines it."""
    channels = [float(part) for part in re.findall(r"[\d.]+", colour)[:3]]
    if colour.startswith("color("):
        channels = [255 * channel for channel in channels]
    r, g, b = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (channel / 255 for channel in channels)
    )
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_on_their_colour(visit: Open, scheme: str) -> None:
    """In both themes letters keep a contrast of 4.5 on every word, the most coloured included."""
    page = visit(color_scheme=scheme)
    page.wait_for_timeout(200)
    pairs = page.locator("#words > *").evaluate_all(
        "(all) => all.map((one) => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor])"
    )
    for pair in pairs:
        darker, lighter = sorted(map(luminance, pair))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, pair
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (paper < 0.1) == (scheme == "dark")


def test_nothing_moves_for_those_who_asked_for_that(visit: Open) -> None:
    """With reduced motion the drawing stands still; else it moves only while it is seen."""
    still = visit()
    assert still.locator("#drawing .pulse").first.evaluate("(line) => getComputedStyle(line).display") == "none"
    moving = visit(reduced_motion="no-preference", viewport={"width": 1280, "height": 700})
    name = "(line) => getComputedStyle(line).animationName"
    assert moving.locator("#drawing .pulse").first.evaluate(name) == "none"
    moving.locator("#drawing").scroll_into_view_if_needed()
    expect(moving.locator("#drawing")).to_have_class("seen")
    assert moving.locator("#drawing .pulse").first.evaluate(name) == "drift"


def test_pictures_out_of_sight_wait_until_nothing_changes(visit: Open) -> None:
    """While one types, the gradient below the view is not computed; then all is drawn, for a print of the page too."""
    page = visit(viewport={"width": 1280, "height": 600})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[1]))
    page.clock.install()  # from now on timers wait for the test
    for text in ("a film", "a good film"):
        page.fill("#text", text)
        expect(page.locator("#words > *")).to_have_text(text.split())
        page.clock.run_for(200)
    assert "words" in asked
    assert "flow" not in asked
    page.clock.run_for(2_000)
    expect(page.locator("#flow-note li")).to_have_count(2)
    expect(page.locator("#stream canvas, #life canvas")).to_have_count(2)
    assert page.evaluate("scrollY") == 0
    page.emulate_media(media="print")
    expect(page.locator("#stepper")).to_be_hidden()


def test_the_chosen_word_of_a_long_text_is_in_view(visit: Open) -> None:
    """Where another picture chooses a word, the list of words shows it, and the page stays where it is."""
    page = visit(text="film " * 600)
    page.locator("#step").fill("580")
    chosen = page.locator("#words > [aria-selected=true]")
    expect(chosen).to_have_id("word-579")
    expect(chosen).to_be_in_viewport()
    assert page.evaluate("scrollY") == 0


def test_a_server_that_is_gone_is_told(visit: Open) -> None:
    """When the command has been ended the page says so, and what was drawn stays."""
    page = visit()
    expect(page.locator("#words > *")).to_have_count(len(words(page)))
    page.context.set_offline(True)
    page.fill("#text", "a film")
    expect(page.get_by_role("alert")).to_have_text("The server does not answer. Is `tidegate serve` still running?")
    assert words(page)[:2] == ["a", "good"]
    page.context.set_offline(False)
    visit.complaints[:] = [said for said in visit.complaints if "ERR_INTERNET_DISCONNECTED" not in said]  # type: ignore[attr-defined]


def test_the_picture_of_a_gate_is_that_of_its_values(visit: Open) -> None:
    """The colours on the canvas follow the values: darker where the gate is more open, in the light theme."""
    page = visit(color_scheme="light")
    page.locator("#words > *").nth(0).click()
    told = ask(page, "unit", text=TEXT, unit=0)["gates"]["update"]
    order = page.locator("#unit option").evaluate_all("(options) => options.map((option) => Number(option.value))")
    page.select_option("#unit", str(order[-1] if order[0] == 0 else order[0]))
    rows = page.locator("#map").evaluate(
        """(canvas, [{ left, width, height }, row, rows, steps]) => {
        const context = canvas.getContext("2d"), ratio = devicePixelRatio;
        const x = (t) => ratio * (left + (width * (t + 0.5)) / steps), y = (ratio * height * (row + 0.5)) / rows;
        return Array.from({ length: steps }, (_, t) => [...context.getImageData(x(t), y, 1, 1).data.slice(0, 3)]); }""",
        [room(page), order.index(0), len(order), len(told)],
    )
    brightness = [luminance(f"rgb({r}, {g}, {b})") for r, g, b in rows]
    ranks = sorted(range(1, len(told)), key=lambda t: -told[t])
    assert all(brightness[a] <= brightness[b] + 0.01 for a, b in pairwise(ranks))
    assert not math.isclose(brightness[ranks[0]], brightness[ranks[-1]])


def test_files_of_the_page_name_no_other_server(address: Callable[[str], str]) -> None:
    """No file of ours holds an address to fetch from; the chart library names its own home in a comment alone."""
    with urlopen(address("gru")) as answer:
        names = re.findall(r'(?:src|href)="([^"#]+)"', answer.read().decode())
    for name in {*names, "words.js", "heatmap.js"} - {"vendor/uPlot.iife.min.js"}:
        with urlopen(address("gru") + name) as answer:
            found = re.findall(r"https?://[^\s\"')]+", answer.read().decode())
        assert [link for link in found if "www.w3.org" not in link] == [], json.dumps(found)


TALK = """
async messages => {
    const socket = new WebSocket(location.origin.replace("http", "ws") + "/stream/gru");
    const answers = [];
    await new Promise((resolve, reject) => {
        const next = () => socket.send(JSON.stringify(messages[answers.length]));
        socket.onopen = next;
        socket.onerror = () => reject(new Error("no connection"));
        socket.onclose = resolve;
        socket.onmessage = event => {
            answers.push(JSON.parse(event.data));
            if (answers.length < messages.length) next();
        };
    });
    return answers;
}
"""


def test_a_browser_streams(visit: Open, random_model: Callable[..., TextModel]) -> None:
    """The page of this server may open a WebSocket; its answers are those of the model."""
    model = random_model(**KINDS["gru"])
    answers = visit().evaluate(TALK, [{"begin": True}, {"text": "a good fi"}, {"text": "lm"}, {"end": True}])
    assert (answers[1]["pending"], answers[2]["pending"]) == ("fi", "film")
    assert list(answers[3]["probabilities"].values()) == model.predict_proba(["a good film"])[0].tolist()


def test_pages_of_other_servers_get_no_connection(tools: Any, chromium: Browser, address: Callable[[str], str]) -> None:
    """A page that is not this server's is refused, though it runs on the same machine."""
    page = chromium.new_page()
    with pytest.raises(Exception, match="no connection"):
        page.evaluate(TALK.replace("location.origin", f"'{address('gru').rstrip('/')}'"), [{"begin": True}])
    page.close()


@pytest.mark.parametrize(("kind", "theme"), [("lstm", "dark")])
def test_pictures_are_saved(visit: Open, tmp_path: Path, kind: str, theme: str) -> None:
    """Each section is saved as a PNG of what it shows: twice its pixels, text, charts, the map and the drawing."""
    imread = pytest.importorskip("matplotlib.image").imread
    page = visit(kind, color_scheme=theme)
    names = []
    for i, button in enumerate(page.locator(".save:visible").all()):
        width = button.locator("xpath=..").bounding_box()
        with page.expect_download() as download:
            button.click()
        names.append(download.value.suggested_filename)
        download.value.save_as(tmp_path / f"{i}.png")
        picture = imread(tmp_path / f"{i}.png")
        assert width
        assert abs(picture.shape[1] - 2 * width["width"]) <= 2
        shades = {tuple(colour) for colour in (picture[::3, ::3, :3] * 31).round().reshape(-1, 3).astype(int)}
        assert len(shades) > 20
        paper = picture[2, 2, :3].mean()
        assert paper > 0.9 if theme == "light" else paper < 0.2
    assert {"which-words-decide.png", "the-gates-of-every-unit.png", "one-unit-one-word.png"} <= set(names)


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
    tools: Any, chromium: Browser, random_model: Callable[..., TextModel], tmp_path: Path
) -> None:
    """What a model answers after another one was chosen is not shown under the name of that."""
    models = [random_model(cell, texts=[TEXT]) for cell in ("gru", "lstm", "rnn_tanh")]
    paths = [tmp_path / f"{name}.safetensors" for name in ("first", "second", "third")]
    for model, path in zip(models, paths, strict=True):
        model.save(path)
    with tools.served(*paths) as home:
        page = tools.opened(chromium, home, viewport={"width": 1280, "height": 2000})
        shares = [[f"{100 * p:.0f} %" for p in model.predict_proba([TEXT])[0]] for model in models]
        assert shares[1] != shares[2]
        late: list[Any] = []
        page.route("**/api/others/0/words", lambda route: late.extend([route]))
        with page.expect_request("**/api/others/0/words"):
            page.fill("#text", TEXT)
        page.select_option("#other", "1")
        expect(page.locator("#other-verdict span")).to_have_text(shares[2])
        with page.expect_response("**/api/others/0/words"):
            late[0].continue_()
        page.wait_for_timeout(100)
        expect(page.locator("#other-verdict span")).to_have_text(shares[2])
        page.context.close()


def test_one_model_stands_alone(look: Open) -> None:
    """There is nothing to compare it with, and nothing is shown."""
    assert not shown(look("gru"), "#beside")
