"""Gradient magnitude similarity deviation as a loss: `beholder.evaluate.restoration.gmsd` with a gradient of its own.

An L1 loss makes soft what is uncertain, which costs little L1 and much gradient magnitude; this one asks for edges as
strong as the true ones, where they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from beholder.evaluate.restoration import GMSD_CONSTANT

LUMA = (0.299, 0.587, 0.114)
NEARLY_ZERO = 1e-6
"""Under a root, whose slope at 0 is infinite; luma is in 0 to 255."""


def gmsd(pred: Tensor, true: Tensor) -> Tensor:
    """Pictures [B, 3, H, W] in [-1, 1] -> float32 [B], 0 for equal pictures (Xue et al., IEEE TIP 23(2), 2014)."""
    first, second = _gradient(pred.float()), _gradient(true.float())
    similarity = (2 * (first * second) + GMSD_CONSTANT) / (first.square() + second.square() + GMSD_CONSTANT)
    deviation: Tensor = (similarity.flatten(1).var(dim=1, correction=0) + NEARLY_ZERO).sqrt() - NEARLY_ZERO**0.5
    return deviation


def _gradient(picture: Tensor) -> Tensor:
    """Magnitude of the Prewitt gradient of the luma, halved by means, zero outside: [B, 3, H, W] -> [B, 1, h, w]."""
    luma = 127.5 * (1 + (picture * picture.new_tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True))
    across = luma.new_tensor([[1.0, 0.0, -1.0]] * 3) / 3
    slopes = F.conv2d(F.avg_pool2d(luma, 2), torch.stack([across, across.T])[:, None], padding=1)
    magnitude: Tensor = (slopes.square().sum(dim=1, keepdim=True) + NEARLY_ZERO).sqrt()
    return magnitude
