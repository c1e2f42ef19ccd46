import numpy as np
import pytest

from beholder.errors import UserError
from beholder.evaluate.restoration import (
    gmsd,
    high_frequency_energy,
    high_frequency_ratio,
    lr_consistency,
    luma,
    ms_ssim,
    psnr,
    ssim,
    y_channel,
)


@pytest.fixture(scope="module")
def pair(render_picture) -> tuple[np.ndarray, np.ndarray]:
    true = np.asarray(render_picture(3, (200, 180)))
    noise = np.random.default_rng(0).normal(0, 12, true.shape)
    return (true + noise).clip(0, 255).astype(np.uint8), true


def test_y_is_that_of_bt_601() -> None:
    rgb = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0]]], np.uint8)
    assert y_channel(rgb)[0] == pytest.approx([235, 16, 81.481], abs=1e-3)
    assert luma(rgb)[0] == pytest.approx([255, 0, 76.245], abs=1e-3)


def test_psnr_is_its_formula() -> None:
    black = np.zeros((20, 20), np.uint8)
    grey = np.full((20, 20), 10, np.uint8)  # Y differs by 10 * 219 / 255
    assert psnr(grey, black) == pytest.approx(20 * np.log10(255 / (10 * 219 / 255)))
    assert psnr(black, black) == float("inf")


def test_a_border_is_cut_off() -> None:
    true = np.full((20, 20, 3), 128, np.uint8)
    pred = true.copy()
    pred[:4] = 0
    assert psnr(pred, true) < 20
    assert psnr(pred, true, border=4) == float("inf")
    with pytest.raises(UserError, match="a border of 10 px leaves nothing of 20 x 20 px"):
        psnr(pred, true, border=10)


def test_equal_pictures_are_perfect(pair) -> None:
    _, true = pair
    assert ssim(true, true) == pytest.approx(1)
    assert ms_ssim(true, true) == pytest.approx(1)
    assert gmsd(true, true) == 0
    assert high_frequency_ratio(true, true) == 1


def test_ssim_of_two_constants_is_the_luminance_term() -> None:
    first, second = np.full((16, 16), 100.0), np.full((16, 16), 150.0)
    x, y, c1 = 16 + 100 * 219 / 255, 16 + 150 * 219 / 255, (0.01 * 255) ** 2
    assert ssim(first, second) == pytest.approx((2 * x * y + c1) / (x * x + y * y + c1))


def test_all_agree_with_piq(pair) -> None:
    piq, torch = pytest.importorskip("piq"), pytest.importorskip("torch")
    pred, true = pair

    def plane(picture: np.ndarray, of=luma) -> object:
        return torch.from_numpy(of(picture) / 255)[None, None]

    y_pred, y_true = plane(pred, y_channel), plane(true, y_channel)
    assert psnr(pred, true) == pytest.approx(piq.psnr(y_pred, y_true).item(), abs=1e-4)
    assert ssim(pred, true) == pytest.approx(piq.ssim(y_pred, y_true, downsample=False).item(), abs=1e-6)
    expected = piq.multi_scale_ssim(plane(pred), plane(true)).item()
    assert ms_ssim(pred, true) == pytest.approx(expected, abs=1e-4)
    assert gmsd(pred, true) == pytest.approx(piq.gmsd(plane(pred), plane(true)).item(), abs=1e-4)


def test_more_damage_is_worse_in_every_metric(pair) -> None:
    pred, true = pair
    worse = (true + 3 * (pred.astype(float) - true)).clip(0, 255)
    for metric, sign in ((psnr, 1), (ssim, 1), (ms_ssim, 1), (gmsd, -1)):
        assert sign * metric(pred, true) > sign * metric(worse, true), metric.__name__


def test_blur_takes_high_frequencies_away_and_noise_adds_them(pair) -> None:
    noisy, true = pair
    soft = sum(np.roll(true.astype(float), (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)) / 9
    assert high_frequency_ratio(soft, true) < 0.7
    assert high_frequency_ratio(noisy, true) > 1.2
    assert np.isnan(high_frequency_ratio(true, np.full_like(true, 7)))


def test_high_frequency_energy_of_a_single_point_is_its_formula() -> None:
    point = np.zeros((31, 31))
    point[15, 15] = 50.0
    left = 50 * (1 - 1 / 25)
    assert high_frequency_energy(point) == pytest.approx((left**2 + 24 * (50 / 25) ** 2) / 31**2)


def test_lr_consistency_asks_whether_the_input_is_still_there(pair) -> None:
    _, true = pair
    lr = true.reshape(45, 4, 50, 4, 3).mean(axis=(1, 3))
    same = np.repeat(np.repeat(lr, 4, axis=0), 4, axis=1)
    flat = np.full_like(same, 100.0)
    assert lr_consistency(same, lr) > 30 > lr_consistency(flat, lr)
    assert lr_consistency(flat, np.full_like(lr, 100.0)) > 80


def test_sizes_that_differ_or_are_too_small_are_refused(pair) -> None:
    pred, true = pair
    with pytest.raises(UserError, match="must be of one size"):
        psnr(pred[:-1], true)
    with pytest.raises(UserError, match="MS-SSIM needs sides of 176 px and a picture has 200 x 100 px"):
        ms_ssim(pred[:100], true[:100])
