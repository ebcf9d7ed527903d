"""The page as a whole: keys, phones, print, motion, other servers, and a server that is gone."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tidegate.models.text_model import TextModel

from .kinds import KINDS  # noqa: TID252 - pytest takes tests by their paths
from .pages import Open, words  # noqa: TID252


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


@pytest.mark.parametrize("kind", ["gru", "deep", "lstm"])
def test_a_phone_shows_all_without_scrolling_sideways(visit: Open, kind: str) -> None:
    """At 375 pixels nothing is wider than the screen, and what is touched is large enough for a finger."""
    page = visit(kind, viewport={"width": 375, "height": 3000}, has_touch=True, is_mobile=True)
    expect(page.locator("#drawing svg")).to_have_class("narrow")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    small = page.locator("button, select, .button, .choice label").evaluate_all(
        "(all) => all.filter((one) => one.offsetParent && one.getBoundingClientRect().height < 40).length"
    )
    assert small == 0


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


OUT_OF_SIGHT = """selector => new Promise(done => new IntersectionObserver(
  ([entry], observer) => entry.isIntersecting || done(observer.disconnect()), { rootMargin: "300px" }
).observe(document.querySelector(selector)))"""
"""Waits until an element is far from the view, and whoever watched it before this has been told so."""


def test_pictures_out_of_sight_wait_until_nothing_changes(visit: Open) -> None:
    """While one types, the gradient below the view is not computed; then all is drawn, for a print of the page too."""
    page = visit(viewport={"width": 1280, "height": 600})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[1]))
    expect(page.locator("#flow-note li")).to_have_count(2)  # of the first text
    page.evaluate("new Promise(done => setTimeout(done, 1000))")  # timers of the first text have run
    page.evaluate(OUT_OF_SIGHT, "#flow")  # an empty page is short: it was in sight until all above it was drawn
    asked.clear()
    page.clock.install(time=0)
    page.clock.pause_at(3_600_000)  # from now on timers wait for the test: an installed clock alone goes on by itself
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


def test_a_server_that_is_gone_is_told(visit: Open, complaints: list[str]) -> None:
    """When the command has been ended the page says so, and what was drawn stays."""
    page = visit()
    expect(page.locator("#words > *")).to_have_count(len(words(page)))
    page.context.set_offline(True)
    page.fill("#text", "a film")
    expect(page.get_by_role("alert")).to_have_text("The server does not answer. Is `tidegate serve` still running?")
    assert words(page)[:2] == ["a", "good"]
    page.context.set_offline(False)
    complaints[:] = [said for said in complaints if "ERR_INTERNET_DISCONNECTED" not in said]


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
        shades = np.unique((picture[::3, ::3, :3] * 31).round().astype(int) @ [1024, 32, 1])
        assert len(shades) > 20
        paper = picture[2, 2, :3].mean()
        assert paper > 0.9 if theme == "light" else paper < 0.2
    assert {"which-words-decide.png", "the-gates-of-every-unit.png", "one-unit-one-word.png"} <= set(names)
