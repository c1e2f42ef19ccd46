"""The residual pyramid: a latent as K maps of codes, coarse to fine, and the running sums f̂_k that they add up to.

Scale k explains what scales before it left over: its code map is enlarged to the latent's grid, smoothed by Φ, and
added. How it is resampled must not change, or VAR's weights mean something else: down by area, up by bicubic without
antialiasing, Φ after enlarging (VAR, arXiv 2404.02905).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beholder.alignvar.config import TokeniserConfig

PHI_CONVS = 4
NEAR_CODES = 8

_PHI_OF_SCALE = {  # VAR's choice; two cases at ten scales are ties that float rounding decides
    8: (0, 0, 1, 1, 2, 2, 3, 3),
    10: (0, 0, 1, 1, 1, 2, 2, 3, 3, 3),
}


@dataclass(frozen=True)
class Quantised:
    """A latent in codes. Lists run over scales; S is the latent's side."""

    indices: list[Tensor]
    """int64 [B, S_k²]: the nearest code of each residual, row by row."""
    fhats: list[Tensor]
    """float32 [B, C, S, S]: running sums, of the replaced codes where there is token noise."""
    clean: list[Tensor]
    """The same, but with the nearest codes at scale k itself. Equal to `fhats` without token noise."""
    residuals: list[Tensor]
    """float32 [B, S_k², C], without gradient: what the codes stand for."""


class Pyramid(nn.Module):
    """One codebook for all scales, and four smoothing convolutions that neighbouring scales share."""

    def __init__(self, config: TokeniserConfig) -> None:
        super().__init__()
        self.scales, self.phi_last = config.scales, config.phi_last
        self.phi_of_scale = phi_of_scale(len(config.scales))
        self.codebook = nn.Parameter(torch.randn(config.codes, config.code_dim) * 0.1, requires_grad=False)
        """[V, C]. Learns by moving averages (`codebook.EmaCodebook`), not by gradient."""
        self.phi = nn.ModuleList(nn.Conv2d(config.code_dim, config.code_dim, 3, padding=1) for _ in range(PHI_CONVS))
        for conv in self.phi:  # Φ starts as x / 2
            nn.init.zeros_(conv.weight)  # type: ignore[arg-type]
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def quantise(
        self,
        z: Tensor,
        *,
        n_scales: int | None = None,
        token_noise: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Quantised:
        """The codes of latents `z` [B, C, S, S], in float32 whatever autocast says; `n_scales` leaves out the finest.

        With `token_noise` each code before the last scale is replaced in the sum, with this chance, by one of its 8
        nearest codes; the scales after it are quantised against that sum, so they correct it. Φ alone has a gradient.
        """
        with torch.autocast(z.device.type, enabled=False):
            z = z.detach().float()
            fhat, fhats, clean, indices, residuals = torch.zeros_like(z), [], [], [], []
            near = self._near_codes() if token_noise else None
            for k, side in enumerate(self.scales[:n_scales]):
                residual = tokens_of(area(z - fhat.detach(), side))
                index = self.nearest(residual)
                exact = fhat + self.contribution(self.codes_of(index), k)
                if near is not None and side < self.scales[-1]:
                    index_used = _replaced(index, near, token_noise, generator)
                    fhat = fhat + self.contribution(self.codes_of(index_used), k)
                else:
                    fhat = exact
                indices.append(index)
                residuals.append(residual)
                fhats.append(fhat)
                clean.append(exact)
        return Quantised(indices, fhats, clean, residuals)

    def fhats_of(self, indices: Sequence[Tensor]) -> list[Tensor]:
        """Running sums [B, C, S, S] of given codes, int64 [B, S_k²] per scale; the same bits that `quantise` gave."""
        fhat: Tensor | None = None
        sums = []
        for k, index in enumerate(indices):
            step = self.contribution(self.codes_of(index), k)
            fhat = torch.zeros_like(step) + step if fhat is None else fhat + step
            sums.append(fhat)
        return sums

    def contribution(self, codes: Tensor, k: int) -> Tensor:
        """What scale `k`, from 0, adds to the sum: codes, or mixtures of codes, [B, S_k², C] -> [B, C, S, S]."""
        image = image_of(codes)
        last = k == len(self.scales) - 1
        if not last:
            image = F.interpolate(image, size=(self.scales[-1],) * 2, mode="bicubic")
        elif not self.phi_last:
            return image
        smoothed: Tensor = self.phi[self.phi_of_scale[k]](image)
        return 0.5 * image + 0.5 * smoothed

    def codes_of(self, index: Tensor) -> Tensor:
        """Codebook rows: int64 [...] -> float32 [..., C]."""
        return self.codebook.float()[index]

    def nearest(self, vectors: Tensor) -> Tensor:
        """Index of the nearest code, Euclidean: float32 [..., C] -> int64 [...]."""
        book = self.codebook.float()
        return (vectors @ book.T - book.square().sum(1) / 2).argmax(-1)

    def inputs(self, fhats: Sequence[Tensor]) -> Tensor:
        """What the transformer reads at scales 2 to K: f̂_{k-1} at the size of scale k, [B, L - 1, C]."""
        sides = self.scales[1:]
        return torch.cat([tokens_of(area(fhat, side)) for fhat, side in zip(fhats, sides, strict=False)], dim=1)

    def _near_codes(self) -> Tensor:
        book = self.codebook.float()
        distance = torch.cdist(book, book)
        distance.fill_diagonal_(torch.inf)
        return distance.topk(min(NEAR_CODES, len(book) - 1), largest=False).indices


def phi_of_scale(n_scales: int) -> tuple[int, ...]:
    """Which of the four convolutions each scale uses: that nearest to k / (K - 1), k from 0."""
    if n_scales in _PHI_OF_SCALE:
        return _PHI_OF_SCALE[n_scales]
    points = [Fraction(3 + 10 * i, 36) for i in range(PHI_CONVS)]  # 1/12, 13/36, 23/36, 11/12
    return tuple(
        min(range(PHI_CONVS), key=lambda i: abs(points[i] - Fraction(k, n_scales - 1))) for k in range(n_scales)
    )


def area(x: Tensor, side: int) -> Tensor:
    """Mean over equal areas: [B, C, H, W] -> [B, C, side, side]. The same values where that is the size."""
    return x if x.shape[-2:] == (side, side) else F.interpolate(x, size=(side, side), mode="area")


def tokens_of(image: Tensor) -> Tensor:
    """Cells row by row: [B, C, H, W] -> [B, H * W, C]."""
    return image.flatten(2).transpose(1, 2)


def image_of(tokens: Tensor) -> Tensor:
    """The inverse for squares: [B, S * S, C] -> [B, C, S, S]."""
    side = isqrt(tokens.shape[1])
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)


def _replaced(index: Tensor, near: Tensor, chance: float, generator: torch.Generator | None) -> Tensor:
    device = index.device if generator is None else generator.device
    hit = torch.rand(index.shape, generator=generator, device=device).to(index.device) < chance
    which = torch.randint(near.shape[1], index.shape, generator=generator, device=device).to(index.device)
    return torch.where(hit, near[index, which], index)
