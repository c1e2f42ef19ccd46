import numpy as np
import pytest

from beholder.language.cues import measure


@pytest.fixture
def rgb(render_picture):
    return np.asarray(render_picture(5, (256, 192)))


def damaged(rgb, family, level):
    pytest.importorskip("scipy")
    from beholder.data.distortions import distort

    return measure(distort(rgb, family, level, seed=0))


@pytest.mark.parametrize("family", ["blur", "lens_blur", "downscale"])
def test_blur_lowers_sharpness_step_by_step(rgb, family):
    values = [damaged(rgb, family, level).sharpness for level in (0, 2, 3, 4, 5)]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.5


def test_noise_is_measured_and_does_not_pass_for_sharpness(rgb):
    pytest.importorskip("scipy")
    from beholder.data.distortions import distort

    soft = distort(rgb, "blur", 5, 0)
    clean = measure(soft)
    for sigma in (0.03, 0.1):
        grain = np.random.default_rng(0).normal(0, sigma * 255, soft.shape[:2])[..., None]  # the same on R, G and B
        noisy = measure(np.clip(soft + grain, 0, 255).astype(np.uint8))
        assert noisy.noise == pytest.approx(sigma, rel=0.25)
    assert noisy.sharpness - clean.sharpness < 1.0
    variance = np.log10(20 * sigma**2)
    assert noisy.sharpness < variance - 0.3, "without taking noise off, sharpness would be that of the noise"


def test_light_is_measured(rgb):
    assert damaged(rgb, "darken", 4).brightness < measure(rgb).brightness < damaged(rgb, "overexpose", 4).brightness
    assert damaged(rgb, "overexpose", 5).blown > 0.1 > measure(rgb).blown
    assert damaged(rgb, "low_contrast", 4).contrast < 0.6 * measure(rgb).contrast
    assert measure(np.zeros_like(rgb)).crushed == 1.0


def test_colour_is_measured(rgb):
    grey = measure(np.repeat(rgb[..., :1], 3, axis=2))
    assert (grey.colourfulness, grey.saturation, grey.warmth) == pytest.approx((0, 0, 0), abs=1e-6)
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    assert measure(red).warmth == pytest.approx(200 / 255)
    assert measure(red).saturation == pytest.approx(1.0)


def test_jpeg_blocks_are_measured(rgb):
    assert damaged(rgb, "jpeg", 5).blocking > 1.5 > measure(rgb).blocking


def test_where_light_and_detail_are_is_measured():
    spot = np.full((128, 128, 3), 40, np.uint8)
    spot[40:88, 40:88] = 220
    assert measure(spot).middle_light > 0.3
    assert measure(spot).symmetry == pytest.approx(1.0, abs=1e-3)
    assert abs(measure(spot).balance) < 0.02
    left = np.full((128, 128, 3), 128, np.uint8)
    left[:, :40] = np.random.default_rng(0).integers(0, 255, (128, 40, 1))
    assert measure(left).balance < -0.5
    assert measure(left[:, ::-1]).balance > 0.5
    assert measure(left).emptiness == 0.5, "of four columns of tiles, two hold the noise"
    assert abs(measure(left).symmetry) < 0.5


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("shape", [(32, 32), (33, 400)])
def test_a_picture_with_nothing_in_it_has_finite_cues(value, shape):
    cues = measure(np.full((*shape, 3), value, np.uint8))
    assert all(np.isfinite(list(vars(cues).values())))
