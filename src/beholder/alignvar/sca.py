"""SCA, the spatial consistency gate: input tokens times a factor in (1, 2) that follows the LR picture's edges.

Section 6, the paper's equations: s = |Laplacian(I_LR)|, s̄_k = normalise(down(s, S_k)),
m_k = sigmoid(M([r_k, s̄_k])), r̃_k = (1 + m_k) r_k. Attention itself is left alone.
"""

from __future__ import annotations

import math
import zlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beholder.alignvar.config import ScaConfig
from beholder.alignvar.pyramid import area, tokens_of

FLOOR = 0.02
"""Least maximum that a map is divided by, so that flat tiles stay low."""
_INITIAL_BIAS = -2.0  # a factor of 1.12 everywhere
_LUMA = (0.299, 0.587, 0.114)


class Gate(nn.Module):
    """The gate M: from a token and its guidance, a factor per channel or one for all."""

    def __init__(self, width: int, config: ScaConfig) -> None:
        super().__init__()
        inner = width // 8
        last = nn.Linear(inner, width if config.gate == "channel" else 1)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, _INITIAL_BIAS)
        first = nn.Linear(width + 1, inner)
        first.weight.data[:, -1] *= math.sqrt(width)  # one input beside `width` others, it would hardly be heard
        self.layers = nn.Sequential(first, nn.GELU(), last)

    def factor(self, tokens: Tensor, guidance: Tensor) -> Tensor:
        """1 + m in (1, 2): tokens [B, T, W] and guidance [B, T, 1] -> [B, T, W or 1]."""
        seen = torch.cat([tokens, guidance.to(tokens.dtype)], dim=-1)
        return 1 + torch.sigmoid(self.layers(seen))

    def forward(self, tokens: Tensor, guidance: Tensor) -> Tensor:
        """Gated tokens, [B, T, W]."""
        return tokens * self.factor(tokens, guidance)


def guidance(lr: Tensor, scales: tuple[int, ...], config: ScaConfig) -> list[Tensor]:
    """s̄_k in [0, 1] for each scale, float32 [B, S_k², 1], from RGB `lr` [B, 3, h, w] in [0, 1].

    Random guidance is a function of the seed and of the picture, so that it depends neither on the batch nor on when.
    """
    if config.guidance == "zero":
        return [lr.new_zeros(len(lr), side * side, 1, dtype=torch.float32) for side in scales]
    if config.guidance == "random":
        return _random(lr, scales, config.seed)
    with torch.autocast(lr.device.type, enabled=False):
        strength = laplacian(lr.float(), config.blur)
        return [tokens_of(_normalised(area(strength, side))) for side in scales]


def laplacian(lr: Tensor, blur: float) -> Tensor:
    """|Laplacian| of luma, four neighbours, border repeated: RGB float32 [B, 3, h, w] -> [B, 1, h, w]."""
    luma = (lr * lr.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
    if blur:
        luma = _blurred(luma, blur)
    framed = F.pad(luma, (1, 1, 1, 1), mode="replicate")
    neighbours = framed[..., :-2, 1:-1] + framed[..., 2:, 1:-1] + framed[..., 1:-1, :-2] + framed[..., 1:-1, 2:]
    return (neighbours - 4 * luma).abs()


def _normalised(strength: Tensor) -> Tensor:
    return strength / strength.amax(dim=(2, 3), keepdim=True).clamp_min(FLOOR)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    radius = math.ceil(3 * sigma)
    at = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-at.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    framed = F.pad(image, (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(framed, kernel[None, None, :, None]), kernel[None, None, None])


def _random(lr: Tensor, scales: tuple[int, ...], seed: int) -> list[Tensor]:
    pixels = (lr.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    generators = [torch.Generator().manual_seed(zlib.crc32(picture.tobytes(), seed)) for picture in pixels]
    return [
        torch.stack([torch.rand(side * side, 1, generator=generator) for generator in generators]).to(lr.device)
        for side in scales
    ]
