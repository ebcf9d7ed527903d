"""Takes the pictures of page.md, in Chromium: PYTHONPATH=benchmarks python docs/make_page.py MODEL [LSTM].

MODEL is a GRU; trained with `--chrono` it shows most. Of a second model, trained with `--cell lstm`, a unit is shown,
and its words beside those of the first.
Classes that are called 0 and 1 in the model are shown as negative and positive.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Browser, Page

import browser
import tidegate

FOLDER = Path(__file__).parent / "pictures"
NAMES = {("0", "1"): ("negative", "positive")}
COLOURS = 192  # of a picture's file; the page has few


def take(page: Page, name: str, first: str, last: str | None = None) -> None:
    """Writes the picture of a part of the page, or of all from one part to another."""
    boxes = [page.locator(part).bounding_box() for part in (first, last or first)]
    x = min(box["x"] for box in boxes if box)
    y = min(box["y"] for box in boxes if box)
    right = max(box["x"] + box["width"] for box in boxes if box)
    bottom = max(box["y"] + box["height"] for box in boxes if box)
    clip = {"x": x, "y": y, "width": right - x, "height": bottom - y}
    path = FOLDER / f"page-{name}.png"
    page.screenshot(path=path, clip=clip)  # type: ignore[arg-type]
    shrink(path)


def shrink(path: Path) -> None:
    """Writes a picture again with a palette, in a third of the bytes."""
    from PIL import Image  # noqa: PLC0415 - matplotlib brings it

    Image.open(path).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def opened(chromium: Browser, address: str, width: int, **context: str) -> Page:
    """Opens the page, high enough that nothing is out of sight, without the bar at the bottom."""
    size = {"width": width, "height": 3600}
    page = browser.opened(chromium, address, viewport=size, reduced_motion="reduce", **context)
    page.wait_for_selector("#flow-note li")
    page.evaluate("document.getElementById('stepper').hidden = true")
    return page


def take_unit(page: Page, gate: str, key: str, name: str) -> None:
    """Writes the picture of a unit whose gate is set by hand: "Home" to 0, "End" to 1."""
    page.get_by_role("slider", name=gate).press(key)
    page.wait_for_selector("#change b")
    take(page, name, "#inside")


def renamed(model: Path, folder: Path, name: str = "reviews") -> Path:
    """Saves a model by another name, its classes called as they are shown."""
    loaded = tidegate.load(model)
    labels = NAMES.get(loaded.config.labels, loaded.config.labels)
    path = folder / f"{name}.safetensors"
    tidegate.TextModel(replace(loaded.config, labels=labels), loaded.tokenizer, loaded.arrays).save(path)
    return path


def main() -> None:
    """Writes docs/pictures/page-….png."""
    with tempfile.TemporaryDirectory() as folder, browser.chromium() as chromium:
        with browser.served(renamed(Path(sys.argv[1]), Path(folder))) as address:
            page = opened(chromium, address, 1180)
            take(page, "words", "header", "section:has(#words)")
            take(page, "gates", "#gates")
            take(page, "time", "#time")
            take_unit(page, "update gate z", "End", "unit")
            page = opened(chromium, address, 375, color_scheme="dark")
            page.get_by_role("button", name="Love first, then a plot").click()
            page.wait_for_timeout(1000)
            take(page, "phone", "header", "section:has(#words)")
        for lstm in map(Path, sys.argv[2:]):
            with browser.served(renamed(lstm, Path(folder))) as address:
                take_unit(opened(chromium, address, 1180), "input gate i", "Home", "unit-lstm")
            pair = (Path(sys.argv[1]), lstm)
            both = [renamed(model, Path(folder), name) for model, name in zip(pair, ("gru", "lstm"), strict=True)]
            with browser.served(*both) as address:
                page = opened(chromium, address, 1180)
                page.wait_for_selector("#other-words > *")
                take(page, "beside", "#beside")


if __name__ == "__main__":
    main()
