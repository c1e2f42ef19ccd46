"""Training wrapper of the trunk: probes that make it learn, and the losses behind them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beholder.mini.data import FAMILY_NAMES
from beholder.mini.network import Trunk, TrunkConfig
from beholder.task import LEVELS, TASKS, Task

LEVEL_VALUES = torch.linspace(0.0, 1.0, len(LEVELS))
"""Unit score of each level; the score of a picture is their mean under its level probabilities."""


def level_targets(unit_B: Tensor) -> Tensor:
    """Unit scores as level distributions (B, 5): shared by the two nearest levels, so that their mean is exact."""
    step = 1.0 / (len(LEVELS) - 1)
    return (1.0 - (unit_B[:, None] - LEVEL_VALUES[None]).abs() / step).clamp(min=0.0)


def level_loss(logits_BL: Tensor, unit_B: Tensor) -> Tensor:
    """Cross-entropy to the level targets, plus one minus the correlation of expected and true scores in the batch.

    Correlation is what SRCC asks for and squared error is not; a batch under four says nothing about it.
    """
    loss = F.cross_entropy(logits_BL, level_targets(unit_B))
    if unit_B.numel() < 4:
        return loss
    pred = expected(logits_BL)
    pred, true = pred - pred.mean(), unit_B - unit_B.mean()
    correlation: Tensor = (pred * true).sum() / (pred.norm() * true.norm() + 1e-4)
    return loss + 1.0 - correlation


def expected(logits_BL: Tensor) -> Tensor:
    """Mean level value under the softmax of the logits, (B,) in [0, 1]."""
    unit: Tensor = logits_BL.float().softmax(dim=-1) @ LEVEL_VALUES
    return unit


class Probes(nn.Module):
    """The trunk with one linear probe per lesson.

    - `quality`, `aesthetics`: five-level distributions of rated pictures;
    - `family`: which damage a crop has, or none;
    - `prior`: what people think of that damage at that level, in [0, 1].

    Of two damaged copies of one crop the quality probe must prefer the one people prefer, by a margin in proportion.
    """

    def __init__(self, config: TrunkConfig, dropout: float = 0.2) -> None:
        super().__init__()
        self.order_weight = 4.0
        self.trunk = Trunk(config)
        self.norm = nn.BatchNorm1d(self.trunk.width)
        self.dropout = nn.Dropout(dropout)
        self.levels = nn.ModuleDict({task: nn.Linear(self.trunk.width, len(LEVELS)) for task in TASKS})
        self.family = nn.Linear(self.trunk.width, len(FAMILY_NAMES))
        self.prior = nn.Linear(self.trunk.width, 1)

    def start_residual(self) -> None:
        """Silence the rated probes: from here on they add to an offset, and at first they add nothing."""
        for probe in self.levels.values():
            assert isinstance(probe, nn.Linear)
            nn.init.zeros_(probe.weight)
            nn.init.zeros_(probe.bias)

    def features(self, rgb_BHW3: Tensor) -> Tensor:
        """uint8 pictures -> (B, `trunk.width`) float32."""
        x = rgb_BHW3.permute(0, 3, 1, 2).float() / 255.0  # already channels-last in memory
        pooled: Tensor = self.norm(self.trunk(x).float())
        return pooled

    def forward(
        self,
        quality_rgb: Tensor | None = None,
        quality: Tensor | None = None,
        quality_offset: Tensor | None = None,
        aesthetics_rgb: Tensor | None = None,
        aesthetics: Tensor | None = None,
        aesthetics_offset: Tensor | None = None,
        pair_rgb: Tensor | None = None,
        pair_family: Tensor | None = None,
        pair_prior: Tensor | None = None,
    ) -> dict[str, Any]:
        """One forward pass over all crops of a batch. `*_rgb` are (n, S, S, 3), pairs (p, 2, S, S, 3), all uint8.

        `*_offset` (n, 5) are added to the level logits: what another model says already, see `mini.lessons`.

        Returns `loss` and, per task present, `<task>_pred` in [0, 1].
        """
        rated: dict[Task, tuple[Tensor, Tensor, Tensor]] = {}
        if quality_rgb is not None and quality is not None and quality_offset is not None:
            rated["quality"] = (quality_rgb, quality, quality_offset)
        if aesthetics_rgb is not None and aesthetics is not None and aesthetics_offset is not None:
            rated["aesthetics"] = (aesthetics_rgb, aesthetics, aesthetics_offset)
        chunks = [rgb for rgb, _, _ in rated.values()] + ([pair_rgb.flatten(0, 1)] if pair_rgb is not None else [])
        features = self.dropout(self.features(torch.cat(chunks)))
        parts = list(features.split([chunk.shape[0] for chunk in chunks]))

        loss = features.new_zeros(())
        out: dict[str, Any] = {}
        for (task, (_, unit, offset)), part in zip(rated.items(), parts, strict=False):
            logits = self.levels[task](part) + offset
            loss = loss + level_loss(logits, unit)
            out[f"{task}_pred"] = expected(logits).detach()
        if pair_rgb is not None and pair_family is not None and pair_prior is not None:
            part = parts[-1]
            loss = loss + 0.5 * F.cross_entropy(self.family(part), pair_family.flatten())
            prior = self.prior(part).squeeze(1).sigmoid()
            loss = loss + 4.0 * F.mse_loss(prior, pair_prior.flatten())
            quality_pred = expected(self.levels["quality"](part)).view(-1, 2)
            margin = 0.5 * (pair_prior[:, 0] - pair_prior[:, 1]) + 0.01
            loss = loss + self.order_weight * F.relu(margin - (quality_pred[:, 0] - quality_pred[:, 1])).mean()
        return {"loss": loss, **out}
