"""How near a restored picture is to the true one: metrics that need no weights.

All take pictures as (H, W, 3) RGB or (H, W) grey, uint8 or floating point in [0, 255], of one shape, and compute in
float64. PSNR and SSIM work on the Y of BT.601 YCbCr in its range 16 to 235, as restoration papers do; the others on
full-range luma. `border` pixels are cut off on each side first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import correlate1d, uniform_filter

from beholder.errors import UserError

Picture = NDArray[np.uint8] | NDArray[np.floating[Any]]
Plane = NDArray[np.float64]

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, WINDOW_SIGMA = 11, 1.5
GMSD_CONSTANT = 170.0
HIGH_PASS_SIDE = 5


def luma(picture: Picture) -> Plane:
    """Full-range luma, float64 (H, W) in [0, 255]; a grey picture as it is."""
    pixels = np.asarray(picture, np.float64)
    return pixels if pixels.ndim == 2 else pixels @ np.array([0.299, 0.587, 0.114])


def y_channel(picture: Picture) -> Plane:
    """Y of BT.601 YCbCr, float64 (H, W) in [16, 235]."""
    return 16.0 + luma(picture) * (219.0 / 255.0)


def psnr(pred: Picture, true: Picture, *, border: int = 0) -> float:
    """Peak signal-to-noise ratio on Y in dB, peak 255; infinite for equal pictures."""
    pred_y, true_y = _pair(pred, true, border, y_channel)
    error = float(np.mean((pred_y - true_y) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def ssim(pred: Picture, true: Picture, *, border: int = 0) -> float:
    """Structural similarity on Y (Wang et al., IEEE TIP 13(4), 2004), Gaussian window 11 x 11; 1 for equal pictures."""
    pred_y, true_y = _pair(pred, true, border, y_channel)
    _at_least(true_y, WINDOW, "SSIM")
    luminance, structure = _similarity(pred_y, true_y)
    return float(np.mean(luminance * structure))


def ms_ssim(pred: Picture, true: Picture, *, border: int = 0) -> float:
    """Structural similarity over five scales on luma (Wang et al., Asilomar 2003); sides of 176 px at least."""
    pred_y, true_y = _pair(pred, true, border, luma)
    _at_least(true_y, WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1), "MS-SSIM")
    found = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        luminance, structure = _similarity(pred_y, true_y)
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        mean = np.mean(luminance * structure) if last else np.mean(structure)
        found *= max(float(mean), 0.0) ** weight  # a negative mean has no real power
        pred_y, true_y = _halve(pred_y), _halve(true_y)
    return found


def gmsd(pred: Picture, true: Picture, *, border: int = 0) -> float:
    """Gradient magnitude similarity deviation (Xue et al., IEEE TIP 23(2), 2014); 0 for equal pictures, lower is
    better.
    """
    pred_y, true_y = _pair(pred, true, border, luma)
    _at_least(true_y, 8, "GMSD")
    first, second = _gradient(_halve(pred_y)), _gradient(_halve(true_y))
    similarity = (2 * first * second + GMSD_CONSTANT) / (first**2 + second**2 + GMSD_CONSTANT)
    return float(np.std(similarity))


def high_frequency_energy(picture: Picture, *, border: int = 0) -> float:
    """Mean square of what a 5 x 5 box blur of the luma takes away."""
    plane = _cut(luma(picture), border)
    return float(np.mean((plane - uniform_filter(plane, HIGH_PASS_SIDE, mode="nearest")) ** 2))


def high_frequency_ratio(pred: Picture, true: Picture, *, border: int = 0) -> float:
    """Root mean square of the high frequencies over that of the true picture: 1 is as sharp, less is softer.

    NaN if the true picture is flat.
    """
    energy = high_frequency_energy(true, border=border)
    return float(np.sqrt(high_frequency_energy(pred, border=border) / energy)) if energy > 0 else float("nan")


def lr_consistency(pred: Picture, lr: Picture) -> float:
    """PSNR in dB between `pred`, shrunk to the size of `lr` by antialiased bicubic, and `lr`: is the input kept?"""
    small = np.asarray(pred, np.float32)
    size = (lr.shape[1], lr.shape[0])
    planes = [small] if small.ndim == 2 else [small[..., channel] for channel in range(3)]
    shrunk = [np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC)) for plane in planes]
    return psnr(np.stack(shrunk, axis=-1) if small.ndim == 3 else shrunk[0], lr)


def _pair(pred: Picture, true: Picture, border: int, plane: Any) -> tuple[Plane, Plane]:
    if pred.shape != true.shape:
        raise UserError(f"pictures of shape {pred.shape} and {true.shape} can't be compared; they must be of one size")
    return _cut(plane(pred), border), _cut(plane(true), border)


def _cut(plane: Plane, border: int) -> Plane:
    if border == 0:
        return plane
    if min(plane.shape) <= 2 * border:
        raise UserError(f"a border of {border} px leaves nothing of {plane.shape[1]} x {plane.shape[0]} px")
    return plane[border:-border, border:-border]


def _at_least(plane: Plane, side: int, metric: str) -> None:
    if min(plane.shape) < side:
        raise UserError(f"{metric} needs sides of {side} px and a picture has {plane.shape[1]} x {plane.shape[0]} px")


def _similarity(pred: Plane, true: Plane) -> tuple[Plane, Plane]:
    """Luminance and contrast-structure terms of SSIM, where the window is inside the picture."""
    axis = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(axis**2) / (2 * WINDOW_SIGMA**2))
    window /= window.sum()
    inside = slice(WINDOW // 2, -(WINDOW // 2))

    def smooth(plane: Plane) -> Plane:
        both = correlate1d(correlate1d(plane, window, axis=0), window, axis=1)
        return np.asarray(both[inside, inside], np.float64)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_pred, mean_true = smooth(pred), smooth(true)
    var_pred, var_true = smooth(pred**2) - mean_pred**2, smooth(true**2) - mean_true**2
    covariance = smooth(pred * true) - mean_pred * mean_true
    luminance = (2 * mean_pred * mean_true + c1) / (mean_pred**2 + mean_true**2 + c1)
    return luminance, (2 * covariance + c2) / (var_pred + var_true + c2)


def _halve(plane: Plane) -> Plane:
    """Means of 2 x 2 pixels; an odd last row or column is dropped."""
    height, width = plane.shape[0] // 2, plane.shape[1] // 2
    means: Plane = plane[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))
    return means


def _gradient(plane: Plane) -> Plane:
    """Magnitude of the Prewitt gradient, zero outside the picture."""
    step, box = np.array([1.0, 0.0, -1.0]) / 3, np.ones(3)
    across = correlate1d(correlate1d(plane, step, axis=1, mode="constant"), box, axis=0, mode="constant")
    down = correlate1d(correlate1d(plane, step, axis=0, mode="constant"), box, axis=1, mode="constant")
    return np.asarray(np.hypot(across, down), np.float64)
