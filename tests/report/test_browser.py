"""The page in a real Chromium, opened from disk, as people open it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import faint_text, open_page
from playwright.sync_api import Page, expect

from beholder.report.page import write_report

from .conftest import HOSTILE


@pytest.fixture(scope="module")
def page(holiday: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    out = tmp_path_factory.mktemp("pages") / "report.html"
    write_report(holiday / "scores.parquet", out)
    with open_page(out.as_uri(), viewport={"width": 1100, "height": 800}) as page:
        yield page


@pytest.fixture(autouse=True)
def cleared(page: Page) -> None:
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Clear").click()
    page.locator("#count", has_text="All 30 pictures").wait_for()


def names(page: Page) -> list[str]:
    return page.locator("#tiles .name").all_text_contents()


def count(page: Page) -> str:
    return page.locator("#count").text_content() or ""


def test_sorting_puts_the_pictures_in_order(page: Page) -> None:
    assert names(page)[:2] == ["29.jpg", "28.jpg"]  # highest quality first
    page.get_by_label("Sort by").select_option("-aesthetics")
    assert names(page)[:2] == ["00.jpg", "01.jpg"]
    page.get_by_label("Sort by").select_option("quality")
    assert names(page)[7] == HOSTILE


def test_filters_keep_what_fits_all_of_them(page: Page) -> None:
    page.get_by_label("Name or folder has").fill("town")
    assert count(page) == "10 of 30 pictures"
    page.get_by_label("lowest quality").fill("40")
    assert count(page) == "5 of 30 pictures"  # 15, 18, 21, 24, 27
    page.get_by_label("highest quality").fill("50")
    assert names(page) == ["18.jpg", "15.jpg"]
    page.get_by_role("button", name="Clear").click()
    page.locator("#count", has_text="All 30 pictures").wait_for()
    assert page.get_by_label("Sort by").input_value() == "-quality"


def test_dragging_over_the_plot_chooses_pictures(page: Page) -> None:
    plot = page.locator("#scatter")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + box["height"] - 5, steps=3)
    page.mouse.up()
    assert 0 < len(names(page)) < 15
    assert page.get_by_label("lowest quality").input_value() != ""
    assert min(int(name[:2]) for name in names(page)) > 15
    page.get_by_role("button", name="Choose all again").click()
    page.locator("#count", has_text="All 30 pictures").wait_for()


def test_a_picture_opens_with_its_scores_and_closes_where_one_was(page: Page) -> None:
    page.locator("#tiles button").nth(1).click()
    dialog = page.get_by_role("dialog", name="28.jpg")
    assert dialog.locator(".verdict.quality .number").text_content() == "66.0"
    assert dialog.get_by_role("img", name="aesthetics levels: bad").count() == 1
    assert dialog.locator(".reason").all_text_contents() == ["Sharp <i>throughout</i>."]
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("dialog", name="27.jpg").is_visible()
    page.keyboard.press("Escape")
    page.locator("#tiles button:focus", has_text="27.jpg").wait_for()
    assert not page.get_by_role("dialog").is_visible()


def test_the_gallery_is_walked_and_opened_with_keys_alone(page: Page) -> None:
    assert page.locator("#tiles button[tabindex='0']").count() == 1  # one stop for Tab, not thirty
    page.locator("#tiles button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert "28.jpg" in page.evaluate("document.activeElement.textContent")
    page.keyboard.press("End")
    assert "00.jpg" in page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog", name="00.jpg").is_visible()


def test_the_whole_picture_takes_the_place_of_the_thumbnail_in_the_dialog(page: Page) -> None:
    page.locator("#tiles button").first.click()
    expect(page.locator("#picture-image")).to_have_attribute("src", re.compile("^file:"))
    assert page.locator("#picture-image").evaluate("image => image.naturalWidth") == 160


def test_every_thumbnail_in_sight_is_drawn(page: Page) -> None:
    first = page.locator("#tiles img").first
    first.scroll_into_view_if_needed()
    expect(first).to_have_attribute("src", re.compile("^data:image/webp"))
    assert first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    assert page.locator(".extremes img").evaluate_all("images => images.every(image => image.naturalWidth > 100)")


def test_a_folder_shows_its_pictures(page: Page) -> None:
    page.get_by_role("button", name="town hall").click()
    assert count(page) == "10 of 30 pictures"


def test_everything_that_acts_has_a_name_and_sections_have_headings(page: Page) -> None:
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, input, select, a[href], canvas, [role=region]')]
        .filter(e => e.offsetParent !== null)
        .filter(e => !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim()))
        .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    assert page.get_by_role("region", name="Overview").count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.locator("#count").get_attribute("role") == "status"  # read out when the gallery changes


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_and_nothing_sticks_out(width: int, scheme: str, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    faint = faint_text(page)
    page.set_viewport_size({"width": 1100, "height": 800})
    assert faint == []


def test_ten_thousand_pictures_open_sort_and_filter(crowd: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    made = write_report(crowd / "scores.parquet", out, max_mb=12)
    assert made.n_gallery == 10_000
    assert made.n_bytes <= 12_000_000
    with open_page(out.as_uri()) as page:
        assert count(page) == "All 10,000 pictures"
        assert page.locator("#tiles li").count() == 240  # the rest when asked for
        page.get_by_label("Sort by").select_option("aesthetics")
        page.get_by_label("Name or folder has").fill("/0777")
        assert count(page) == "10 of 10,000 pictures"
        page.get_by_role("button", name="Clear").click()
        page.locator("#count", has_text="All 10,000").wait_for()
        page.get_by_role("button", name="Show more").click()
        assert page.evaluate("document.activeElement.closest('li').getAttribute('aria-posinset')") == "241"
        page.keyboard.press("End")
        page.keyboard.press("ArrowRight")
        place = page.evaluate("document.activeElement.closest('li').getAttribute('aria-posinset')")
        assert place == "481"  # and what comes after the last drawn one is drawn
