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


class Head(nn.Module):
    """(B, F) raw features -> (B, 5) level probabilities: the mean over `members` two-layer networks.

    Features are standardised with the training set's mean and deviation and held within four deviations, so that a
    picture unlike any training picture can't throw the score off the scale. The members share no weight; they are one
    batched matrix product, so the ensemble costs one layer.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, config: HeadConfig) -> None:
        super().__init__()
        members, hidden = config.members, config.hidden
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.dropout = nn.Dropout(config.dropout)
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.first = nn.Parameter(torch.randn(members, width, hidden) / width**0.5)
        self.first_bias = nn.Parameter(torch.zeros(members, 1, hidden))
        self.last = nn.Parameter(torch.randn(members, hidden, len(LEVELS)) / hidden**0.5 * 0.5)
        self.last_bias = nn.Parameter(torch.zeros(members, 1, len(LEVELS)))

    def standardise_on(self, features: Tensor) -> None:
        """Take mean and deviation of each feature from (n, F) training features."""
        self.mean.copy_(features.mean(dim=0))
        self.deviation.copy_(features.std(dim=0).clamp(min=1e-4))

    def logits(self, features_BF: Tensor) -> Tensor:
        """Level logits of every member, (M, B, 5)."""
        x = ((features_BF - self.mean) / self.deviation).clamp(-4.0, 4.0)
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


def fit_head(
    lessons: Lessons, config: HeadConfig, seed: int, watch: Callable[[int, Head], None] | None = None
) -> Head:
    """Train every member at once with AdamW and a cosine schedule on full-precision features.

    `watch(epoch, head)` is called after each epoch, e.g. to read a validation score; it decides nothing here.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    features, unit = torch.from_numpy(lessons.features), torch.from_numpy(lessons.unit)
    head = Head(features.shape[1], config)
    head.standardise_on(features)
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
            loss.backward()
            optimizer.step()
            schedule.step()
        head.eval()
        if watch is not None:
            watch(epoch, head)
    return head
