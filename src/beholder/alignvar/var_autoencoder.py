"""The autoencoder of VAR's published tokeniser (arXiv 2404.02905): VQGAN's layout, stride 16 with five levels."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from beholder.alignvar.blocks import ResBlock
from beholder.alignvar.config import TokeniserConfig

_EPS = 1e-6
_BLOCKS = 2
"""ResBlocks per level of the encoder; the decoder has one more."""


class Encoder(nn.Module):
    """RGB [B, 3, H, W] -> latent [B, C, H / stride, W / stride], the 3x3 convolution before quantising included."""

    def __init__(self, config: TokeniserConfig) -> None:
        super().__init__()
        widths, groups = config.channels, config.norm_groups
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.levels = nn.ModuleList(
            _Level(widths[max(i - 1, 0)], width, _BLOCKS, groups, lowest=i == last, resample=_Halve, at=i < last)
            for i, width in enumerate(widths)
        )
        self.middle = _middle(widths[-1], groups)
        self.norm_out = nn.GroupNorm(groups, widths[-1], eps=_EPS)
        self.conv_out = nn.Conv2d(widths[-1], config.code_dim, 3, padding=1)
        self.quant = nn.Conv2d(config.code_dim, config.code_dim, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.conv_in(x)
        for level in self.levels:
            x = level(x)
        return self.quant(self.conv_out(F.silu(self.norm_out(self.middle(x)))))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Latent [B, C, S, S] -> RGB [B, 3, stride * S, stride * S], the 3x3 convolution after quantising included."""

    def __init__(self, config: TokeniserConfig) -> None:
        super().__init__()
        widths, groups = config.channels, config.norm_groups
        last = len(widths) - 1
        self.post_quant = nn.Conv2d(config.code_dim, config.code_dim, 3, padding=1)
        self.conv_in = nn.Conv2d(config.code_dim, widths[-1], 3, padding=1)
        self.middle = _middle(widths[-1], groups)
        self.levels = nn.ModuleList(  # from the picture inwards, as the encoder's
            _Level(widths[min(i + 1, last)], width, _BLOCKS + 1, groups, lowest=i == last, resample=_Double, at=i > 0)
            for i, width in enumerate(widths)
        )
        self.norm_out = nn.GroupNorm(groups, widths[0], eps=_EPS)
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, fhat: Tensor) -> Tensor:
        """See the class."""
        x = self.middle(self.conv_in(self.post_quant(fhat)))
        for level in reversed(self.levels):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))  # type: ignore[no-any-return]


class _Level(nn.Module):
    def __init__(
        self, inside: int, width: int, n_blocks: int, groups: int, *, lowest: bool, resample: type[nn.Module], at: bool
    ) -> None:
        super().__init__()
        widths = [inside] + [width] * n_blocks
        self.blocks = nn.ModuleList(ResBlock(a, b, groups=groups, eps=_EPS) for a, b in pairwise(widths))
        self.attentions = nn.ModuleList(_Attention(width, groups) if lowest else nn.Identity() for _ in range(n_blocks))
        self.resample = resample(width) if at else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            x = attention(block(x))
        return self.resample(x)  # type: ignore[no-any-return]


class _Attention(nn.Module):
    """Every cell looks at every cell, with one head."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=_EPS)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.proj = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)
        seen = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj(seen.transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]


class _Halve(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))  # type: ignore[no-any-return]


class _Double(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))  # type: ignore[no-any-return]


def _middle(width: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        ResBlock(width, width, groups=groups, eps=_EPS),
        _Attention(width, groups),
        ResBlock(width, width, groups=groups, eps=_EPS),
    )
