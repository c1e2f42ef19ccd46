from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import render
from PIL import Image

from beholder.alignvar.benchmark import write_crops
from beholder.alignvar.degrade import shrink
from beholder.cli import main
from beholder.errors import UserError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, size in enumerate(((192, 160), (140, 180), (40, 400))):
        render(i, size).save(folder / f"{i}.png")
    return folder


def pixels(folder: Path) -> dict[str, np.ndarray]:
    return {file.relative_to(folder).as_posix(): np.asarray(Image.open(file)) for file in sorted(folder.rglob("*.png"))}


def test_crops_follow_from_photos_and_seed_and_lie_beside_their_copies(photos: Path, tmp_path: Path) -> None:
    assert write_crops(photos, tmp_path / "one", n=6, side=64, degradation="bicubic") == (6, 1)
    one = pixels(tmp_path / "one")
    assert sorted(one) == sorted(
        f"{folder}/{i // 3}_{i:05d}.png" for folder in ("truth", "input") for i in range(6)
    )  # three of each photo that is large enough
    for i in range(6):
        true, small = (one[f"{folder}/{i // 3}_{i:05d}.png"] for folder in ("truth", "input"))
        assert (true.shape, small.shape) == ((64, 64, 3), (16, 16, 3))
        hr = torch.from_numpy(true.copy()).permute(2, 0, 1)[None] / 255
        assert np.array_equal((shrink(hr)[0] * 255).round().byte().permute(1, 2, 0).numpy(), small)
    (tmp_path / "one/input/0_00001.png").unlink()
    write_crops(photos, tmp_path / "one", n=6, side=64, degradation="bicubic")
    write_crops(photos, tmp_path / "two", n=6, side=64, degradation="bicubic", seed=1)
    again, two = pixels(tmp_path / "one"), pixels(tmp_path / "two")
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not any(np.array_equal(one[name], two[name]) for name in one if name.startswith("truth"))


def test_degraded_copies_differ_from_clean_ones(photos: Path, tmp_path: Path) -> None:
    write_crops(photos, tmp_path / "clean", n=2, side=64, degradation="bicubic")
    write_crops(photos, tmp_path / "mild", n=2, side=64, degradation="realesrgan-mild")
    clean, mild = pixels(tmp_path / "clean"), pixels(tmp_path / "mild")
    for name in clean:
        assert np.array_equal(clean[name], mild[name]) == name.startswith("truth")


def test_of_pairs_of_photographs_the_centres_are_taken(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    for name, size in (("0_LR4.png", (48, 40)), ("1_LR4.png", (35, 45)), ("2_LR4.png", (10, 100))):
        with Image.open(photos / f"{name[0]}.png") as image:
            image.resize(size).save(tmp_path / "small" / name)
    assert write_crops(photos, tmp_path / "out", n=None, side=128, inputs=tmp_path / "small") == (2, 1)
    found = pixels(tmp_path / "out")
    true, small = np.asarray(Image.open(photos / "0.png")), np.asarray(Image.open(tmp_path / "small/0_LR4.png"))
    assert np.array_equal(found["truth/0.png"], true[16:144, 32:160])
    assert np.array_equal(found["input/0.png"], small[4:36, 8:40])


def test_what_does_not_fit_is_said(photos: Path, tmp_path: Path) -> None:
    write_crops(photos, tmp_path / "out", n=2, side=64)
    with pytest.raises(UserError, match="holds other crops"):
        write_crops(photos, tmp_path / "out", n=2, side=32)
    with pytest.raises(UserError, match=r"no photo in .* has sides of 256 px"):
        write_crops(photos, tmp_path / "none", n=2, side=256)
    with pytest.raises(UserError, match="--side 30: allowed are multiples of 4"):
        write_crops(photos, tmp_path / "none", n=2, side=30)
    (tmp_path / "small").mkdir()
    for i in range(3):
        render(i, (40, 40)).save(tmp_path / f"small/{i}.png")
    with pytest.raises(UserError, match=r"0.png has 40 x 40 pixels and 0.png has 192 x 160"):
        write_crops(photos, tmp_path / "pairs", n=None, side=64, inputs=tmp_path / "small")
    assert not list((tmp_path / "pairs").rglob("*.png"))


def test_the_command_says_what_it_wrote(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "crops", str(photos), "-o", str(tmp_path / "out"), "--side", "64", "--crops", "3"]) == 0
    assert "Wrote 3 crops to" in (shown := capsys.readouterr().out)
    assert "1 photos are smaller than 64 px and left out" in shown
