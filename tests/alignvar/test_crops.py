from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from beholder.alignvar import crops as module
from beholder.alignvar.crops import Crops, held_out_crops, read_photos
from beholder.alignvar.degrade import shrink
from beholder.alignvar.recipe import CropsConfig, PhotosConfig
from beholder.errors import UserError

PLAIN = CropsConfig(halved=0, rescale=(1, 1))
SHARED = Path(__file__).parents[3] / "shared/data"
RECIPES = Path(__file__).parents[2] / "recipes/alignvar"


@pytest.fixture(scope="module")
def config(tmp_path_factory, render_picture) -> PhotosConfig:
    """Eight photos of 120 x 100, two of them held out, and one that is too small."""
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(8):
        render_picture(seed, (120, 100)).save(folder / f"{seed}.png")
    render_picture(9, (40, 40)).save(folder / "small.png")
    listed = folder / "held-out.txt"
    listed.write_text("# not learned from\n3.png\n\n5.png\n")
    return PhotosConfig(folders=(folder,), held_out=listed)


def test_held_out_photos_are_not_learned_from_and_small_ones_are_counted(config: PhotosConfig) -> None:
    photos = read_photos(config, 64)
    assert [photo.name for photo in photos.held_out] == ["3.png", "5.png"]
    assert [photo.name for photo in photos.train] == ["0.png", "1.png", "2.png", "4.png", "6.png", "7.png"]
    assert photos.too_small == 1


def test_a_held_out_name_that_is_nowhere_is_an_error(config: PhotosConfig, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("3.png\n33.png\n")
    with pytest.raises(UserError, match=r"names 33\.png and 0 more that are in none of"):
        read_photos(config.model_copy(update={"held_out": listed}), 64)


def test_a_damaged_photo_is_named(config: PhotosConfig, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(UserError, match=r"bad\.jpg can't be learned from"):
        read_photos(config.model_copy(update={"folders": (*config.folders, tmp_path)}), 64)


def test_an_item_is_the_same_whenever_it_is_drawn_and_seeds_differ(config: PhotosConfig) -> None:
    photos = read_photos(config, 32).train
    shares = {"bicubic": 0.5, "realesrgan-mild": 0.5}

    def crops(seed: int) -> Crops:
        return Crops(photos, 32, CropsConfig(), length=20, seed=seed, shares=shares, margin=16)

    first, second, other = crops(1), crops(1), crops(2)
    second[3]
    for index in (7, 0, 19):
        assert torch.equal(first[index]["hr"], second[index]["hr"])
        assert torch.equal(first[index]["lr"], second[index]["lr"])
    assert not torch.equal(first[0]["hr"], other[0]["hr"])
    assert len({first[index]["hr"].numpy().tobytes() for index in range(20)}) == 20


def test_a_crop_is_a_window_of_its_photo_turned_or_mirrored(config: PhotosConfig) -> None:
    photo = read_photos(config, 64).train[0]
    crops = Crops([photo], 64, PLAIN, length=40, seed=0)
    windows = {
        photo.pixels()[:, y : y + 64, x : x + 64].numpy().tobytes(): (y, x) for y in range(37) for x in range(57)
    }
    poses, places = set(), set()
    for index in range(40):
        for turn in range(4):
            for mirrored in (False, True):
                pose = crops[index]["hr"].rot90(turn, (1, 2))
                pose = pose.flip(2) if mirrored else pose
                if (place := windows.get(pose.contiguous().numpy().tobytes())) is not None:
                    poses.add((turn, mirrored))
                    places.add(place)
    assert len(poses) == 8
    assert len(places) == 40


def test_crops_are_only_mirrored_where_the_recipe_says_so(config: PhotosConfig) -> None:
    photo = read_photos(config, 64).train[0]
    drawn = Crops([photo], 64, PLAIN.model_copy(update={"turned": False}), length=20, seed=0)
    windows = {photo.pixels()[:, y : y + 64, x : x + 64].numpy().tobytes() for y in range(37) for x in range(57)}
    items = [drawn[index]["hr"] for index in range(20)]
    mirrored = [item.flip(2).contiguous().numpy().tobytes() in windows for item in items]
    assert all(m != (item.numpy().tobytes() in windows) for item, m in zip(items, mirrored, strict=True))
    assert 3 < sum(mirrored) < 17


def test_photos_that_do_not_fit_into_memory_are_read_at_each_use(
    config: PhotosConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = read_photos(config, 32)
    monkeypatch.setattr(module, "KEPT_BYTES", 100_000)
    read = read_photos(config, 32)
    assert all(photo.kept is not None for photo in kept.train)
    assert all(photo.kept is None for photo in (*read.train, *read.held_out))
    shares = {"bicubic": 0.5, "realesrgan-mild": 0.5}
    first, second = (Crops(p.train, 32, CropsConfig(), length=8, seed=1, shares=shares, margin=8) for p in (kept, read))
    for index in range(8):
        assert torch.equal(first[index]["hr"], second[index]["hr"])
        assert torch.equal(first[index]["lr"], second[index]["lr"])
    assert torch.equal(held_out_crops(kept.held_out, 32, 2).hr, held_out_crops(read.held_out, 32, 2).hr)
    read.train[0].path.rename(tmp_path / "gone.png")
    try:
        with pytest.raises(UserError, match=r"0\.png can't be learned from: no such file"):
            read.train[0].pixels()
    finally:
        (tmp_path / "gone.png").rename(read.train[0].path)


def test_lr_shows_the_same_place_as_hr_with_a_margin_and_without(config: PhotosConfig) -> None:
    photos = read_photos(config, 32).train
    for margin in (0, 16):
        crops = Crops(photos, 32, PLAIN, length=12, seed=0, shares={"bicubic": 1.0}, margin=margin)
        for index in range(12):
            item = crops[index]
            assert item["lr"].shape == (3, 8, 8)
            inside = (shrink(item["hr"][None].float() / 255)[0] - item["lr"])[:, 2:-2, 2:-2]
            assert inside.abs().max() < 1.5 / 255  # at the rim the margin is seen


def test_the_shares_of_presets_are_kept(config: PhotosConfig) -> None:
    photos = read_photos(config, 32).train
    shares = {"bicubic": 0.75, "realesrgan-mild": 0.25}
    crops = Crops(photos, 32, PLAIN, length=60, seed=0, shares=shares)
    clean = 0
    for index in range(60):
        item = crops[index]
        clean += torch.equal(shrink(item["hr"][None].float() / 255)[0], item["lr"])
    assert 35 <= clean <= 53


def test_a_photo_without_room_for_margin_or_half_size_still_gives_crops(config: PhotosConfig) -> None:
    photos = read_photos(config, 96).train
    wide = Crops(photos, 96, CropsConfig(halved=1.0), length=10, seed=0, shares={"bicubic": 1.0}, margin=64)
    assert {tuple(wide[index]["hr"].shape) for index in range(10)} == {(3, 96, 96)}


def test_held_out_crops_are_fixed_and_half_of_them_are_of_half_size(config: PhotosConfig) -> None:
    photos = read_photos(config, 32).held_out
    first = held_out_crops(photos, 32, 4, ["bicubic", "realesrgan-mild"])
    second = held_out_crops(photos, 32, 4, ["bicubic", "realesrgan-mild"])
    assert first.hr.shape == (8, 3, 32, 32)
    assert torch.equal(first.hr, second.hr)
    assert torch.equal(first.lr["realesrgan-mild"], second.lr["realesrgan-mild"])
    assert torch.equal(first.lr["bicubic"], shrink(first.hr.float() / 255))
    half = photos[0].pixels(half=True).unfold(1, 32, 1).unfold(2, 32, 1)
    found = [(half == crop[:, None, None]).all(dim=(0, 3, 4)).any().item() for crop in first.hr[:4]]
    assert found == [False, True, False, True]


def test_the_published_list_holds_out_forty_photos_of_the_shared_set() -> None:
    folder = SHARED / "natural_bsds400/images"
    if not folder.is_dir():
        pytest.skip("no shared photos here")
    names = [line for line in (RECIPES / "held-out.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names)) == 40
    assert all((folder / name).is_file() for name in names)
    assert np.asarray(Image.open(folder / names[0])).shape[2] == 3
