"""Colours under full transparency: unseen in the input, but an enlargement would mix them into visible edges."""

from __future__ import annotations

import numpy as np

from beholder.restore.resample import Rows
from beholder.restore.tiles import Pixels, unit


def filled(colour: Pixels, alpha: Pixels) -> Pixels:
    """`colour` (height, width, channels), with pixels where `alpha` (height, width, 1) is 0 taken from visible ones."""
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return colour
    weight = unit(alpha)
    spread = _spread(unit(colour) * weight, weight)
    scale = np.iinfo(colour.dtype).max
    return np.where(hidden, np.rint(spread * scale).astype(colour.dtype), colour)


def _spread(total: Rows, weight: Rows) -> Rows:
    """Mean colour where there is weight, elsewhere that of the nearest coarser grid which has some."""
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    if weight.all() or weight.shape[:2] == (1, 1):
        return mean
    height, width, _ = weight.shape
    coarse = _spread(_halved(total), _halved(weight))
    nearby = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.where(weight > 0, mean, nearby)


def _halved(rows: Rows) -> Rows:
    """Sums over 2 x 2 pixels; an odd last row or column stands for itself."""
    height, width, channels = rows.shape
    even = np.pad(rows, ((0, height % 2), (0, width % 2), (0, 0)))
    blocks = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, channels)
    return np.asarray(blocks.sum(axis=(1, 3)))
