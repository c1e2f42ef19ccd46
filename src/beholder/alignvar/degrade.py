"""From a photo to the low-resolution picture that a model has to undo (section 9 of our spec).

Presets: `bicubic`, the clean one; `realesrgan-mild`, what "degraded" means unless something else is said;
`realesrgan-hard`, the ranges of Real-ESRGAN itself (arXiv 2107.10833). A picture's degradation depends on its own seed
alone, not on what else is in the batch.

Left out, and why: sharpening of the target and colour jitter; the target stays the photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil, log2
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from beholder.alignvar.config import FACTOR
from beholder.alignvar.kernels import Kernel, Range, draw_blur, draw_final_sinc
from beholder.errors import UserError

Preset = Literal["bicubic", "realesrgan-mild", "realesrgan-hard"]

MODES = ("area", "bilinear", "bicubic")
GREY_SHARE, GAUSSIAN_SHARE = 0.4, 0.5
FINAL_SINC_SHARE = 0.8
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Stage:
    """Blur, resize, noise and JPEG, drawn anew for each picture."""

    blur: float
    """Probability of a blur."""
    sigma: Range
    """Of the blur, in pixels."""
    up_down_keep: tuple[float, float, float]
    """Probabilities of enlarging, shrinking and leaving the size."""
    resize: Range
    """Factors: of the picture's own size in the first stage, of the final size in the second."""
    gaussian: Range
    """Standard deviation of Gaussian noise, in levels of 255."""
    poisson: Range
    """Factor on Poisson noise."""
    jpeg: Range
    """JPEG quality."""


STAGES: dict[str, tuple[Stage, Stage]] = {
    "realesrgan-mild": (
        Stage(1.0, (0.2, 3.0), (0.2, 0.7, 0.1), (0.3, 1.5), (1, 15), (0.05, 2.0), (60, 95)),
        Stage(0.5, (0.2, 1.5), (0.3, 0.4, 0.3), (0.6, 1.2), (1, 12), (0.05, 1.0), (60, 100)),
    ),
    "realesrgan-hard": (
        Stage(1.0, (0.2, 3.0), (0.2, 0.7, 0.1), (0.15, 1.5), (1, 30), (0.05, 3.0), (30, 95)),
        Stage(0.8, (0.2, 1.5), (0.3, 0.4, 0.3), (0.3, 1.2), (1, 25), (0.05, 2.5), (30, 95)),
    ),
}


def degrade(hr: Tensor, preset: Preset, seeds: Sequence[int]) -> Tensor:
    """Low-resolution pictures of `hr`, one seed each; the same seed and picture give the same pixels.

    `hr` is float (B, 3, H, W) in [0, 1] on the CPU, H and W multiples of 4. Returns float32 (B, 3, H / 4, W / 4) in
    [0, 1], whole multiples of 1/255. Raises UserError for other shapes and unknown presets.
    """
    if hr.ndim != 4 or hr.shape[1] != 3 or hr.shape[2] % FACTOR or hr.shape[3] % FACTOR:
        raise UserError(f"pictures of shape {tuple(hr.shape)}; expected (B, 3, H, W), H and W multiples of {FACTOR}")
    if preset != "bicubic" and preset not in STAGES:
        raise UserError(f"no degradation {preset!r}; there are bicubic, {', '.join(STAGES)}")
    pictures = torch.split(hr.float(), 1)
    if preset == "bicubic":
        return torch.cat([shrink(picture) for picture in pictures])
    drawn = zip(pictures, seeds, strict=True)
    return torch.cat([_two_stages(picture, *STAGES[preset], np.random.default_rng(seed)) for picture, seed in drawn])


def shrink(hr: Tensor) -> Tensor:
    """Antialiased bicubic to a quarter, rounded to 8 bit: float (B, 3, H, W) in [0, 1] -> (B, 3, H / 4, W / 4)."""
    size = (hr.shape[2] // FACTOR, hr.shape[3] // FACTOR)
    return to_8_bit(F.interpolate(hr, size=size, mode="bicubic", antialias=True))


def enlarge(lr: Tensor) -> Tensor:
    """What everything is compared with: bicubic to four times the size, clipped to [0, 1]."""
    return F.interpolate(lr, scale_factor=FACTOR, mode="bicubic").clamp(0, 1)


def to_8_bit(picture: Tensor) -> Tensor:
    """Whole multiples of 1/255 in [0, 1]."""
    return (picture * 255).round().clamp(0, 255) / 255


def _two_stages(hr: Tensor, first: Stage, second: Stage, rng: np.random.Generator) -> Tensor:
    height, width = hr.shape[2] // FACTOR, hr.shape[3] // FACTOR
    picture = _blur(hr, draw_blur(rng, first.sigma)) if rng.random() < first.blur else hr
    factor = _draw_factor(first, rng)
    picture = _resize(picture, hr.shape[2] * factor, hr.shape[3] * factor, rng)
    picture = _noise(picture, first, rng)
    picture = _jpeg(picture, first, rng)
    if rng.random() < second.blur:
        picture = _blur(picture, draw_blur(rng, second.sigma))
    factor = _draw_factor(second, rng)
    picture = _resize(picture, height * factor, width * factor, rng)
    picture = _noise(picture, second, rng)
    jpeg_last = rng.random() < 0.5
    if not jpeg_last:
        picture = _jpeg(picture, second, rng)
    picture = _resize(picture, height, width, rng)
    if rng.random() < FINAL_SINC_SHARE:
        picture = _blur(picture, draw_final_sinc(rng)).clamp(0, 1)  # it overshoots, as halos do
    return _jpeg(picture, second, rng) if jpeg_last else to_8_bit(picture)


def _draw_factor(stage: Stage, rng: np.random.Generator) -> float:
    smallest, largest = stage.resize
    ranges = ((1.0, largest), (smallest, 1.0), (1.0, 1.0))
    return float(rng.uniform(*ranges[rng.choice(3, p=stage.up_down_keep)]))


def _resize(picture: Tensor, height: float, width: float, rng: np.random.Generator) -> Tensor:
    """As the published recipe does, without antialiasing: what it leaves is part of the damage."""
    size = (max(1, round(height)), max(1, round(width)))
    mode = MODES[rng.integers(len(MODES))]
    return F.interpolate(picture, size=size, mode=mode).clamp(0, 1)


def _blur(picture: Tensor, kernel: Kernel) -> Tensor:
    reach = kernel.shape[0] // 2
    inside = all(side > reach for side in picture.shape[2:])  # a mirror needs more pixels than it shows
    padded = F.pad(picture, (reach,) * 4, mode="reflect" if inside else "replicate")
    weight = torch.from_numpy(kernel)[None, None]
    return F.conv2d(padded.transpose(0, 1), weight).transpose(0, 1)


def _noise(picture: Tensor, stage: Stage, rng: np.random.Generator) -> Tensor:
    grey = rng.random() < GREY_SHARE
    if rng.random() < GAUSSIAN_SHARE:
        sigma = rng.uniform(*stage.gaussian) / 255
        shape = (1, 1 if grey else 3, *picture.shape[2:])
        noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) * sigma
    else:
        noise = _poisson(_luma(picture) if grey else picture, rng) * rng.uniform(*stage.poisson)
    return (picture + noise).clamp(0, 1)


def _poisson(picture: Tensor, rng: np.random.Generator) -> Tensor:
    """Shot noise of a sensor that counts as many photons at white as the picture has levels, to a power of two."""
    clean = to_8_bit(picture).numpy()
    photons = 2.0 ** ceil(log2(max(2, len(np.unique(clean)))))
    return torch.from_numpy((rng.poisson(clean * photons) / photons - clean).astype(np.float32))


def _luma(picture: Tensor) -> Tensor:
    return (picture * torch.tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)


def _jpeg(picture: Tensor, stage: Stage, rng: np.random.Generator) -> Tensor:
    quality = round(rng.uniform(*stage.jpeg))
    pixels = (picture[0] * 255).round().to(torch.uint8).permute(1, 2, 0)
    buffer = BytesIO()
    Image.fromarray(pixels.numpy()).save(buffer, "JPEG", quality=quality)
    decoded = torch.from_numpy(np.array(Image.open(buffer)))
    return decoded.permute(2, 0, 1)[None].float() / 255
