"""The page of a small model in a browser: what is on it, and what the server says of that."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

Open = Callable[..., Page]


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


def comes_back(page: Page, wanted: Callable[[], str], canvas: str = "#map") -> bool:
    """Whether a canvas becomes a picture that was seen elsewhere: what the mouse undoes is drawn a little later."""
    for _ in range(2000):
        if picture(page, canvas) == wanted():
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


def luminance(colour: str) -> float:
    """Relative luminance of a CSS colour, as WCAG 2 defines it."""
    channels = [float(part) for part in re.findall(r"[\d.]+", colour)[:3]]
    if colour.startswith("color("):
        channels = [255 * channel for channel in channels]
    r, g, b = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (channel / 255 for channel in channels)
    )
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
