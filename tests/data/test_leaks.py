from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from beholder.data.columns import make_table
from beholder.data.leaks import find_leaks, fix_leaks
from beholder.data.manifest import Manifest, SplitBy
from beholder.data.scenes import find_scenes, thumbnails
from beholder.task import ScoreRange


def scene(seed: int, width: int = 240, height: int = 180) -> Image.Image:
    """A made-up scene: a sky, hills and things standing about, all drawn from `seed`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / height
    sky = rng.uniform(60, 255, 3)[None, None] * (1 - 0.5 * y[..., None])
    hills = 0.3 + 0.5 * rng.random() + 0.1 * np.sin(x * rng.uniform(2, 9) + rng.uniform(0, 6))
    image = np.where((y > hills)[..., None], rng.uniform(10, 200, 3), sky)
    for _ in range(14):
        cx, cy, size = rng.uniform(0, width / height), rng.random(), rng.uniform(0.03, 0.16)
        inside = np.maximum(np.abs(x - cx), np.abs(y - cy) * rng.uniform(0.4, 2)) < size
        image = np.where(inside[..., None], rng.uniform(0, 255, 3), image)
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


def shot_again(image: Image.Image) -> Image.Image:
    """The same scene from a little to the side, darker, softer."""
    width, height = image.size
    moved = image.crop((width // 12, height // 20, width, height)).resize((width, height))
    return moved.point(lambda value: int(value * 0.7)).filter(ImageFilter.GaussianBlur(1))


def made_manifest(root: Path, rows: list[tuple[str, str]], split_by: SplitBy = "row", **columns: list[str]) -> Manifest:
    table = make_table(
        {"path": [name for name, _ in rows], "score": [0.5] * len(rows), "split": [split for _, split in rows]}
        | columns,
        ScoreRange(0, 1),
        str,
    )
    return Manifest("demo", "quality", ScoreRange(0, 1), split_by, "own", "own", root, table)


@pytest.fixture
def photos(tmp_path) -> Manifest:
    """24 scenes; number 0 again as a byte copy, 1 re-saved, 2 shot again from the side, 3 brighter."""
    for i in range(24):
        scene(i).save(tmp_path / f"{i:02d}.png")
    (tmp_path / "copy.png").write_bytes((tmp_path / "00.png").read_bytes())
    scene(1).save(tmp_path / "saved.jpg", quality=40)
    shot_again(scene(2)).save(tmp_path / "again.png")
    scene(3).point(lambda value: min(255, int(value * 1.3))).save(tmp_path / "bright.png")
    twins = [("copy.png", "test"), ("saved.jpg", "val"), ("again.png", "test"), ("bright.png", "train")]
    return made_manifest(tmp_path, [(f"{i:02d}.png", "train") for i in range(24)] + twins)


def pairs_of(manifest: Manifest, twins) -> set[tuple[str, str, str]]:
    names = manifest.column("path")
    return {(names[twin.first], names[twin.second], twin.kind) for twin in twins}


def test_copies_resaved_brightened_and_moved_shots_are_found_and_nothing_else(photos):
    report = find_leaks(photos)
    assert pairs_of(photos, report.twins) == {
        ("00.png", "copy.png", "same file"),
        ("01.png", "saved.jpg", "same scene"),
        ("02.png", "again.png", "same scene"),
        ("03.png", "bright.png", "same scene"),
    }
    assert pairs_of(photos, report.leaks) == pairs_of(photos, report.twins) - {("03.png", "bright.png", "same scene")}


def test_the_fix_leaves_no_leak_and_keeps_every_picture(photos):
    mended = fix_leaks(photos, find_leaks(photos), salt="s")
    assert find_leaks(mended).leaks == ()
    assert mended.column("path") == photos.column("path")
    assert mended.split_by == "scene"
    assert set(mended.column("split")) == {"train", "val", "test"}
    group = dict(zip(mended.column("path"), mended.column("group"), strict=True))
    assert group["again.png"] == group["02.png"] != group["03.png"]


def test_fixing_twice_changes_nothing(photos):
    mended = fix_leaks(photos, find_leaks(photos), salt="s")
    assert fix_leaks(mended, find_leaks(mended), salt="s").table.equals(mended.table)


def test_an_official_test_part_is_kept_whole(photos):
    official = made_manifest(
        photos.image_root, list(zip(photos.column("path"), photos.column("split"), strict=True)), split_by="official"
    )
    mended = fix_leaks(official, find_leaks(official), salt="s")
    assert mended.select("test").column("path") == official.select("test").column("path")
    assert set(official.column("path")) - set(mended.column("path")) == {"00.png", "01.png", "02.png"}


def test_a_group_on_two_sides_is_a_leak_reported_once(tmp_path):
    for i in range(4):
        scene(i).save(tmp_path / f"{i}.png")
    rows = [("0.png", "train"), ("1.png", "test"), ("2.png", "test"), ("3.png", "train")]
    manifest = made_manifest(tmp_path, rows, group=["p", "p", "p", "q"])
    report = find_leaks(manifest)
    assert pairs_of(manifest, report.leaks) == {("0.png", "1.png", "same group")}
    assert len(report.leaks) == 1


def test_pictures_that_cannot_be_read_are_reported_and_never_twins(tmp_path):
    scene(0).save(tmp_path / "0.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "0.png").read_bytes()[:200])
    (tmp_path / "text.jpg").write_text("no picture")
    rows = [(name, "train") for name in ("0.png", "broken.png", "text.jpg", "gone.png")]
    report = find_leaks(made_manifest(tmp_path, rows))
    assert set(report.unreadable) == {"broken.png", "text.jpg", "gone.png"}
    assert report.twins == ()


def test_flat_pictures_are_not_called_one_scene(tmp_path):
    for name, colour in {"black": 0, "grey": 128, "white": 255}.items():
        Image.new("RGB", (80, 60), (colour,) * 3).save(tmp_path / f"{name}.png")
    small, failed = thumbnails(sorted(tmp_path.iterdir()), workers=1)
    assert not failed
    assert find_scenes(small) == []


def test_agreement_does_not_depend_on_order_or_company(tmp_path):
    pictures = [scene(2), shot_again(scene(2)), *(scene(i) for i in range(5, 12))]
    for i, picture in enumerate(pictures):
        picture.save(tmp_path / f"{i}.png")
    paths = sorted(tmp_path.iterdir())
    all_small, _ = thumbnails(paths, workers=2)
    two_small, _ = thumbnails(paths[1::-1], workers=1)
    (among_all,), (alone,) = find_scenes(all_small), find_scenes(two_small)
    assert (among_all.first, among_all.second) == (0, 1) == (alone.first, alone.second)
    assert among_all.agreement == pytest.approx(alone.agreement, abs=1e-5)


def test_one_picture_has_no_pairs():
    assert find_scenes(np.zeros((1, 64, 64, 3), dtype=np.uint8)) == []


def test_working_in_tiles_changes_nothing(photos, monkeypatch):
    small, _ = thumbnails(photos.paths(), workers=1)
    whole = find_scenes(small)
    monkeypatch.setattr("beholder.data.scenes._TILE", 5)
    assert find_scenes(small) == whole
