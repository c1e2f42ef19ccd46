"""What can be measured about a picture without a model: sharpness, noise, light, colour, and where things are.

NumPy only, a few milliseconds at the size of `Fit`. These numbers let the writer that needs no model say true things.
Noise: Immerkaer, *Fast noise variance estimation*, CVIU 64(2), 1996, in the flattest tiles, where texture can't pass
for noise. Colourfulness: Hasler and Suesstrunk, *Measuring colourfulness in natural images*, SPIE 5007, 2003.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log10, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from beholder.imaging.fit import Fit

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]

VIEW = Fit()
"""How large a picture is measured: the thresholds of `words` hold for this size."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_TILE = 32
"""Pixels; the side of the tiles that sharpness and noise are looked at in."""


@dataclass(frozen=True)
class Cues:
    """Measurements of one picture. Lightness and colours are on [0, 1], as coded in sRGB."""

    sharpness: float
    """log10 of the variance of the Laplacian, less what the noise gives, in the sharpest tiles (90th percentile).

    About -4 (nothing is sharp) to -0.5 (razor-sharp).
    """
    noise: float
    """Standard deviation of the noise, on [0, 1], in the flatter tiles (25th percentile)."""
    blocking: float
    """Jump across the 8-pixel grid of JPEG over the jump elsewhere; 1 is no grid."""
    brightness: float
    """Mean lightness."""
    contrast: float
    """Lightness of the 95th percentile less that of the 5th."""
    crushed: float
    """Share of pixels that are black, below 0.02."""
    blown: float
    """Share of pixels that are white, above 0.98."""
    saturation: float
    """Mean of (max - min) / max over the channels."""
    colourfulness: float
    """Hasler and Suesstrunk's M3 on [0, 1] channels; 0 is grey, 0.4 is extremely colourful."""
    warmth: float
    """Mean red less mean blue."""
    middle_light: float
    """Lightness of the middle less that of the rim."""
    middle_detail: float
    """log10 of the gradient in the middle over that in the whole picture; above 0 the middle holds the detail."""
    balance: float
    """Where the detail is, from -1 (all at the left rim) to 1 (at the right)."""
    symmetry: float
    """Correlation of the picture with its mirror image, -1 to 1."""
    emptiness: float
    """Share of tiles with next to no detail."""


def measure(rgb: Pixels) -> Cues:
    """Cues of an sRGB picture, uint8 (height, width, 3), both sides at least 32 px; best at the size of `VIEW`."""
    unit = rgb.astype(np.float32) / np.float32(255)
    luma: Plane = (unit @ _LUMA).astype(np.float32, copy=False)
    half, noise = _half(luma), _noise(luma)
    high, low = unit.max(axis=2), unit.min(axis=2)
    p5, p95 = np.quantile(luma[::2, ::2], (0.05, 0.95))
    gradient = np.hypot(np.gradient(half, axis=0), np.gradient(half, axis=1)).astype(np.float32)
    middle_luma, middle_gradient = _middle(luma), _middle(gradient)
    detail = _tiles(gradient, _TILE // 2).mean(axis=1)
    return Cues(
        sharpness=_sharpness(luma, noise),
        noise=noise,
        blocking=_blocking(luma),
        brightness=float(luma.mean()),
        contrast=float(p95 - p5),
        crushed=float((luma < 0.02).mean()),
        blown=float((luma > 0.98).mean()),
        saturation=float(((high - low) / np.maximum(high, 0.05)).mean()),
        colourfulness=_colourfulness(unit),
        warmth=float((unit[..., 0] - unit[..., 2]).mean()),
        middle_light=float(middle_luma.mean() - _rim_mean(luma)),
        middle_detail=log10((float(middle_gradient.mean()) + 1e-4) / (float(gradient.mean()) + 1e-4)),
        balance=_balance(gradient),
        symmetry=_symmetry(half),
        emptiness=float((detail < 0.008).mean()),
    )


def _half(plane: Plane) -> Plane:
    """Half size by averaging 2 x 2 pixels."""
    height, width = (side // 2 * 2 for side in plane.shape)
    p = plane[:height, :width]
    return np.asarray((p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4, np.float32)


def _sharpness(p: Plane, noise: float) -> float:
    """White noise of variance v gives the Laplacian 20 v, the sum of its squared weights; tiles scatter around it."""
    laplacian = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * p[1:-1, 1:-1]
    variance = _tiles(laplacian, _TILE).var(axis=1) - np.float32(1.3 * 20 * noise * noise)
    return log10(max(0.0, float(np.quantile(variance, 0.9))) + 1e-6)


def _tiles(plane: Plane, side: int) -> Plane:
    """(tiles, pixels): whole tiles of at most `side`; what is left over at the right and lower rim is not seen."""
    side = min(side, *plane.shape)
    rows, columns = (length // side for length in plane.shape)
    cut = plane[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return cut.swapaxes(1, 2).reshape(rows * columns, side * side)


def _noise(luma: Plane) -> float:
    across = luma[:, :-2] - 2 * luma[:, 1:-1] + luma[:, 2:]
    residual = across[:-2] - 2 * across[1:-1] + across[2:]
    return float(sqrt(pi / 2) / 6 * np.quantile(np.abs(_tiles(residual, _TILE)).mean(axis=1), 0.25))


def _blocking(luma: Plane) -> float:
    ratios = []
    for turned in (luma, luma.T):
        jump = np.abs(np.diff(turned, axis=1)).mean(axis=0)
        at_grid = np.arange(jump.size) % 8 == 7
        ratios.append((float(jump[at_grid].mean()) + 1e-3) / (float(jump[~at_grid].mean()) + 1e-3))
    return sum(ratios) / 2


def _colourfulness(unit: NDArray[np.float32]) -> float:
    red_green = unit[..., 0] - unit[..., 1]
    yellow_blue = (unit[..., 0] + unit[..., 1]) / 2 - unit[..., 2]
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def _middle(plane: Plane) -> Plane:
    height, width = plane.shape
    return plane[height // 4 : height - height // 4, width // 4 : width - width // 4]


def _rim_mean(plane: Plane) -> float:
    middle = _middle(plane)
    return float((plane.sum(dtype=np.float64) - middle.sum(dtype=np.float64)) / (plane.size - middle.size))


def _balance(gradient: Plane) -> float:
    columns = gradient.sum(axis=0, dtype=np.float64)
    place = np.linspace(-1, 1, columns.size)
    total = columns.sum()
    return float((columns * place).sum() / total) if total else 0.0


def _symmetry(half: Plane) -> float:
    blurred = _half(_half(half)) if min(half.shape) >= 32 else half
    offset = blurred - blurred.mean()
    power = float((offset * offset).sum())
    return float((offset * offset[:, ::-1]).sum() / power) if power else 1.0
