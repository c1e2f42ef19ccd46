from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import render
from PIL import Image, ImageFilter
from tiny_model import write_tiny_checkpoint

from beholder.errors import UserError
from beholder.report.pairs import MOST_PAIRS, Pair, write_pairs


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_checkpoint(tmp_path / "model")


def pair(folder: Path, name: str, size: tuple[int, int] = (64, 48), scale: int = 4) -> Pair:
    """A picture, and the sharper one that it became."""
    large = render(1, (scale * size[0], scale * size[1]))
    large.filter(ImageFilter.GaussianBlur(2)).resize(size).save(folder / f"{name}.png")
    large.save(folder / f"{name}_large.png")
    return Pair(str(folder / f"{name}.png"), str(folder / f"{name}_large.png"))


def test_the_page_shows_both_with_their_quality(tmp_path: Path, model: Path) -> None:
    made = pair(tmp_path, "a")
    n_bytes = write_pairs([made], tmp_path / "page.html", made_by="tiny <model>", model=model)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert n_bytes == len(page.encode())
    assert "1 picture, enlarged by tiny &lt;model&gt;." in page
    assert len(re.findall(r'<img src="data:image/webp', page)) == 2
    assert len(re.findall(r'class="task quality">\d+<span class="unseen"> quality', page)) == 2
    assert 'href="a_large.png">256 x 192</a>' in page
    assert "script" not in page


def test_a_large_picture_shows_a_part_at_full_size(tmp_path: Path, model: Path) -> None:
    scene = Image.new("RGB", (400, 300), "grey")
    scene.paste(render(1, (100, 100)), (290, 190))
    scene.save(tmp_path / "a.png")
    scene.resize((1600, 1200)).save(tmp_path / "b.png")
    write_pairs([Pair(str(tmp_path / "a.png"), str(tmp_path / "b.png"))], tmp_path / "page.html", model=model)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count('width="512" height="512"') == 2


def test_failures_are_named_and_names_are_text(tmp_path: Path, model: Path) -> None:
    failures = [("<b>.jpg", "unreadable", "truncated")] * (MOST_PAIRS + 5)
    write_pairs([pair(tmp_path, "a")], tmp_path / "page.html", failures=failures, model=model)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<code>&lt;b&gt;.jpg</code>" in page
    assert "and 5 more" in page
    assert 'Not enlarged <span class="soft">65</span>' in page


def test_what_can_no_longer_be_opened_is_left_out(tmp_path: Path, model: Path) -> None:
    gone = Pair(str(tmp_path / "gone.png"), str(tmp_path / "gone_large.png"))
    write_pairs([gone, pair(tmp_path, "a")], tmp_path / "page.html", model=model)
    assert "2 pictures, enlarged by . 1 of them are shown." in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_page_may_be_about_failures_alone(tmp_path: Path) -> None:
    write_pairs([], tmp_path / "page.html", failures=[("a.jpg", "unreadable", "truncated")], made_by="tiny")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "No picture was enlarged by tiny." in page
    assert "<code>a.jpg</code>" in page


def test_no_pictures_make_no_page(tmp_path: Path, model: Path) -> None:
    with pytest.raises(UserError, match="no picture before and after"):
        write_pairs([], tmp_path / "page.html", model=model)
    assert not (tmp_path / "page.html").exists()
