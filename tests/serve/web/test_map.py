"""The map of all units at all words."""

import math
import re
from itertools import pairwise

import pytest
from playwright.sync_api import expect

from .kinds import TEXT  # noqa: TID252 - pytest takes tests by their paths
from .pages import Open, ask, comes_back, luminance, picture, room  # noqa: TID252


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
    assert comes_back(page, lambda: whole)
    page.get_by_role("button", name="Zoom in").click()
    parts.add(picture(page))
    page.focus("#map")
    page.keyboard.press("0")
    assert comes_back(page, lambda: whole)
    page.keyboard.press("+")
    page.keyboard.press("ArrowUp")
    parts.add(picture(page))
    assert whole not in parts


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


def test_layers_and_directions_can_be_chosen(visit: Open) -> None:
    """Another layer or direction is another map, stream and unit, all with its own numbers."""
    page = visit("deep")
    expect(page.locator("#place option")).to_have_text(["1 forward", "1 backward", "2 forward", "2 backward"])
    before = picture(page)
    page.select_option("#place", label="1 backward")
    told = ask(page, "unit", text=TEXT, layer=0, reverse=True, unit=int(page.input_value("#unit")))
    expect(page.locator("#life-note")).to_contain_text(f"update z {told['gates']['update'][-1]:.2f}")
    assert picture(page) != before
