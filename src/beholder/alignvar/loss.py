"""What the transformer minimises: cross-entropy of the codes, plus the consistency loss (sections 7 and 8)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beholder.alignvar.config import LossConfig
from beholder.alignvar.hcc import consistency_loss
from beholder.alignvar.tokeniser import Tokeniser


@dataclass(frozen=True)
class TrainingLoss:
    """Scalars with gradient, and what to watch."""

    total: Tensor
    """ce + weight * hcc."""
    ce: Tensor
    """Nats per code, weighted over tokens or scales as configured."""
    hcc: Tensor
    """Without its weight; 0 where the weight is 0."""
    ce_by_scale: Tensor
    """float32 [K], without gradient: mean over each scale's codes."""


def training_loss(
    model: nn.Module,
    tokeniser: Tokeniser,
    lr: Tensor,
    hr: Tensor,
    config: LossConfig | None = None,
    *,
    label: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> TrainingLoss:
    """The loss of one batch: `lr` [B, 3, h, w] and `hr` [B, 3, 4h, 4w], both RGB in [0, 1].

    `model` is an `AlignVar`, possibly wrapped for several processes. `tokeniser` should be frozen and in evaluation
    mode; it learns nothing here. `generator` draws the token noise; torch's own by default.
    """
    config = config or LossConfig()
    hr = 2 * hr - 1
    with torch.no_grad():
        z = tokeniser.encode(hr, lr)
        quantised = tokeniser.quantise(z, token_noise=config.token_noise, generator=generator)
        inputs = tokeniser.inputs(quantised.fhats)
    logits = model(lr, inputs, label)
    ce, by_scale = cross_entropy(logits, quantised.indices, config.ce_weight)
    if not config.hcc.weight:
        return TrainingLoss(ce, ce, torch.zeros_like(ce), by_scale)
    hcc = consistency_loss(logits, tokeniser, z, quantised, hr, config.hcc, lr=lr)
    return TrainingLoss(ce + config.hcc.weight * hcc, ce, hcc, by_scale)


def cross_entropy(logits: Tensor, indices: list[Tensor], weight: str = "scale") -> tuple[Tensor, Tensor]:
    """Nats: `logits` [B, L, V] against codes per scale; a scalar with gradient, and float32 [K] without.

    `token` counts every code alike, so that the finest scales rule; `scale` counts every scale alike.
    """
    targets = torch.cat(indices, dim=1)
    per_token = F.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
    per_scale = torch.stack([part.mean() for part in torch.split(per_token, [i.shape[1] for i in indices], dim=1)])
    return (per_token.mean() if weight == "token" else per_scale.mean()), per_scale.detach()
