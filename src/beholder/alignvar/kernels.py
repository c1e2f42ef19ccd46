"""Blur kernels of the Real-ESRGAN degradations (section 9 of our spec; families by Wang et al., arXiv 2107.10833).

With x the offset from the centre in pixels and q = x' S^-1 x for a covariance S:
Gaussian exp(-q / 2), generalised Gaussian exp(-q^b / 2), plateau 1 / (1 + q^b), sinc the ideal low-pass filter of a
circular aperture. All kernels sum to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray
from scipy.special import j1

Kernel = NDArray[np.float32]
Range = tuple[float, float]

SIZES = tuple(range(7, 22, 2))
FAMILIES = ("gaussian", "generalised", "plateau")
SHARES = {
    ("gaussian", True): 0.45,
    ("gaussian", False): 0.25,
    ("generalised", True): 0.12,
    ("generalised", False): 0.03,
    ("plateau", True): 0.12,
    ("plateau", False): 0.03,
}
"""(family, isotropic) -> share of drawn kernels that are no sinc."""
SINC_SHARE = 0.1
EXPONENTS: dict[str, Range] = {"gaussian": (1.0, 1.0), "generalised": (0.5, 4.0), "plateau": (1.0, 2.0)}


@dataclass(frozen=True)
class Shape:
    """An elliptic kernel."""

    family: str
    """One of `FAMILIES`."""
    sigma: tuple[float, float]
    """Standard deviations along the two axes in pixels."""
    angle: float = 0.0
    """Of the first axis, in radians."""
    exponent: float = 1.0
    """b of the generalised and the plateau family; 1 makes the generalised one a Gaussian."""


def elliptic(size: int, shape: Shape) -> Kernel:
    """float32 (size, size), sum 1; `size` is odd."""
    axis = np.arange(size, dtype=np.float64) - size // 2
    x, y = axis[None], axis[:, None]
    along = x * np.cos(shape.angle) + y * np.sin(shape.angle)
    aside = y * np.cos(shape.angle) - x * np.sin(shape.angle)
    distance = (along / shape.sigma[0]) ** 2 + (aside / shape.sigma[1]) ** 2
    power = distance**shape.exponent
    kernel = 1 / (1 + power) if shape.family == "plateau" else np.exp(-power / 2)
    return np.asarray(kernel / kernel.sum(), np.float32)


def sinc(size: int, cutoff: float) -> Kernel:
    """Circular low-pass filter, float32 (size, size), sum 1; `cutoff` in (0, pi] radians per pixel."""
    axis = np.arange(size, dtype=np.float64) - size // 2
    radius = np.hypot(axis[None], axis[:, None])
    radius[size // 2, size // 2] = 1.0
    kernel = cutoff * j1(cutoff * radius) / (2 * pi * radius)
    kernel[size // 2, size // 2] = cutoff**2 / (4 * pi)  # the limit at radius 0
    return np.asarray(kernel / kernel.sum(), np.float32)


def draw_blur(rng: np.random.Generator, sigma: Range) -> Kernel:
    """One of the blurs of a stage, `sigma` its range of standard deviations in pixels."""
    size = int(rng.choice(SIZES))
    if rng.random() < SINC_SHARE:
        return sinc(size, rng.uniform(pi / 3 if size < 13 else pi / 5, pi))
    families = list(SHARES)
    family, isotropic = families[rng.choice(len(families), p=list(SHARES.values()))]
    first = rng.uniform(*sigma)
    second, angle = (first, 0.0) if isotropic else (rng.uniform(*sigma), rng.uniform(-pi, pi))
    return elliptic(size, Shape(family, (first, second), angle, rng.uniform(*EXPONENTS[family])))


def draw_final_sinc(rng: np.random.Generator) -> Kernel:
    """The filter that a picture may end with."""
    return sinc(int(rng.choice(SIZES)), rng.uniform(pi / 3, pi))
