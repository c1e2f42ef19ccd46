from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cheap_upscaler import bicubic, cheap_upscaler, nearest
from conftest import render
from PIL import Image

import beholder
from beholder.errors import UserError
from beholder.restore.run import Progress


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two folders: a JPEG with EXIF, a transparent PNG, and a broken file between them."""
    folder = tmp_path / "photos"
    (folder / "sea").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    render(1, (40, 30)).save(folder / "a.jpg", exif=exif, icc_profile=b"profile")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.merge("LA", [render(i, (33, 20)).getchannel(0) for i in (2, 3)]).save(folder / "sea" / "b.png")
    return folder


def test_a_folder_becomes_a_folder_and_what_is_bad_a_row(photos: Path, tmp_path: Path) -> None:
    run = beholder.upscale(photos, tmp_path / "out", model=cheap_upscaler())
    assert [(Path(row.path).name, row.status) for row in run.rows] == [
        ("a.jpg", "ok"),
        ("broken.png", "unreadable"),
        ("b.png", "ok"),
    ]
    assert str(run).startswith("3 pictures: 2 ok, 1 unreadable | 0.03 megapixels in ")
    made = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert made == ["a_x4.png", "sea/b_x4.png"]
    with Image.open(tmp_path / "out/a_x4.png") as image:
        image.load()
        assert (image.size, image.mode, image.info["icc_profile"]) == ((120, 160), "RGB", b"profile")
        assert dict(image.getexif()) == {0x010F: "Maker"}
        origin = json.loads(image.info["beholder"])
        assert (origin["model"], origin["scale"], origin["fidelity"]) == ("cheap", 4, 0.0)
    with Image.open(tmp_path / "out/sea/b_x4.png") as image:
        assert (image.size, image.mode) == ((132, 80), "LA")


def test_what_is_there_is_skipped_unless_told_otherwise(photos: Path, tmp_path: Path) -> None:
    beholder.upscale(photos, tmp_path / "out", model=cheap_upscaler())
    first = (tmp_path / "out/a_x4.png").read_bytes()
    again = beholder.upscale(photos, tmp_path / "out", model=cheap_upscaler(bicubic))
    assert [row.status for row in again.rows] == ["skipped", "unreadable", "skipped"]
    assert (tmp_path / "out/a_x4.png").read_bytes() == first
    third = beholder.upscale(photos, tmp_path / "out", model=cheap_upscaler(bicubic), overwrite=True)
    assert [row.status for row in third.rows] == ["ok", "unreadable", "ok"]
    assert (tmp_path / "out/a_x4.png").read_bytes() != first


def test_the_same_run_gives_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        beholder.upscale(photos, tmp_path / name, model=cheap_upscaler(bicubic, fidelity=0.7), alpha="model")
    for file in (tmp_path / "one").rglob("*.png"):
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()


@pytest.mark.parametrize("ending", ["jpg", "webp"])
def test_other_formats_keep_profile_and_exif(photos: Path, tmp_path: Path, ending: str) -> None:
    run = beholder.upscale(photos, tmp_path / "out", model=cheap_upscaler(), name="{stem}." + ending)
    with Image.open(tmp_path / f"out/a.{ending}") as image:
        assert image.size == (120, 160)
        assert image.info["icc_profile"] == b"profile"
        assert image.getexif()[0x010F] == "Maker"
    assert run.rows[2].status == ("ok" if ending == "webp" else "unsupported")


def test_exif_that_a_jpeg_cannot_hold_is_left_out_with_a_note(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x010E] = "Maker", "x" * 70_000
    render(1, (40, 30)).save(tmp_path / "a.png", exif=exif)
    for ending, is_kept in (("jpg", False), ("webp", True), ("png", True)):
        run = beholder.upscale(tmp_path / "a.png", tmp_path / "out", model=cheap_upscaler(), name="{stem}." + ending)
        assert run.rows[0].note == (None if is_kept else "EXIF too large for a JPEG: left out")
        with Image.open(tmp_path / f"out/a.{ending}") as image:
            assert dict(image.getexif()) == (dict(exif) if is_kept else {})


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_a_stopped_run_leaves_whole_pictures_and_goes_on(photos: Path, tmp_path: Path, stop: BaseException) -> None:
    n_calls = 0

    def stopping(tiles: np.ndarray) -> np.ndarray:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 4:
            raise stop
        return nearest(tiles)

    with pytest.raises(type(stop)):
        beholder.upscale(photos, tmp_path / "out", model=cheap_upscaler(stopping), batch_size=4)
    assert [path.name for path in (tmp_path / "out").rglob("*.*")] == ["a_x4.png"]
    (tmp_path / "out" / ".b_x4.png.tmp-1").write_bytes(b"left by a killed run")
    run = beholder.upscale(photos, tmp_path / "out", model=cheap_upscaler())
    assert [row.status for row in run.rows] == ["skipped", "unreadable", "ok"]


def test_a_full_disk_ends_the_run_with_nothing_half_written(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tiles: np.ndarray) -> np.ndarray:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"no room left in .*out: [0-9,.]+ MB are free. What is finished is kept"):
        beholder.upscale(photos, tmp_path / "out", model=cheap_upscaler(full))
    assert list((tmp_path / "out").iterdir()) == []
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(UserError, match="the next picture needs"):
        beholder.upscale(photos, tmp_path / "out", model=cheap_upscaler())


def test_a_name_that_cannot_be_written_is_a_row(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sea").write_text("a file where a folder should be")
    run = beholder.upscale(photos, tmp_path / "out", model=cheap_upscaler())
    assert [row.status for row in run.rows] == ["ok", "unreadable", "unwritable"]


def test_a_folder_that_has_the_name_of_a_result_is_told_before_any_work(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out/a_x4.png").mkdir(parents=True)
    asked = []
    run = beholder.upscale(
        photos / "a.jpg", tmp_path / "out", model=cheap_upscaler(lambda tiles: asked.append(1) or nearest(tiles))
    )
    assert [(row.status, row.error) for row in run.rows] == [("unwritable", f"{tmp_path}/out/a_x4.png: is a folder")]
    assert not asked


def test_progress_names_every_picture_and_counts_its_tiles(photos: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    beholder.upscale(photos, tmp_path / "out", model=cheap_upscaler(), on_progress=told.append)
    finished = [one.row for one in told if one.row is not None]
    assert [Path(row.path).name for row in finished] == ["a.jpg", "broken.png", "b.png"]
    tiles = [(one.tiles_done, one.tiles_total) for one in told if one.tiles_total]
    assert tiles[0] == (0, 9)  # 30 x 40 upright, tiles of 16 at most 12 apart
    assert (9, 9) in tiles
    assert (told[-1].n_done, told[-1].n_total, told[-1].n_failed) == (3, 3, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 9}, r"--scale 9: allowed are 1 to 8"),
        ({"scale": float("nan")}, r"--scale nan: allowed"),
        ({"fidelity": 1.5}, r"--fidelity 1.5: allowed are 0"),
        ({"tile": 13}, r"--tile 13: this model's tile has 16 input pixels, so they can lie 1 to 12 apart"),
        ({"tile": 0}, r"--tile 0: "),
        ({"batch_size": 0}, r"--batch-size 0: "),
        ({"colour_fix": "wavelet"}, r"--colour-fix wavelet: allowed are lowband, adain, none"),
        ({"alpha": "keep"}, r"--alpha keep: "),
        ({"decode": "beam"}, r"--decode beam: allowed are greedy"),
        ({"seed": 3}, r"--seed 3 says nothing to --decode greedy"),
        ({"name": "{stem}.gif"}, r"--name {stem}.gif: allowed endings"),
    ],
)
def test_a_wrong_option_stops_before_anything_is_made(
    photos: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        beholder.upscale(photos, tmp_path / "out", **({"model": cheap_upscaler()} | options))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_without_weights_the_way_to_some_is_told(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beholder.restore.upscaler.EMBEDDED", {"alvar-none": tmp_path / "nothing"})
    with pytest.raises(UserError, match=r"no embedded weights for upscaling .* --model, or train one: beholder train"):
        beholder.upscale(photos, tmp_path / "out")
    with pytest.raises(UserError, match="--model elsewhere: no such folder"):
        beholder.upscale(photos, tmp_path / "out", model="elsewhere")
    with pytest.raises(UserError, match=r"is not a model for upscaling: it has no config.json"):
        beholder.upscale(photos, tmp_path / "out", model=photos)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    yield folder
    folder.chmod(0o700)


def test_a_folder_that_cannot_be_written_is_told_first(photos: Path, read_only: Path) -> None:
    with pytest.raises(UserError, match=r"a\.jpg: it is a file"):
        beholder.upscale(photos / "sea", photos / "a.jpg" / "out", model=cheap_upscaler())
    if read_only.stat().st_uid == 0:
        pytest.skip("root may write anywhere")
    with pytest.raises(UserError, match="no permission"):
        beholder.upscale(photos, read_only / "out", model=cheap_upscaler())


def progressive_jpeg_of_many_scans() -> bytes:
    """Some 100 kB that a decoder is busy with for a minute."""
    file = io.BytesIO()
    Image.new("L", (3000, 3000), 120).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last_scan = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + 2000 * last_scan + content[-2:]


def test_a_picture_that_takes_for_ever_to_read_costs_its_row(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    render(1, (20, 16)).save(tmp_path / "in/a.png")
    (tmp_path / "in/b.jpg").write_bytes(progressive_jpeg_of_many_scans())
    render(2, (20, 16)).save(tmp_path / "in/c.png")
    run = beholder.upscale(tmp_path / "in", tmp_path / "out", model=cheap_upscaler(), timeout_s=3)
    assert [row.status for row in run.rows] == ["ok", "timeout", "ok"]
    assert run.rows[1].error == "reading it took longer than 3 s"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the process that reads")
def test_a_decoder_that_dies_costs_its_row(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i, name in enumerate("abc"):
        render(i, (20, 16)).save(tmp_path / f"in/{name}.png")
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    before = children.read_text().split()

    def kill(progress: Progress) -> None:
        if progress.n_done == 1 and progress.row is not None:
            for child in set(children.read_text().split()) - set(before):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(int(child), signal.SIGKILL)

    run = beholder.upscale(tmp_path / "in", tmp_path / "out", model=cheap_upscaler(), on_progress=kill)
    assert [row.status for row in run.rows] == ["ok", "crashed", "ok"]
