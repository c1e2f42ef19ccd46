from __future__ import annotations

import numpy as np
import pytest
from cheap_upscaler import bicubic, nearest
from conftest import render

from beholder.restore.resample import BICUBIC, resized, whole
from beholder.restore.tiles import FACTOR, Grid, enlarged, grid, n_tiles, unit


def pixels_of(size: tuple[int, int], seed: int = 3) -> np.ndarray:
    return np.asarray(render(seed, size))


def test_tiles_of_a_bicubic_model_are_the_whole_picture() -> None:
    pixels = pixels_of((101, 74))
    made = whole(enlarged(pixels, bicubic, tile=16, spacing=12, batch_size=5))
    plain = whole(resized([unit(pixels)], 74, (404, 296), BICUBIC))
    assert np.abs(made - np.clip(plain, 0, 1)).max() < 1 / 255


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (16, 16), (17, 5), (33, 47)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_comes_back_four_times_as_large(size: tuple[int, int], channels: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], channels), np.uint8)
    made = whole(enlarged(pixels, nearest, tile=16, spacing=12, batch_size=3))
    np.testing.assert_allclose(made, nearest(unit(pixels)[None])[0], atol=1e-6)


def test_a_seam_is_no_steeper_than_its_surroundings() -> None:
    """A model whose tiles disagree in tone, as real ones do: where two meet, the tone must change slowly."""
    rng = np.random.default_rng(0)

    def moody(tiles: np.ndarray) -> np.ndarray:
        return nearest(tiles) + rng.uniform(-0.2, 0.2, (len(tiles), 1, 1, 1)).astype(np.float32)

    made = whole(enlarged(np.full((100, 100, 3), 128, np.uint8), moody, tile=32, spacing=24, batch_size=4))
    assert np.ptp(made) > 0.1
    for axis in (0, 1):
        assert np.abs(np.diff(made, axis=axis)).max() < 0.4 / (FACTOR * 6) * np.pi  # a Hann ramp over six input pixels


def test_the_result_does_not_depend_on_how_many_tiles_go_at_once() -> None:
    pixels = pixels_of((90, 50))
    one, many = (whole(enlarged(pixels, bicubic, tile=16, spacing=12, batch_size=n)) for n in (1, 64))
    assert np.array_equal(one, many)


def test_sixteen_bits_are_told_by_type_not_by_value() -> None:
    dark = np.full((16, 16, 1), 200, np.uint16)
    assert whole(enlarged(dark, nearest, tile=16, spacing=12, batch_size=1)).max() == pytest.approx(200 / 65535)


@pytest.mark.parametrize("length", [16, 17, 28, 29, 500])
def test_shares_add_up_to_one_and_tiles_overlap_by_a_quarter(length: int) -> None:
    tiles = grid(length, tile=16, spacing=12)
    total = np.zeros(FACTOR * length)
    for start, share in zip(tiles.starts, tiles.shares(), strict=True):
        total[FACTOR * start : FACTOR * (start + 16)] += share
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert isinstance(tiles, Grid)
    assert tiles.starts[-1] == length - 16
    assert np.diff(tiles.starts).max(initial=0) <= 12


def test_progress_counts_every_tile() -> None:
    counts: list[int] = []
    whole(enlarged(pixels_of((70, 50)), nearest, tile=16, spacing=12, batch_size=4, on_tiles=counts.append))
    assert sum(counts) == n_tiles(50, 70, 16, 12) == 6 * 4
    assert max(counts) <= 4
