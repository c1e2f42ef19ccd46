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
