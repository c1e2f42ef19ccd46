"""Resize a picture that passes by as bands of rows: the same pixels as from the whole, with little of it in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import floor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Rows = NDArray[np.float32]
"""Rows of a picture, float32 (rows, width, channels)."""

BICUBIC = Image.Resampling.BICUBIC
LANCZOS = Image.Resampling.LANCZOS

_SUPPORT = {BICUBIC: 2.0, LANCZOS: 3.0}
"""How far each kernel reaches, in pixels of the coarser grid."""


def resized(bands: Iterable[Rows], height: int, size: tuple[int, int], kernel: Image.Resampling) -> Iterator[Rows]:
    """Bands of a picture of `height` rows, resized to `size` (width, height), antialiased where it shrinks.

    `kernel` is `BICUBIC` (a = -0.5) or `LANCZOS` (3 lobes). Each band that comes gives at most one band.
    """
    new_width, new_height = size
    step = height / new_height
    reach = _SUPPORT[kernel] * max(1.0, step) + 1
    slab, slab_top, n_made = None, 0, 0
    for band in bands:
        slab = band if slab is None else np.concatenate([slab, band])
        end = slab_top + len(slab)
        ready = new_height if end >= height else floor((end - reach) / step + 0.5)
        if ready <= n_made:
            continue
        box = (0, n_made * step - slab_top, slab.shape[1], min(ready * step, height) - slab_top)
        yield _resized_box(slab, (new_width, ready - n_made), box, kernel)
        n_made = ready
        keep_from = max(slab_top, floor((n_made + 0.5) * step - reach))
        slab, slab_top = slab[keep_from - slab_top :], keep_from


def whole(bands: Iterable[Rows]) -> Rows:
    """All bands as one array."""
    return np.concatenate(list(bands))


def _resized_box(
    slab: Rows, size: tuple[int, int], box: tuple[float, float, float, float], kernel: Image.Resampling
) -> Rows:
    planes = [Image.fromarray(slab[:, :, channel]) for channel in range(slab.shape[2])]
    return np.stack([np.asarray(plane.resize(size, kernel, box)) for plane in planes], axis=2)


class Reader:
    """Takes any number of rows at a time from bands of another height."""

    def __init__(self, bands: Iterable[Rows]) -> None:
        self._bands = iter(bands)
        self._waiting: list[Rows] = []

    def take(self, n_rows: int) -> Rows:
        """The next `n_rows` rows."""
        while sum(map(len, self._waiting)) < n_rows:
            self._waiting.append(next(self._bands))
        rows = np.concatenate(self._waiting)
        self._waiting = [rows[n_rows:]]
        return rows[:n_rows]
