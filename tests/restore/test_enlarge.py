from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cheap_upscaler import bicubic, nearest
from conftest import render
from PIL import Image

from beholder.restore.enlarge import Method, enlarge
from beholder.restore.original import Original
from beholder.restore.tiles import TileModel


def method(**changes: object) -> Method:
    fields: dict[str, object] = {
        "tile": 16,
        "spacing": 12,
        "batch_size": 8,
        "scale": 4,
        "fidelity": 0.0,
        "colour_fix": "none",
        "alpha": "bicubic",
    }
    return Method(**(fields | changes))  # type: ignore[arg-type]


def made(original: Original, model: TileModel = nearest, **changes: object) -> np.ndarray:
    return np.concatenate(list(enlarge(original, model, method(**changes))))


def scene(size: tuple[int, int] = (40, 30)) -> np.ndarray:
    return np.asarray(render(4, size))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_depth_and_grey_are_kept_to_the_last_bit(dtype: type, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (30, 40, channels), dtype, endpoint=True)
    result = made(Original(pixels, None))
    assert (result.dtype, result.shape) == (dtype, (120, 160, channels))
    assert np.abs(result.astype(int) - nearest(pixels[None])[0]).max() <= (1 if dtype is np.uint16 else 0)


@pytest.mark.parametrize(
    ("scale", "size"), [(1, (40, 30)), (2, (80, 60)), (2.5, (100, 75)), (3, (120, 90)), (8, (320, 240))]
)
def test_other_scales_are_lanczos_of_four(scale: float, size: tuple[int, int]) -> None:
    result = made(Original(scene(), None), bicubic, scale=scale)
    four = Image.fromarray(made(Original(scene(), None), bicubic))
    assert result.shape == (size[1], size[0], 3)
    assert np.abs(result.astype(int) - np.asarray(four.resize(size, Image.Resampling.LANCZOS))).mean() < 0.5


def test_colours_under_transparency_do_not_reach_visible_edges() -> None:
    colour = np.full((32, 32, 3), 200, np.uint8)
    alpha = np.full((32, 32, 1), 255, np.uint8)
    colour[:, 16:], alpha[:, 16:] = 0, 0  # black, and not to be seen
    result = made(Original(colour, alpha), bicubic, fidelity=1.0, colour_fix="lowband")
    visible = result[..., 3] > 0
    assert visible.any()
    assert result[..., :3][visible].min() >= 198


def test_alpha_by_interpolation_stays_opaque_where_it_was() -> None:
    alpha = np.full((40, 40, 1), 255, np.uint8)
    alpha[10:20, 10:20] = 0
    inverse = lambda tiles: 1 - nearest(tiles)  # noqa: E731
    result = made(Original(scene((40, 40)), alpha), inverse)
    assert set(np.unique(result[100:, :, 3])) == {255}
    assert result[50:70, 50:70, 3].max() <= 2


def test_alpha_by_the_model_comes_from_the_model() -> None:
    alpha = np.asarray(render(9, (40, 40)))[:, :, :1]
    original = Original(scene((40, 40)), np.ascontiguousarray(alpha))
    result = made(original, lambda tiles: 1 - nearest(tiles), alpha="model")
    np.testing.assert_array_equal(result[..., 3:], 255 - nearest(alpha[None])[0])
    assert method(alpha="model").n_tiles(original) == 2 * method().n_tiles(original)


def test_a_picture_that_is_all_transparent_is_no_trouble() -> None:
    result = made(Original(scene(), np.zeros((30, 40, 1), np.uint8)), alpha="model")
    assert result.shape == (120, 160, 4)
    assert not result[..., 3].any()


def test_the_same_picture_gives_the_same_bytes() -> None:
    first, second = (made(Original(scene(), None), bicubic, fidelity=0.5, scale=3) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_run_that_stops_leaves_no_scratch_file(tmp_path: Path) -> None:
    def failing(tiles: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(enlarge(Original(scene(), None), failing, method(), scratch=tmp_path))
    assert list(tmp_path.iterdir()) == []


MEMORY = """
import resource, sys
import numpy as np
from cheap_upscaler import cheap_upscaler
import beholder
from PIL import Image

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

small, large, out = sys.argv[1:]
model = cheap_upscaler(tile=64, fidelity=1.0)
beholder.upscale(small, out, model=model)
before = peak_mb()
run = beholder.upscale(large, out, model=model)
print(peak_mb() - before, *run.rows[0].size)
"""


def test_memory_for_24_megapixels_is_a_fraction_of_the_result(tmp_path: Path) -> None:
    """As float32 the result would take 288 MB."""
    render(1, (64, 64)).save(tmp_path / "small.png")
    render(2, (300, 200)).resize((1500, 1000)).save(tmp_path / "large.png")
    arguments = [tmp_path / "small.png", tmp_path / "large.png", tmp_path / "out"]
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert run.returncode == 0, run.stderr
    grown_mb, *size = map(float, run.stdout.split())
    assert size == [6000, 4000]
    assert grown_mb < 150
