from __future__ import annotations

import numpy as np
import pytest
from conftest import render
from scipy.ndimage import gaussian_filter

from beholder.restore.finish import Moments, blurred, correction, upwards
from beholder.restore.resample import BICUBIC, Rows, resized, whole
from beholder.restore.tiles import unit

LOW = unit(np.asarray(render(5, (60, 48))))


def down(large: Rows) -> Rows:
    return whole(resized([large], len(large), (large.shape[1] // 4, len(large) // 4), BICUBIC))


def finished(large: Rows, **how: object) -> Rows:
    moments = Moments()
    large = whole(moments.through([large]))
    correct = correction(LOW, down(large), moments=moments, **how)  # type: ignore[arg-type]
    return correct.gain * large + correct.offset + whole(upwards(correct.gap))


def cast(strength: float = 0.1) -> Rows:
    """The picture enlarged, with a colour cast that grows to the right, and noise."""
    ramp = np.linspace(0, strength, 240, dtype=np.float32)[None, :, None] * np.array([1, 0, -1], np.float32)
    return whole(upwards(LOW)) + ramp + np.random.default_rng(0).normal(0, 0.02, (192, 240, 3)).astype(np.float32)


def test_the_low_band_becomes_that_of_the_input() -> None:
    large = cast()
    made = finished(large, colour_fix="lowband", fidelity=0.0)

    def low_band(rows: Rows) -> Rows:
        return gaussian_filter(rows, (16, 16, 0), mode="reflect")

    by_definition = large + low_band(whole(upwards(LOW)) - large)
    assert np.abs(made - by_definition).max() < 0.5 / 255
    assert np.abs(made - large).max() > 10 / 255


def test_fidelity_brings_the_result_nearer_to_the_input_and_zero_leaves_it() -> None:
    large = cast()
    gaps = [np.abs(down(finished(large, colour_fix="none", fidelity=f)) - LOW).mean() for f in (0.0, 0.5, 1.0)]
    assert gaps[0] > 1.5 * gaps[1] > 2 * gaps[2]
    np.testing.assert_allclose(finished(large, colour_fix="none", fidelity=0.0), large, atol=1e-6)


def test_full_fidelity_is_a_step_of_back_projection() -> None:
    large = cast()
    made = finished(large, colour_fix="none", fidelity=1.0)
    np.testing.assert_allclose(made, large + whole(upwards(LOW - down(large))), atol=1e-5)


def test_adain_takes_mean_and_contrast_of_each_channel() -> None:
    made = finished(0.5 * cast(), colour_fix="adain", fidelity=0.0)
    wanted = whole(upwards(LOW))
    np.testing.assert_allclose(made.mean(axis=(0, 1)), wanted.mean(axis=(0, 1)), atol=1e-4)
    np.testing.assert_allclose(made.std(axis=(0, 1)), wanted.std(axis=(0, 1)), atol=1e-4)


def test_a_flat_picture_survives_adain() -> None:
    moments = Moments()
    flat = whole(moments.through([np.full((64, 64, 1), 0.25, np.float32)]))
    grey = np.full((16, 16, 1), 0.5, np.float32)
    correct = correction(grey, down(flat), colour_fix="adain", fidelity=1.0, moments=moments)
    np.testing.assert_allclose(correct.gain * flat + correct.offset, 0.5, atol=1e-6)


def test_the_blur_is_gaussian() -> None:
    plane = LOW[:, :, 0]
    np.testing.assert_allclose(blurred(plane, 4.0), gaussian_filter(plane, 4, mode="reflect"), atol=1e-5)


def test_moments_are_those_of_all_bands() -> None:
    moments = Moments()
    for _ in moments.through(np.array_split(LOW, 5)):
        pass
    np.testing.assert_allclose(moments.mean, LOW.mean(axis=(0, 1), dtype=np.float64), atol=1e-9)
    assert moments.std == pytest.approx(LOW.std(axis=(0, 1), dtype=np.float64), abs=1e-6)
