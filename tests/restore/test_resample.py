from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from beholder.restore.resample import BICUBIC, LANCZOS, Reader, resized, whole


def in_bands(rows: np.ndarray, heights: list[int]) -> list[np.ndarray]:
    return np.split(rows, np.cumsum(heights))


@pytest.mark.parametrize("kernel", [BICUBIC, LANCZOS])
@pytest.mark.parametrize("size", [(20, 15), (80, 60), (320, 240), (113, 87), (80, 1), (1, 300)])
def test_bands_give_the_pixels_of_the_whole(size: tuple[int, int], kernel: Image.Resampling) -> None:
    rows = np.random.default_rng(0).random((60, 80, 3), np.float32)
    made = whole(resized(in_bands(rows, [1, 2, 30, 7, 1, 1]), 60, size, kernel))
    at_once = [Image.fromarray(rows[:, :, channel]).resize(size, kernel) for channel in range(3)]
    np.testing.assert_allclose(made, np.stack(at_once, axis=2), atol=2e-4)


def test_little_more_than_the_kernel_reaches_is_kept() -> None:
    made = []

    def bands():
        for i in range(1000):
            yield np.full((1, 4, 1), i, np.float32)
            made.append(i)

    for band in resized(bands(), 1000, (4, 250), BICUBIC):
        assert made == [] or band[-1, 0, 0] > made[-1] - 16


def test_a_reader_takes_across_bands() -> None:
    rows = np.arange(24, dtype=np.float32).reshape(12, 2, 1)
    reader = Reader(in_bands(rows, [5, 1]))
    np.testing.assert_array_equal(np.concatenate([reader.take(n) for n in (2, 7, 3)]), rows)
