"""Which pixels are looked at: a fixed grid of square views at the picture's own resolution (UniQA spec, section 6).

The published test averages ten random views, unseeded; a fixed grid gives a picture one score.
"""

from __future__ import annotations

from math import ceil, floor

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

MAX_PER_SIDE = 4
"""Views along one side at most."""


def offsets(length: int, side: int = 224) -> list[int]:
    """Where views of `side` pixels begin along `length` pixels: n = min(4, max(2, ceil(length / side))), evenly spread.

    One view where `length` equals `side`. Raises ValueError where `length` is below `side`: enlarge the picture first.

    >>> offsets(512), offsets(384), offsets(500), offsets(1024), offsets(224)
    ([0, 144, 288], [0, 160], [0, 138, 276], [0, 267, 533, 800], [0])
    """
    if length < side:
        raise ValueError(f"a side of {length} px holds no view of {side} px")
    if length == side:
        return [0]
    n = min(MAX_PER_SIDE, max(2, ceil(length / side)))
    return [floor((length - side) * k / (n - 1) + 0.5) for k in range(n)]


def enlarged(height: int, width: int, side: int = 224) -> tuple[int, int]:
    """Height and width of a picture once its shorter side holds a view; as they are where it does already.

    >>> enlarged(80, 100), enlarged(300, 224)
    ((224, 280), (300, 224))
    """
    scale = max(1.0, side / min(height, width))
    return max(side, round(height * scale)), max(side, round(width * scale))


def grid_of_array(rgb: NDArray[np.uint8], side: int = 224) -> NDArray[np.uint8]:
    """uint8 RGB (H, W, 3) -> its grid of views (K, side, side, 3), row by row; a small picture is enlarged first."""
    height, width = enlarged(rgb.shape[0], rgb.shape[1], side)
    if (height, width) != rgb.shape[:2]:
        rgb = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC))
    return np.stack([rgb[y : y + side, x : x + side] for y in offsets(height, side) for x in offsets(width, side)])


def grid_of_tensor(pixels_B3HW: Tensor, side: int = 224) -> Tensor:
    """Pictures of one size -> their grids of views (B, K, 3, side, side), row by row; small ones are enlarged first."""
    height, width = enlarged(pixels_B3HW.shape[-2], pixels_B3HW.shape[-1], side)
    if (height, width) != pixels_B3HW.shape[-2:]:
        pixels_B3HW = F.interpolate(pixels_B3HW, size=(height, width), mode="bicubic", antialias=True)
    return torch.stack(
        [pixels_B3HW[..., y : y + side, x : x + side] for y in offsets(height, side) for x in offsets(width, side)],
        dim=1,
    )
