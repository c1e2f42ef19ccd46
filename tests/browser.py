"""A real, headless Chromium for the tests of pages. Skips where this machine has none; nothing is downloaded.

Debian: apt-get install chromium. Or name one: BEHOLDER_CHROMIUM=/path/to/chrome.
"""

from __future__ import annotations

import atexit
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def open_page(url: str, *, may_complain: bool = False, **options: object) -> Iterator[Page]:
    """A page that has loaded `url`. Fails at the end if a script of it failed or, unless it `may_complain`, the
    browser refused or missed anything that the page wanted."""
    complaints: list[str] = []
    page = _browser().new_page(**options)  # type: ignore[arg-type]
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    if not may_complain:
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(url)
    yield page
    page.close()
    assert complaints == []


def faint_text(page: Page) -> list[str]:
    """Elements whose text has less contrast to its ground than WCAG 2 asks for (AA: 4.5)."""
    found: list[str] = page.evaluate(_CONTRAST_BELOW, 4.5)
    return found


_CONTRAST_BELOW = """(limit) => {
  const luminance = (rgb) => rgb.slice(0, 3)
    .map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.9) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('h1, h2, h3, p, td, th, label, legend, .name, .task, button, dd, dt, li a')]
    .filter((e) => e.offsetParent !== null && e.textContent.trim() && !e.disabled)
    .filter((e) => {
      const [a, b] = [luminance(numbers(getComputedStyle(e).color)), luminance(ground(e))].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05) < limit;
    }).map((e) => e.outerHTML.slice(0, 100));
}"""


@cache
def _browser() -> Browser:
    """One browser for all tests of a process."""
    chromium = os.environ.get("BEHOLDER_CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), "")
    if not chromium:
        pytest.skip("no Chromium on this machine. Try: apt-get install chromium")
    playwright = sync_playwright().start()
    # Without its sandbox, because containers that run tests forbid it; it only ever sees pages of ours.
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=120_000)
    atexit.register(playwright.stop)
    return browser
