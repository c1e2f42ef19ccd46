"""The heads of beholder-mini: a small ensemble per task that reads features of a whole picture as five levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from beholder.mini.config import HeadConfig
from beholder.mini.model import expected, level_loss
from beholder.task import LEVELS

Features = NDArray[np.float32]

_NORMAL = torch.tensor([-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
"""Normal scores of the knots of a feature's map."""


class Head(nn.Module):
    """(B, F) raw features -> (B, 5) level probabilities: the mean over `members` two-layer networks.

    Each feature first goes through a piecewise linear map that gives the training set a normal distribution: several
    statistics have tails that would drown the rest, and a picture unlike any training picture can't throw the score off
    the scale. The members share no weight; they are one batched matrix product, so the ensemble costs one layer.
    """

    knots: Tensor
    rise: Tensor

    def __init__(self, width: int, config: HeadConfig) -> None:
        super().__init__()
        members, hidden = config.members, config.hidden
        self.register_buffer("knots", torch.zeros(len(_NORMAL), width))
        self.register_buffer("rise", torch.ones(len(_NORMAL) - 1, width))
        self.dropout = nn.Dropout(config.dropout)
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.first = nn.Parameter(torch.randn(members, width, hidden) / width**0.5)
        self.first_bias = nn.Parameter(torch.zeros(members, 1, hidden))
        self.last = nn.Parameter(torch.randn(members, hidden, len(LEVELS)) / hidden**0.5 * 0.5)
        self.last_bias = nn.Parameter(torch.zeros(members, 1, len(LEVELS)))

    def normalise_on(self, features: Tensor) -> None:
        """Take the knots of each feature's map from (n, F) training features."""
        self.knots.copy_(torch.quantile(features, torch.special.ndtr(_NORMAL), dim=0))
        run = (self.knots[1:] - self.knots[:-1]).clamp(min=1e-6)  # a feature that stands still becomes a step
        self.rise.copy_(_NORMAL.diff()[:, None] / run)

    def normalise(self, features_BF: Tensor) -> Tensor:
        """(B, F) -> (B, F) within `_NORMAL`'s ends, normally distributed on the training set."""
        x = torch.full_like(features_BF, float(_NORMAL[0]))
        for low, high, rise in zip(self.knots[:-1], self.knots[1:], self.rise, strict=True):
            x = x + (torch.minimum(features_BF, torch.maximum(high, low + 1e-6)) - low).clamp(min=0.0) * rise
        return x

    def logits(self, features_BF: Tensor) -> Tensor:
        """Level logits of every member, (M, B, 5)."""
        x = self.normalise(features_BF)
        x = self.input_dropout(x.expand(self.first.shape[0], -1, -1) if self.training else x)
        hidden = self.dropout(F.relu(x @ self.first + self.first_bias))
        return hidden @ self.last + self.last_bias

    def forward(self, features_BF: Tensor) -> Tensor:
        """Level probabilities, averaged over the members."""
        return self.logits(features_BF).softmax(dim=-1).mean(dim=0)


@dataclass(frozen=True)
class Lessons:
    """What one head learns from, as features."""

    features: Features
    """(n, F) of rated pictures."""
    unit: NDArray[np.float32]
    """(n,) their scores in [0, 1]."""
    pairs: Features | None = None
    """(p, 2, F): a picture less and more damaged; the head must prefer the first."""
    margin: NDArray[np.float32] | None = None
    """(p,) by how much people prefer the first, in unit score."""


def fit_head(lessons: Lessons, config: HeadConfig, seed: int, watch: Callable[[int, Head], None] | None = None) -> Head:
    """Train every member at once with AdamW and a cosine schedule on full-precision features.

    `watch(epoch, head)` is called after each epoch, e.g. to read a validation score; it decides nothing here.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    features, unit = torch.from_numpy(lessons.features), torch.from_numpy(lessons.unit)
    head = Head(features.shape[1], config)
    seen = [features] if lessons.pairs is None else [features, torch.from_numpy(lessons.pairs[::2, 1])]
    head.normalise_on(torch.cat(seen))  # damaged pictures too, or all of them would end up at the ends of the maps
    decay = [p for p in head.parameters() if p.shape[1] > 1]
    plain = [p for p in head.parameters() if p.shape[1] == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=config.learning_rate,
    )
    steps_per_epoch = max(1, len(unit) // config.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs * steps_per_epoch)
    for epoch in range(config.epochs):
        head.train()
        order = torch.randperm(len(unit), generator=generator)
        for step in range(steps_per_epoch):
            pick = order[step * config.batch : (step + 1) * config.batch]
            logits = head.logits(features[pick])
            loss = torch.stack([level_loss(member, unit[pick]) for member in logits]).sum()
            if lessons.pairs is not None and lessons.margin is not None:
                chosen = torch.randint(len(lessons.margin), (config.batch,), generator=generator)
                both = torch.from_numpy(lessons.pairs[chosen.numpy()]).flatten(0, 1)
                margin = torch.from_numpy(lessons.margin[chosen.numpy()])
                pred = expected(head.logits(both)).view(config.members, -1, 2)
                loss = loss + config.pair_weight * F.relu(margin - (pred[..., 0] - pred[..., 1])).mean(dim=1).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        head.eval()
        if watch is not None:
            watch(epoch, head)
    return head
