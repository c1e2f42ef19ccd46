"""The page of a server in a real Chromium: drop or choose pictures, read scores, compare two, take the CSV."""

from __future__ import annotations

import base64
import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import faint_text, open_page
from playwright.sync_api import Page, expect

import beholder

from .running import Running, running


@pytest.fixture
def page(server: Running) -> Iterator[Page]:
    with open_page(server.url, viewport={"width": 1100, "height": 900}) as page:
        yield page


def choose(page: Page, *paths: Path) -> None:
    page.locator("#files").set_input_files([str(path) for path in paths])


def test_chosen_pictures_get_their_scores_and_level_bars(page: Page, photos: list[Path], tiny: Path) -> None:
    choose(page, *photos)
    expect(page.get_by_role("status")).to_have_text("4 scored.")
    numbers = page.locator(".verdict.quality .number").all_text_contents()
    assert sorted(numbers) == sorted(f"{score.quality:.1f}" for score in beholder.load(tiny).score(photos))
    assert page.get_by_role("img", name="quality levels: bad").count() == 4
    assert page.locator(".card img").first.evaluate("image => image.naturalWidth") == 96


def test_a_dropped_and_a_pasted_picture_are_scored(page: Page, photos: list[Path]) -> None:
    data = base64.b64encode(photos[0].read_bytes()).decode()
    for kind, of in (("drop", "DragEvent"), ("paste", "ClipboardEvent")):
        page.evaluate(
            """([kind, of, data]) => {
              const transfer = new DataTransfer();
              const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
              transfer.items.add(new File([bytes], `${kind}.jpg`, { type: 'image/jpeg' }));
              const init = { bubbles: true, cancelable: true, dataTransfer: transfer, clipboardData: transfer };
              document.body.dispatchEvent(new window[of](kind, init));
            }""",
            [kind, of, data],
        )
        card = page.locator(".card", has_text=f"{kind}.jpg")
        expect(card.locator(".verdict")).to_have_count(2)


def test_a_picture_that_can_not_be_scored_says_why(page: Page, tmp_path: Path) -> None:
    (tmp_path / "<b>broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    choose(page, tmp_path / "<b>broken.jpg")
    expect(page.locator(".card .fault")).to_contain_text("unreadable")
    expect(page.get_by_role("status")).to_have_text("0 scored, 1 not.")
    assert page.locator(".card b").count() == 0


def test_two_pictures_are_compared_side_by_side(page: Page, photos: list[Path], tiny: Path) -> None:
    choose(page, *photos[:3])
    expect(page.get_by_role("status")).to_have_text("3 scored.")
    for name in ("photo0.jpg", "photo1.jpg"):
        page.get_by_role("button", name=f"Compare {name}").click()
    panel = page.get_by_role("region", name="Side by side")
    expect(panel.locator(".verdict")).to_have_count(4)
    first, second = beholder.load(tiny).score(photos[:2])
    assert first.quality is not None
    assert second.quality is not None
    ahead = "photo0.jpg" if first.quality > second.quality else "photo1.jpg"
    expect(panel).to_contain_text(f"{ahead} is ahead in quality by {abs(first.quality - second.quality):.1f}")
    page.get_by_role("button", name="Done").click()
    expect(panel).to_be_hidden()
    assert page.locator(".card.marked").count() == 0


def test_the_csv_holds_what_is_seen(page: Page, photos: list[Path], tmp_path: Path) -> None:
    choose(page, *photos[:2])
    expect(page.get_by_role("status")).to_have_text("2 scored.")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    seen = page.locator(".card", has_text=rows[0]["name"]).locator(".verdict.quality .number").text_content()
    assert f"{float(rows[0]['quality']):.1f}" == seen
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert sum(float(rows[0][f"quality_{level}"]) for level in ("bad", "poor", "fair", "good", "perfect")) == (
        pytest.approx(1, abs=1e-4)
    )


def test_a_name_that_is_a_formula_is_text_in_the_csv(page: Page, photos: list[Path], tmp_path: Path) -> None:
    names = ["=HYPERLINK(1).jpg", "+1.jpg", "-2+3.jpg", "@sum.jpg", "\t=1.jpg", "a=b.jpg", "'quoted'.jpg"]
    for name in names:
        (tmp_path / name).write_bytes(photos[0].read_bytes())
    choose(page, *(tmp_path / name for name in names))
    expect(page.get_by_role("status")).to_have_text(f"{len(names)} scored.")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = {row["name"] for row in csv.DictReader(file)}
    assert rows == {f"'{name}" for name in names[:5]} | set(names[5:])
    assert page.locator(".card h3").all_text_contents() == names


def test_the_keyboard_reaches_everything(page: Page, photos: list[Path]) -> None:
    choose(page, *photos[:1])
    expect(page.get_by_role("status")).to_have_text("1 scored.")
    page.locator("#choose").focus()
    reached = []
    for _ in range(3):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent"))
    assert reached == ["Download CSV", "Clear", "Compare"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_and_nothing_sticks_out_of_a_phone(scheme: str, page: Page, photos: list[Path]) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    choose(page, *photos[:2])
    expect(page.get_by_role("status")).to_have_text("2 scored.")
    for button in page.get_by_role("button", name="Compare").all():
        button.click()
    expect(page.locator("#comparison .verdict")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faint_text(page) == []


def test_a_server_with_a_key_asks_for_it(tmp_path: Path, tiny: Path, photos: list[Path]) -> None:
    (tmp_path / "key").write_text("a-key-for-the-page")
    arguments = ("--model", str(tiny), "--workers", "1", "--api-key-file", str(tmp_path / "key"))
    with running(tmp_path, *arguments) as server, open_page(server.url, may_complain=True) as page:
        page.get_by_label("This server wants a key").fill("not-the-right-one")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_label("This server wants a key")).to_be_visible()
        page.get_by_label("This server wants a key").fill("a-key-for-the-page")
        page.get_by_role("button", name="Go on").click()
        expect(page.locator("#model")).to_contain_text("By tiny")
        choose(page, photos[0])
        expect(page.locator(".verdict")).to_have_count(2)
