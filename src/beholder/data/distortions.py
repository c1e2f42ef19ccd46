"""Synthetic damage with known severity, anchored to what people said about the same damage.

Levels run from 0 (untouched) to 5 and may lie between the whole numbers. Parameters at levels 1 to 5 follow KADID-10k
(Lin et al., QoMEX 2019) where that set has the family, so that its mean opinion scores can anchor ours.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.signal import fftconvolve

from beholder.errors import UserError
from beholder.task import ScoreRange

Pixels = NDArray[np.uint8]
Apply = Callable[[Pixels, float, np.random.Generator], Pixels]


@dataclass(frozen=True)
class Family:
    """One kind of damage."""

    name: str
    apply: Apply
    """(RGB uint8, parameter, generator) -> damaged RGB uint8 of the same shape."""
    at_levels: tuple[float, float, float, float, float]
    """The parameter at levels 1 to 5."""
    prior: str
    """Name of the family in KADID-10k whose opinion scores anchor this one."""

    def parameter(self, level: float) -> float:
        """Parameter at a level in (0, 5], linear between the whole levels; below 1 it fades to no damage at 0."""
        if not 0 < level <= 5:
            raise ValueError(f"level = {level:g} of {self.name} is outside (0, 5]")
        return float(np.interp(level, range(6), (_UNTOUCHED[self.name], *self.at_levels)))


def distort(rgb: Pixels, family: str, level: float, seed: int) -> Pixels:
    """Damage an RGB picture, uint8 (H, W, 3). The same arguments give the same pixels; level 0 gives a copy.

    Raises KeyError for an unknown family and ValueError for a level outside [0, 5].
    """
    if level == 0:
        return rgb.copy()
    row = FAMILIES[family]
    return row.apply(rgb, row.parameter(level), np.random.default_rng(seed))


def _to_bytes(unit: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(np.rint(unit * 255.0), 0, 255), np.uint8)


def _unit(rgb: Pixels) -> NDArray[np.float32]:
    return rgb.astype(np.float32) / np.float32(255)


def blur(rgb: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Gaussian blur, `sigma` in pixels."""
    return np.asarray(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(sigma)))


def _convolve(rgb: Pixels, kernel: NDArray[np.float32]) -> Pixels:
    reach = kernel.shape[0] // 2
    padded = np.pad(_unit(rgb), ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    return _to_bytes(fftconvolve(padded, kernel[:, :, None], mode="valid", axes=(0, 1)))


def lens_blur(rgb: Pixels, radius: float, rng: np.random.Generator) -> Pixels:
    """Out of focus: a disc of `radius` pixels with a soft rim."""
    reach = ceil(radius)
    axis = np.arange(-reach, reach + 1, dtype=np.float32)
    disc = np.clip(radius + 0.5 - np.hypot(axis[:, None], axis[None]), 0, 1).astype(np.float32)
    return _convolve(rgb, disc / disc.sum())


def motion_blur(rgb: Pixels, length: float, rng: np.random.Generator) -> Pixels:
    """Camera shake: a straight line of `length` pixels each way, in a random direction."""
    reach = ceil(length)
    angle = rng.uniform(0, np.pi)
    axis = np.arange(-reach, reach + 1, dtype=np.float32)
    along = axis[None] * np.cos(angle) + axis[:, None] * np.sin(angle)
    aside = axis[:, None] * np.cos(angle) - axis[None] * np.sin(angle)
    line = (np.clip(1 - np.abs(aside), 0, 1) * np.clip(length + 0.5 - np.abs(along), 0, 1)).astype(np.float32)
    return _convolve(rgb, line / line.sum())


def noise(rgb: Pixels, variance: float, rng: np.random.Generator) -> Pixels:
    """White Gaussian noise on R, G and B; `variance` on [0, 1]."""
    grain = rng.standard_normal(rgb.shape, dtype=np.float32)
    return _to_bytes(_unit(rgb) + np.sqrt(np.float32(variance)) * grain)


def night_noise(rgb: Pixels, variance: float, rng: np.random.Generator) -> Pixels:
    """High-ISO noise: stronger in the dark, mostly shared by the channels, a little blurred as demosaicing does."""
    height, width, _ = rgb.shape
    grain = rng.standard_normal((height, width, 1), dtype=np.float32) + 0.6 * rng.standard_normal(
        rgb.shape, dtype=np.float32
    )
    grain = (grain + np.roll(grain, 1, 0) + np.roll(grain, 1, 1) + np.roll(grain, (1, 1), (0, 1))) / 2
    clean = _unit(rgb)
    return _to_bytes(clean + np.sqrt(np.float32(variance)) * (1.3 - clean) * grain)


def impulse_noise(rgb: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Dead and hot samples: `share` of them becomes 0 or 255."""
    out = rgb.copy()
    hit = rng.random(rgb.shape, dtype=np.float32) < share
    out[hit] = np.where(rng.random(int(hit.sum())) < 0.5, 0, 255)
    return out


def jpeg(rgb: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    """Through a JPEG file of `quality` 1-95."""
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=round(quality))
    return np.asarray(Image.open(buffer).convert("RGB"))


def darken(rgb: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Under-exposure: a tone curve that pulls the middle down; `strength` 0 is none, 1 nearly black."""
    return _to_bytes(_unit(rgb) ** np.float32(1 + 3 * strength) * np.float32(1 - 0.45 * strength))


def overexpose(rgb: Pixels, stops: float, rng: np.random.Generator) -> Pixels:
    """`stops` more light in linear light: highlights clip and never come back."""
    return _to_bytes(np.clip(_unit(rgb) ** np.float32(2.2) * np.float32(2.0**stops), 0, 1) ** np.float32(1 / 2.2))


def banding(rgb: Pixels, levels: float, rng: np.random.Generator) -> Pixels:
    """`levels` steps per channel instead of 256."""
    step = 255.0 / (max(2.0, levels) - 1)
    return np.clip(np.rint(np.rint(rgb / step) * step), 0, 255).astype(np.uint8)


def downscale(rgb: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """Shrunk by `factor` and enlarged again with bicubic filters."""
    height, width, _ = rgb.shape
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    image = Image.fromarray(rgb).resize(small, Image.Resampling.BICUBIC)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def low_contrast(rgb: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Haze: towards the mean grey of the picture; `strength` 1 leaves nothing."""
    grey = np.float32(rgb.mean() / 255 * 0.5 + 0.3)
    return _to_bytes(grey + (_unit(rgb) - grey) * np.float32(1 - strength))


def desaturate(rgb: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Towards the luma of each pixel; `strength` 1 is black and white."""
    unit = _unit(rgb)
    luma = unit @ np.array([0.299, 0.587, 0.114], np.float32)
    return _to_bytes(unit + (luma[..., None] - unit) * np.float32(strength))


def colour_cast(rgb: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Wrong white balance: channel gains of up to 1 +- `strength` in a random direction."""
    direction = rng.standard_normal(3)
    direction -= direction.mean()
    gains = 1 + strength * direction / np.abs(direction).max()
    return _to_bytes(_unit(rgb) * gains.astype(np.float32))


def oversharpen(rgb: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Unsharp mask of `amount` with a radius of 2 px: halos."""
    soft = _unit(blur(rgb, 2.0, rng))
    unit = _unit(rgb)
    return _to_bytes(unit + np.float32(amount) * (unit - soft))


def smear(rgb: Pixels, variance: float, rng: np.random.Generator) -> Pixels:
    """Noise, then heavy-handed denoising: the watercolour look of small cameras."""
    noisy = Image.fromarray(noise(rgb, variance, rng))
    return np.asarray(
        noisy.filter(ImageFilter.MedianFilter(3)).filter(ImageFilter.GaussianBlur(20 * variance**0.5 / 3))
    )


FAMILIES: dict[str, Family] = {
    row.name: row
    for row in (
        Family("blur", blur, (0.4, 0.7, 1.2, 2.2, 5.0), "GBLUR"),
        Family("lens_blur", lens_blur, (1.0, 2.0, 4.0, 6.0, 8.0), "Lens_Blur"),
        Family("motion_blur", motion_blur, (1.0, 2.0, 4.0, 6.0, 10.0), "Motion_Blur"),
        Family("noise", noise, (0.001, 0.002, 0.003, 0.005, 0.01), "AWGN"),
        Family("night_noise", night_noise, (0.0006, 0.0015, 0.003, 0.006, 0.015), "AWGN_YCbCr"),
        Family("impulse_noise", impulse_noise, (0.001, 0.005, 0.01, 0.02, 0.03), "Impulse_Noise"),
        Family("jpeg", jpeg, (43, 36, 24, 7, 4), "JPEG"),
        Family("darken", darken, (0.08, 0.18, 0.32, 0.5, 0.8), "Darken"),
        Family("overexpose", overexpose, (0.3, 0.7, 1.2, 1.9, 2.8), "Brighten"),
        Family("banding", banding, (20, 16, 13, 10, 7), "Quantization"),
        Family("downscale", downscale, (1.3, 1.8, 2.5, 4.0, 8.0), "Pixelate"),
        Family("low_contrast", low_contrast, (0.2, 0.35, 0.5, 0.65, 0.8), "Darken"),
        Family("desaturate", desaturate, (0.2, 0.4, 0.6, 0.8, 1.0), "Saturation_Dist._HSV"),
        Family("colour_cast", colour_cast, (0.08, 0.16, 0.26, 0.38, 0.55), "Color_Shift"),
        Family("oversharpen", oversharpen, (0.7, 1.5, 3.0, 5.0, 9.0), "High_Sharpen"),
        Family("smear", smear, (0.001, 0.002, 0.003, 0.006, 0.012), "Denoising"),
    )
}

# What the parameter tends to as the level goes to 0. Banding and JPEG count downwards from a harmless value.
_UNTOUCHED = dict.fromkeys(FAMILIES, 0.0) | {"jpeg": 95.0, "banding": 64.0, "downscale": 1.0}


_PRIOR_COLUMNS = {"dataset", "distortion_name", "level", "mean_score"}


def read_priors(path: Path) -> dict[str, tuple[float, ...]]:
    """Mean KADID-10k opinion at levels 0 to 5 per family of ours, as unit quality in [0, 1], falling with the level.

    `path` is a CSV with the columns dataset, distortion_name, level, mean_score. Level 0 is the opinion that KADID's
    mildest damage gets at its best (nothing is scored above it there). A family whose raters did not punish every
    step is made monotone by a running minimum.
    """
    scale = ScoreRange(1.0, 5.0)
    table: dict[str, dict[int, float]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if missing := _PRIOR_COLUMNS - set(reader.fieldnames or ()):
            raise UserError(f"{path} lacks the columns {', '.join(sorted(missing))}; it has {reader.fieldnames}")
        for row in reader:
            if row["dataset"] == "KADID-10k":
                table.setdefault(row["distortion_name"], {})[int(row["level"])] = scale.to_unit(
                    float(row["mean_score"])
                )
    if not table:
        raise UserError(f"{path} has no row of the data set KADID-10k, whose opinions anchor the damage")
    clean = max(score for levels in table.values() for score in levels.values())
    priors = {}
    for family in FAMILIES.values():
        if sorted(table.get(family.prior, {})) != [1, 2, 3, 4, 5]:
            raise UserError(f"{path} has no five KADID-10k levels of {family.prior!r}, which anchor {family.name!r}")
        levels = np.array([clean, *(table[family.prior][level] for level in range(1, 6))])
        priors[family.name] = tuple(float(v) for v in np.minimum.accumulate(levels))
    return priors
