from math import pi

import numpy as np
import pytest
import torch

from beholder.alignvar.degrade import STAGES, degrade, enlarge, shrink
from beholder.alignvar.kernels import SHARES, Shape, draw_blur, elliptic, sinc
from beholder.errors import UserError

DEGRADED = tuple(STAGES)


@pytest.fixture(scope="module")
def photos(render_picture) -> torch.Tensor:
    pictures = np.stack([np.asarray(render_picture(seed, (96, 64))) for seed in range(3)])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


@pytest.mark.parametrize("preset", ["bicubic", *DEGRADED])
def test_the_result_is_a_quarter_of_the_size_in_8_bit(photos, preset: str) -> None:
    lr = degrade(photos, preset, [1, 2, 3])
    assert lr.shape == (3, 3, 16, 24)
    assert lr.dtype == torch.float32
    assert 0 <= lr.min() <= lr.max() <= 1
    assert torch.allclose(lr * 255, (lr * 255).round(), atol=1e-4)


@pytest.mark.parametrize("preset", DEGRADED)
def test_a_seed_gives_the_same_pixels_whatever_else_is_in_the_batch(photos, preset: str) -> None:
    together = degrade(photos, preset, [5, 6, 7])
    assert torch.equal(together, degrade(photos, preset, [5, 6, 7]))
    for index, seed in enumerate([5, 6, 7]):
        assert torch.equal(together[index], degrade(photos[index : index + 1], preset, [seed])[0])


@pytest.mark.parametrize("preset", DEGRADED)
def test_seeds_differ(photos, preset: str) -> None:
    same = photos[:1].expand(8, -1, -1, -1)
    lr = degrade(same, preset, range(8))
    assert len({picture.numpy().tobytes() for picture in lr}) == 8


def test_each_preset_damages_more_than_the_one_before(photos) -> None:
    same, seeds = photos[:1].expand(60, -1, -1, -1), range(60)
    clean = shrink(photos[:1])
    assert torch.equal(degrade(same, "bicubic", seeds)[:1], clean)
    mild, hard = ((degrade(same, preset, seeds) - clean).square().mean().item() for preset in DEGRADED)
    assert 1e-4 < mild < hard < 0.1


def test_damage_keeps_the_brightness_and_the_place_of_things(photos) -> None:
    lr = degrade(photos[:1].expand(80, -1, -1, -1), "realesrgan-mild", range(80)).mean(dim=0)
    assert torch.allclose(lr.mean(dim=(1, 2)), photos[0].mean(dim=(1, 2)), atol=0.01)
    clean = shrink(photos[:1])[0]
    shifted = torch.roll(clean, (1, 1), dims=(1, 2))
    assert (lr - clean).square().mean() < (lr - shifted).square().mean() / 4


def test_bicubic_is_antialiased_and_keeps_a_constant() -> None:
    checkers = torch.zeros(1, 3, 32, 32)
    checkers[..., ::2] = 1.0
    assert shrink(checkers).sub(0.5).abs().max() < 0.05
    grey = torch.full((1, 3, 32, 32), 102 / 255)
    assert torch.allclose(enlarge(shrink(grey)), grey, atol=1e-6)


def test_what_is_no_multiple_of_four_and_unknown_presets_are_refused(photos) -> None:
    with pytest.raises(UserError, match="multiples of 4"):
        degrade(photos[..., :63], "bicubic", [1, 2, 3])
    with pytest.raises(UserError, match="there are bicubic, realesrgan-mild, realesrgan-hard"):
        degrade(photos, "jpeg", [1, 2, 3])  # type: ignore[arg-type]


def test_a_gaussian_kernel_has_the_spread_that_it_names() -> None:
    kernel = elliptic(21, Shape("gaussian", (2.0, 1.0)))
    axis = np.arange(21) - 10
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert (kernel.sum(axis=0) * axis**2).sum() == pytest.approx(4.0, rel=0.01)
    assert (kernel.sum(axis=1) * axis**2).sum() == pytest.approx(1.0, rel=0.01)
    turned = elliptic(21, Shape("gaussian", (2.0, 1.0), angle=pi / 2))
    assert np.allclose(turned, kernel.T, atol=1e-7)


def test_exponents_sharpen_the_rim_and_one_is_a_gaussian() -> None:
    gaussian = elliptic(15, Shape("gaussian", (2.0, 2.0)))
    assert np.array_equal(elliptic(15, Shape("generalised", (2.0, 2.0), exponent=1.0)), gaussian)
    box = elliptic(15, Shape("generalised", (2.0, 2.0), exponent=8.0))
    assert box[7, 7] == pytest.approx(box[7, 8], rel=0.02)  # flat inside
    assert box[7, 11] < gaussian[7, 11] / 10  # and nothing outside
    plateau = elliptic(15, Shape("plateau", (2.0, 2.0), exponent=1.0))
    assert plateau[7, 9] / plateau[7, 7] == pytest.approx(0.5)  # 1 / (1 + (2 / 2)^2)


def test_the_sinc_lets_low_frequencies_pass_and_stops_high_ones() -> None:
    response = np.abs(np.fft.fft2(np.pad(sinc(21, pi / 2), 22)))[0]
    frequency = np.abs(np.fft.fftfreq(len(response))) * 2 * pi
    assert response[frequency < pi / 4].min() > 0.9
    assert response[frequency > 3 * pi / 4].max() < 0.1


def test_drawn_kernels_sum_to_one_and_come_in_all_sizes() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    kernels = [draw_blur(np.random.default_rng(seed), (0.2, 3.0)) for seed in range(200)]
    assert {kernel.shape[0] for kernel in kernels} == {7, 9, 11, 13, 15, 17, 19, 21}
    assert all(abs(float(kernel.sum()) - 1) < 1e-5 for kernel in kernels)
    share = sum(kernel.min() < 0 for kernel in kernels) / 200  # only a sinc is negative anywhere
    assert 0.03 < share < 0.2
