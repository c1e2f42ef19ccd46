import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from beholder.data.distortions import distort
from beholder.mini import baseline
from beholder.mini.features import as_planes
from beholder.mini.heads import Normaliser
from beholder.mini.statistics import Statistics

SIZES = [(64, 64), (97, 65), (321, 481), (64, 500)]
"""(width, height)."""


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255


def log_sharpness(rgb: np.ndarray) -> float:
    """Log energy of the Laplacian over every second inner pixel, computed without torch."""
    return float(np.log(np.mean(ndimage.laplace(luma(rgb))[1:-1:2, 1:-1:2] ** 2) + 1e-7))


def statistics_of(pictures: list[np.ndarray]) -> np.ndarray:
    with torch.inference_mode():
        return np.stack([Statistics().eval()(as_planes(rgb)[None])[0].numpy() for rgb in pictures])


@pytest.fixture(scope="module")
def measured(scenes):
    return statistics_of(scenes)


def column_of(values: list[float], measured: np.ndarray) -> int:
    """The statistic that equals `values` on every picture."""
    miss = np.abs(measured - np.array(values)[:, None]).max(axis=0)
    assert miss.min() < 1e-3, f"no statistic is this one; the nearest is off by {miss.min():.3g}"
    return int(miss.argmin())


def flat(size: tuple[int, int]) -> list[np.ndarray]:
    """Black, grey, white, and stripes of one pixel: nothing here has a spread, a neighbour or a middle."""
    width, height = size
    stripes = (np.indices((height, width, 3))[1] % 2 * 255).astype(np.uint8)
    return [*(np.full((height, width, 3), grey, np.uint8) for grey in (0, 128, 255)), stripes]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_size_gives_the_same_number_of_finite_statistics(size, render_picture):
    measured = statistics_of([np.asarray(render_picture(seed, size)) for seed in range(3)])
    assert measured.shape == (3, Statistics().width)
    assert measured.dtype == np.float32
    assert np.isfinite(measured).all()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_picture_of_nothing_ends_on_the_scale(size, measured):
    """What a head sees is finite even where a logarithm has nothing to measure."""
    seen = Normaliser.of(torch.from_numpy(measured))(torch.from_numpy(statistics_of(flat(size))))
    assert seen.isfinite().all()


def test_a_picture_of_nothing_has_finite_statistics():
    assert np.isfinite(statistics_of(flat((64, 64)))).all()


def test_a_mirrored_picture_measures_nearly_the_same(scenes, measured):
    mirrored = statistics_of([np.ascontiguousarray(rgb[:, ::-1]) for rgb in scenes])
    spread = measured.std(axis=0)
    told = spread > 1e-6
    change = (np.abs(mirrored - measured).mean(axis=0) / np.maximum(spread, 1e-6))[told]
    assert np.median(change) < 0.05
    noisy = statistics_of([distort(rgb, "noise", 3, seed=1) for rgb in scenes])
    damage = (np.abs(noisy - measured).mean(axis=0) / np.maximum(spread, 1e-6))[told]
    assert np.median(damage) > 10 * np.median(change), "a fault must tell more than a mirror"


def test_sharpness_falls_with_blur_and_rises_with_noise(scenes, measured):
    sharp = column_of([log_sharpness(rgb) for rgb in scenes], measured)
    levels = {
        family: np.stack([statistics_of([distort(rgb, family, level, seed=1) for rgb in scenes])[:, sharp]
                          for level in (0, 1, 3, 5)])
        for family in ("blur", "noise")
    }  # fmt: skip
    assert np.all(np.diff(levels["blur"], axis=0) < 0)
    assert np.all(np.diff(levels["noise"], axis=0) > 0)


def test_mean_light_is_measured_and_falls_when_darkened(scenes, measured):
    light = column_of([float(luma(rgb)[::4, ::4].mean()) for rgb in scenes], measured)
    dark = statistics_of([distort(rgb, "darken", 3, seed=1) for rgb in scenes])
    assert np.all(dark[:, light] < measured[:, light])


def test_the_baseline_measures_the_same_names_on_every_picture(render_picture):
    named = [baseline.statistics(np.asarray(render_picture(i, size))) for i, size in enumerate(SIZES)]
    assert all(list(one) == list(named[0]) for one in named)
    assert np.isfinite([list(one.values()) for one in named]).all()
    assert len(named[0]) > 150


def test_the_baseline_fits_the_generalised_gaussian_that_its_field_has(render_picture):
    white = np.random.default_rng(0).normal(0.5, 0.1, (256, 256, 1)).clip(0, 1)
    rgb = np.rint(white * 255).astype(np.uint8).repeat(3, axis=2)
    shape = baseline.statistics(rgb)["mscn0.shape"]
    field = baseline.mscn(luma(rgb).astype(float))
    expected, _, _ = stats.gennorm.fit(field.ravel()[::16], floc=0)
    assert shape == pytest.approx(expected, rel=0.15)


def test_the_baseline_predicts_what_its_features_know():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(160, 12))
    scores = 1 / (1 + np.exp(-features[:, 0] - 0.5 * features[:, 1]))
    groups = [str(i // 2) for i in range(160)]
    fitted = baseline.fit_baseline(features[:120], scores[:120], groups[:120])
    assert stats.spearmanr(fitted.predict(features[120:]), scores[120:]).statistic > 0.8
