"""What is taken from the input again, once per picture, after its tiles are blended: tones, and detail by `fidelity`.

Both parts compare the result, brought down to the input's grid, with the input, so they are worked out there, on a
sixteenth of the pixels. With d = input - down(result), b a Gaussian blur and f the fidelity, the result gains
up(b(d) + f (d - b(d))): first its low band becomes that of the input, then a step of back-projection brings the rest
nearer by f. down and up are bicubic, down antialiased.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from beholder.restore.resample import BICUBIC, Rows, resized
from beholder.restore.tiles import FACTOR

ColourFix = Literal["lowband", "adain", "none"]
"""`lowband`: the low band is replaced by that of the input. `adain`: mean and standard deviation of each channel are.
`none`: tones stay as the model made them."""

LOW_BAND_SIGMA = 16
"""Of the blur that separates the low band, in output pixels."""


_BAND = 32
"""Input rows that are enlarged at a time."""


@dataclass(frozen=True)
class Correction:
    """result -> gain * result + offset + up(gap)."""

    gain: NDArray[np.float32]
    """One per channel."""
    offset: NDArray[np.float32]
    """One per channel."""
    gap: Rows
    """On the input's grid."""


class Moments:
    """Mean and standard deviation of each channel of bands that pass by."""

    def __init__(self) -> None:
        self._n = 0
        self._sum = np.zeros(1)
        self._squares = np.zeros(1)

    def through(self, bands: Iterable[Rows]) -> Iterator[Rows]:
        """The same bands."""
        for band in bands:
            self._n += band.shape[0] * band.shape[1]
            self._sum = self._sum + band.sum(axis=(0, 1), dtype=np.float64)
            self._squares = self._squares + np.square(band).sum(axis=(0, 1), dtype=np.float64)
            yield band

    @property
    def mean(self) -> NDArray[np.float64]:
        """One per channel."""
        return self._sum / self._n

    @property
    def std(self) -> NDArray[np.float64]:
        """One per channel."""
        return np.sqrt(np.maximum(self._squares / self._n - self.mean**2, 0))


def correction(
    original: Rows, reduced: Rows, *, colour_fix: ColourFix, fidelity: float, moments: Moments | None = None
) -> Correction:
    """What to add to the result. `original` is the input, `reduced` the result brought down to its grid; `moments` are
    those of the result, for `adain` only. `fidelity` is in [0, 1].
    """
    n_channels = original.shape[2]
    gain, offset = np.ones(n_channels, np.float32), np.zeros(n_channels, np.float32)
    if colour_fix == "adain":
        assert moments is not None
        wanted = Moments()
        for _ in wanted.through(upwards(original)):
            pass
        flat = moments.std < 1e-6
        gain = np.where(flat, 1.0, wanted.std / np.where(flat, 1.0, moments.std)).astype(np.float32)
        offset = (wanted.mean - gain * moments.mean).astype(np.float32)
    gap = np.empty_like(original)
    for channel in range(n_channels):  # one at a time, to hold a third of the memory
        missing = original[:, :, channel] - (gain[channel] * reduced[:, :, channel] + offset[channel])
        low = blurred(missing, LOW_BAND_SIGMA / FACTOR) if colour_fix == "lowband" else np.float32(0)
        gap[:, :, channel] = low + np.float32(fidelity) * (missing - low)
    return Correction(gain, offset, gap)


def upwards(small: Rows) -> Iterator[Rows]:
    """Bands of a picture on the input's grid, enlarged to that of the result, bicubic."""
    height, width, _ = small.shape
    bands = (small[top : top + _BAND] for top in range(0, height, _BAND))
    return resized(bands, height, (FACTOR * width, FACTOR * height), BICUBIC)


def blurred(plane: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian blur of one channel by `sigma` pixels, cut off at four of them, reflected at the borders."""
    radius = round(4 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for _ in range(2):  # along the first side, and then, turned, along the other
        padded = np.pad(plane, ((radius, radius), (0, 0)), mode="symmetric")
        total = np.zeros_like(plane)
        for i, weight in enumerate(kernel):
            total += weight * padded[i : i + len(total)]
        plane = np.ascontiguousarray(total.T)
    return plane
