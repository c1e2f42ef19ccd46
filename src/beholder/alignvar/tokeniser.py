"""The tokeniser: a picture as K maps of codes and back, by an autoencoder around the residual pyramid (section 3).

An anchored one is ours, not the paper's: its codes describe the difference between the picture and its enlarged LR
copy, and its decoder reads that copy too. So a wrongly predicted code costs detail, not the picture (docs/alignvar.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beholder.alignvar import compact, var_autoencoder
from beholder.alignvar.config import FACTOR, TokeniserConfig
from beholder.alignvar.pyramid import Pyramid, Quantised

COMMITMENT = 0.25
"""Weight of pulling the encoder towards the codes."""


@dataclass(frozen=True)
class TokeniserOutput:
    """What training the tokeniser needs of one batch."""

    picture: Tensor
    """[B, 3, H, W], about [-1, 1], with a straight-through gradient to the encoder."""
    vq_loss: Tensor
    """Scalar: mean over scales of MSE(f̂_k, sg z) + 0.25 MSE(sg f̂_k, z)."""
    z: Tensor
    """[B, C, S, S]: the continuous latent, with gradient."""
    indices: list[Tensor]
    """int64 [B, S_k²] per scale."""
    residuals: list[Tensor]
    """float32 [B, S_k², C] per scale: the vectors that those codes stand for, for `EmaCodebook`."""


class Tokeniser(nn.Module):
    """Pictures are RGB in [-1, 1], [B, 3, tile, tile]; latents [B, C, S, S] with S = S_K.

    `lr` is always RGB in [0, 1], [B, 3, tile / 4, tile / 4]. Only an anchored tokeniser reads it, and raises ValueError
    without.
    """

    def __init__(self, config: TokeniserConfig) -> None:
        super().__init__()
        self.config = config
        var = config.kind == "var"
        self.encoder = var_autoencoder.Encoder(config) if var else compact.encoder(config)
        self.decoder = var_autoencoder.Decoder(config) if var else compact.decoder(config)
        self.pyramid = Pyramid(config)
        self.latent_std: Tensor
        """float32 [C]: standard deviation of z over training pictures, which whitens the consistency loss; 1 if
        nobody has measured it."""
        self.register_buffer("latent_std", torch.ones(config.code_dim))

    def encode(self, x: Tensor, lr: Tensor | None = None) -> Tensor:
        """RGB [B, 3, H, W] in [-1, 1] -> z [B, C, S, S]."""
        if self.config.anchored:
            base = _enlarged(lr)
            x = torch.cat([x - base, base], dim=1)
        return self.encoder(x)  # type: ignore[no-any-return]

    def decode(self, fhat: Tensor, lr: Tensor | None = None) -> Tensor:
        """A latent [B, C, S, S], summed from codes or continuous -> RGB [B, 3, H, W], not clipped to [-1, 1]."""
        if not self.config.anchored:
            return self.decoder(fhat)  # type: ignore[no-any-return]
        base = _enlarged(lr).to(fhat.dtype)
        assert lr is not None  # or `_enlarged` had raised
        return base + self.decoder(torch.cat([fhat, (2 * lr - 1).to(fhat.dtype)], dim=1))  # type: ignore[no-any-return]

    def quantise(
        self,
        z: Tensor,
        *,
        n_scales: int | None = None,
        token_noise: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Quantised:
        """The codes of latents; see `Pyramid.quantise`."""
        return self.pyramid.quantise(z, n_scales=n_scales, token_noise=token_noise, generator=generator)

    def indices(self, x: Tensor, lr: Tensor | None = None) -> list[Tensor]:
        """RGB [B, 3, H, W] in [-1, 1] -> the code at each cell, int64 [B, S_k²] per scale."""
        return self.quantise(self.encode(x, lr)).indices

    def fhat(self, indices: Sequence[Tensor]) -> list[Tensor]:
        """Codes, int64 [B, S_k²] per scale -> running sums f̂_k [B, C, S, S], one per scale given."""
        return self.pyramid.fhats_of(indices)

    def inputs(self, fhats: Sequence[Tensor]) -> Tensor:
        """Running sums -> what the transformer reads at scales 2 to K, [B, L - 1, C]."""
        return self.pyramid.inputs(fhats)

    def forward(
        self, x: Tensor, lr: Tensor | None = None, *, n_scales: int | None = None, blend: float = 0.0
    ) -> TokeniserOutput:
        """Reconstruct RGB `x` [B, 3, H, W] in [-1, 1] through codes, for training.

        `n_scales` decodes the sum of that many scales only, so that coarse scales carry meaning. `blend` in [0, 1] is
        the share of the continuous latent that reaches the decoder, for the first steps.
        """
        z = self.encode(x, lr)
        quantised = self.quantise(z, n_scales=n_scales)
        with torch.autocast(z.device.type, enabled=False):
            wide = z.float()
            losses = [
                F.mse_loss(fhat, wide.detach()) + COMMITMENT * F.mse_loss(fhat.detach(), wide)
                for fhat in quantised.fhats
            ]
        latent = z + (1 - blend) * (quantised.fhats[-1] - z).detach()
        return TokeniserOutput(
            self.decode(latent, lr), torch.stack(losses).mean(), z, quantised.indices, quantised.residuals
        )


def _enlarged(lr: Tensor | None) -> Tensor:
    if lr is None:
        raise ValueError("an anchored tokeniser needs the LR picture: pass lr")
    return 2 * F.interpolate(lr, scale_factor=FACTOR, mode="bicubic") - 1
