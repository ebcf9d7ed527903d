"""The page in a browser: `tidegate serve` and headless Chromium, started and ended. Tests and pictures use it too."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 120_000  # milliseconds until what a page does not show is an error
OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@contextmanager
def served(*models: Path) -> Iterator[str]:
    """Runs the command with models on any free port; yields the page's address."""
    command = [sys.executable, "-u", "-m", "tidegate", "serve", *map(str, models), "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            line = running.stdout.readline() if running.stdout else ""
            if " at http://" not in line:
                raise RuntimeError(f"tidegate serve printed {line!r}, expected the address of the page")
            yield line.split(" at ")[1].split()[0]
        finally:
            running.send_signal(signal.SIGINT)
            running.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Starts the browser, with an empty profile of its own."""
    with sync_playwright() as library:
        browser = library.chromium.launch(executable_path=CHROMIUM, args=OPTIONS, timeout=PATIENCE)
        try:
            yield browser
        finally:
            browser.close()


def opened(
    browser: Browser, address: str, watch: Callable[[Page, str], object] = lambda *_: None, **context: Any
) -> Page:
    """Opens the page and waits until it has drawn its first text; `watch` is called before anything happens."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(PATIENCE)
    watch(page, address)
    shown(page, address)
    return page


def shown(page: Page, address: str) -> None:
    """Goes to the page in an open window, and waits until it has drawn its first text."""
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    page.wait_for_selector("#words > [aria-selected]")
