"""The LR picture as prefix tokens (section 5)."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from beholder.alignvar.blocks import ResBlock
from beholder.alignvar.config import AlignVarConfig
from beholder.alignvar.pyramid import tokens_of


class PixelEncoder(nn.Module):
    """One token per LR pixel: [B, 3, h, w] in [0, 1] -> [B, h * w, W]."""

    def __init__(self, config: AlignVarConfig) -> None:
        super().__init__()
        width = config.transformer.width
        self.layers = nn.Sequential(
            nn.Conv2d(3, width // 2, 3, padding=1), ResBlock(width // 2, width // 2), ResBlock(width // 2, width)
        )

    def forward(self, lr: Tensor) -> Tensor:
        """See the class."""
        return tokens_of(self.layers(2 * lr - 1))


class StridedEncoder(nn.Module):
    """Enlarge to HR size, then halve until the latent's size: [B, 3, h, w] in [0, 1] -> [B, S_K², W]."""

    def __init__(self, config: AlignVarConfig) -> None:
        super().__init__()
        widths, self.tile = config.transformer.lr_channels, config.tokeniser.tile
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, padding=1)]
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, a, 3, padding=1), nn.SiLU(), nn.Conv2d(a, b, 3, stride=2, padding=1), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], config.transformer.width, 3, padding=1))

    def forward(self, lr: Tensor) -> Tensor:
        """See the class."""
        return tokens_of(self.layers(F.interpolate(2 * lr - 1, size=(self.tile, self.tile), mode="bicubic")))
