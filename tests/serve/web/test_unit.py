"""One unit at one word: its drawing, whose gates can be moved."""

import re

import pytest
from playwright.sync_api import expect

from .kinds import TEXT  # noqa: TID252 - pytest takes tests by their paths
from .pages import Open, ask, words  # noqa: TID252


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
