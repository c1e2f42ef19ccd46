"""A server whose model gives reasons, and its page in a real Chromium: they are shown, compared and downloaded."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="needs the extra tatar")
pytest.importorskip("playwright")

from browser import open_page
from PIL import Image
from playwright.sync_api import expect
from taught_tatar import THINK, taught

from .running import running


def test_reasons_are_shown_compared_and_downloaded(tmp_path: Path) -> None:
    model = taught(tmp_path / "model")
    pictures = []
    for name, level in (("dark", 30), ("bright", 230)):
        pictures.append(tmp_path / f"{name}.png")
        Image.new("RGB", (56, 56), (level,) * 3).save(pictures[-1])
    arguments = ("--model", f"tatar:{model}", "--explain")
    with running(tmp_path, *arguments) as server, open_page(server.url) as page:
        page.locator("#files").set_input_files([str(path) for path in pictures])
        expect(page.get_by_role("status")).to_have_text("2 scored.", timeout=120_000)
        card = page.locator(".card", has_text="bright.png")
        reasons = card.locator(".reason").all_text_contents()
        assert len(reasons) == 2
        assert THINK.split()[0] in reasons[0]
        for name in ("dark.png", "bright.png"):
            page.get_by_role("button", name=f"Compare {name}").click()
        panel = page.get_by_role("region", name="Side by side")
        expect(panel.locator(".reason")).to_have_count(4, timeout=120_000)
        expect(panel).to_contain_text("bright.png is ahead in quality by")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download CSV").click()
        download.value.save_as(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert rows["bright.png"]["quality_reason"] == reasons[0]
    assert [rows[name]["status"] for name in rows] == ["ok", "ok"]
