"""The autoencoder of `nano` and `small`: stride 4, about a million or five million parameters."""

from __future__ import annotations

from torch import nn

from beholder.alignvar.blocks import ResBlock
from beholder.alignvar.config import TokeniserConfig


def encoder(config: TokeniserConfig) -> nn.Module:
    """RGB [B, 3, 4S, 4S] -> latent [B, C, S, S]. If anchored: [B, 6, 4S, 4S], what is lacking and the enlarged LR."""
    a, b, c = config.channels
    return nn.Sequential(
        nn.PixelUnshuffle(2),
        nn.Conv2d(24 if config.anchored else 12, a, 3, padding=1),
        ResBlock(a, a),
        nn.Conv2d(a, b, 4, stride=2, padding=1),
        ResBlock(b, c),
        ResBlock(c, c),
        nn.GroupNorm(config.norm_groups, c),
        nn.SiLU(),
        nn.Conv2d(c, config.code_dim, 3, padding=1),
    )


def decoder(config: TokeniserConfig) -> nn.Module:
    """Latent [B, C, S, S] -> RGB [B, 3, 4S, 4S]. If anchored: [B, C + 3, S, S], with the LR -> what is lacking."""
    a, b, c = config.channels
    return nn.Sequential(
        nn.Conv2d(config.code_dim + 3 * config.anchored, c, 3, padding=1),
        ResBlock(c, c),
        ResBlock(c, c),
        ResBlock(c, b),
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(b, b, 3, padding=1),
        ResBlock(b, a),
        nn.GroupNorm(config.norm_groups, a),
        nn.SiLU(),
        nn.Conv2d(a, 12, 3, padding=1),
        nn.PixelShuffle(2),
    )
