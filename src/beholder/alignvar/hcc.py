"""HCC, the hierarchical consistency loss: the latent that predictions add up to is pulled to the HR latent (section 7).

The paper: L = sum over k of ||û^k - Q(down(z, S_k))||², û^k = û^{k-1} + r̂^k. Ours, by default: r̂^k is the expected
code, so that a gradient reaches the logits; the target is down(z, S_k) itself, because its nearest codes are noisy; and
norms are means over elements, or the sum over thousands of cells would drown cross-entropy. Eight such means can still
drown it; `reduction` says more.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from beholder.alignvar.config import HccConfig
from beholder.alignvar.pyramid import Quantised, area, tokens_of
from beholder.alignvar.tokeniser import Tokeniser


def consistency_loss(
    logits: Tensor,
    tokeniser: Tokeniser,
    z: Tensor,
    quantised: Quantised,
    hr: Tensor,
    config: HccConfig,
    *,
    lr: Tensor | None = None,
) -> Tensor:
    """Scalar float32. `logits` [B, L, V], the true latent `z` [B, C, S, S] and its codes, `hr` RGB in [-1, 1], and for
    the pixel space of an anchored tokeniser `lr`, RGB in [0, 1].

    With token noise the context of scale k was disturbed before k, and what it is asked to predict corrects that; so
    the sum carries the same disturbances along.
    """
    pyramid = tokeniser.pyramid
    with torch.autocast(logits.device.type, enabled=False):
        z, std = z.float(), tokeniser.latent_std[:, None, None]
        predicted, losses = torch.zeros_like(z), []
        for k, part in enumerate(torch.split(logits.float(), [side * side for side in pyramid.scales], dim=1)):
            side = pyramid.scales[k]
            predicted = predicted + pyramid.contribution(_codes(part, tokeniser, config), k)
            if config.space == "latent":
                gap = area(predicted, side) - _target(z, quantised, tokeniser, k, config)
                losses.append(_reduced((gap / std if config.whiten else gap).square(), config))
            if k < len(pyramid.scales) - 1:
                predicted = predicted + (quantised.fhats[k] - quantised.clean[k])
        if config.space == "latent":
            return torch.stack(losses).mean() if config.reduction == "scales" else torch.stack(losses).sum()
    return F.mse_loss(tokeniser.decode(predicted, lr).float(), hr.float())


def _reduced(squares: Tensor, config: HccConfig) -> Tensor:
    return squares.flatten(1).sum(1).mean() if config.reduction == "sum" else squares.mean()


def _codes(logits: Tensor, tokeniser: Tokeniser, config: HccConfig) -> Tensor:
    expected = logits.softmax(-1) @ tokeniser.pyramid.codebook.float()
    if config.mode == "soft":
        return expected
    return expected + (tokeniser.pyramid.codes_of(logits.argmax(-1)) - expected).detach()


def _target(z: Tensor, quantised: Quantised, tokeniser: Tokeniser, k: int, config: HccConfig) -> Tensor:
    side = tokeniser.pyramid.scales[k]
    if config.target == "fhat":
        return area(quantised.clean[k], side)
    small = area(z, side)
    if config.target == "z":
        return small
    codes = tokeniser.pyramid.codes_of(tokeniser.pyramid.nearest(tokens_of(small)))
    return codes.transpose(1, 2).reshape(small.shape)
