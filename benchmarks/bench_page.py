"""How long does it take from a key to the pictures of `tidegate serve`? Needs Chromium.

python benchmarks/bench_page.py MODEL [--words 300] [--keys 20]

Keys are typed at the end of a text, one after another, and each picture's time is taken inside the browser: from the
key's event to the first frame after it was drawn, with the journey to the server and back. The page draws what is in
view: at the height of a usual screen that is the words and what is next to them, on a very tall one all pictures.
"""

import argparse
import statistics
from pathlib import Path

from playwright.sync_api import Page

import browser

SENTENCE = "A long tale of brothers and wars and ships and storms . But the movie is really boring . "
PICTURES = {
    "words": "words, curve and verdict",
    "gates": "heat map",
    "ledger": "stream",
    "unit": "unit",
    "flow": "flow",
}
HEIGHTS = (900, 3600)  # pixels
WAIT = 1500  # milliseconds after a key: until the slowest picture is there, so that none is in the way of the next key


def typed(page: Page) -> dict[str, float]:
    """Types one key and returns what each picture took, in milliseconds."""
    page.evaluate("performance.clearMeasures()")
    page.keyboard.type("g")
    page.wait_for_timeout(WAIT)
    entries = page.evaluate("performance.getEntriesByType('measure').map((entry) => [entry.name, entry.duration])")
    return dict(entries)


def show(title: str, times: list[dict[str, float]]) -> None:
    """Prints the median, the 95th percentile and the maximum of each picture that was drawn."""
    print(f"{title:26} median   95 %    max  ms from key to picture")
    for name, picture in PICTURES.items():
        if each := sorted(one[name] for one in times if name in one):
            print(f"{picture:26} {statistics.median(each):6.1f} {each[int(0.95 * len(each))]:6.1f} {each[-1]:6.1f}")


def main() -> None:
    """Prints what each picture takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--words", type=int, default=300)
    parser.add_argument("--keys", type=int, default=20)
    arguments = parser.parse_args()
    words = SENTENCE.split()
    text = " ".join((words * (arguments.words // len(words) + 1))[: arguments.words])

    with browser.served(arguments.model) as address, browser.chromium() as chromium:
        for height in HEIGHTS:
            page = browser.opened(chromium, address, viewport={"width": 1280, "height": height})
            page.fill("#text", text)
            page.wait_for_timeout(WAIT)
            page.focus("#text")
            page.keyboard.press("Control+End")
            typed(page)
            times = [typed(page) for _ in range(arguments.keys)]
            print(f"\n{page.text_content('#facts')} · {page.text_content('#text-note')}")
            show(f"screen of 1280 × {height}", times)
            page.context.close()


if __name__ == "__main__":
    main()
