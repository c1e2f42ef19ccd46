"""The heads of beholder-mini: a small ensemble per task that reads features of a whole picture as five levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

_LOWEST = -2.5
_NORMAL = torch.tensor([_LOWEST, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
"""Normal scores of the knots of a feature's map."""


class Normaliser(nn.Module):
    """(B, F) -> (B, F): a piecewise linear map per feature that makes its training pictures normally distributed.

    Several statistics have tails that would drown the rest in any weighted sum; and a picture unlike any training
    picture ends at the ends of the maps, so it can't throw a score off the scale.
    """

    low: Tensor
    run: Tensor
    rise: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        for name in ("low", "run", "rise"):
            self.register_buffer(name, torch.ones(len(_NORMAL) - 1, width))

    @classmethod
    def of(cls, features: Tensor) -> Normaliser:
        """The map for (n, F) features."""
        made = cls(features.shape[1])
        knots = torch.quantile(features, torch.special.ndtr(_NORMAL), dim=0)
        made.low.copy_(knots[:-1])
        made.run.copy_(knots.diff(dim=0).clamp(min=1e-6))  # a feature that stands still becomes a step
        made.rise.copy_(_NORMAL.diff()[:, None] / made.run)
        return made

    def forward(self, features_BF: Tensor) -> Tensor:
        """Normal scores within the ends of `_NORMAL`."""
        climbed = torch.minimum((features_BF[:, None] - self.low).clamp(min=0.0), self.run)
        return _LOWEST + (climbed * self.rise).sum(dim=1)


class Head(nn.Module):
    """(B, F) normalised features -> level logits of `members` two-layer networks.

    The members share no weight; they are one batched matrix product, so an ensemble costs one layer.
    """

    def __init__(self, width: int, members: int, hidden: int, dropout: float = 0.0, input_dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout, self.input_dropout = nn.Dropout(dropout), nn.Dropout(input_dropout)
        self.first = nn.Parameter(torch.randn(members, width, hidden) / width**0.5)
        self.first_bias = nn.Parameter(torch.zeros(members, 1, hidden))
        self.last = nn.Parameter(torch.randn(members, hidden, len(LEVELS)) / hidden**0.5 * 0.5)
        self.last_bias = nn.Parameter(torch.zeros(members, 1, len(LEVELS)))

    @classmethod
    def merge(cls, heads: Sequence[Head]) -> Head:
        """One head with the members of all."""
        members, width, hidden = heads[0].first.shape
        merged = cls(width, members * len(heads), hidden)
        merged.load_state_dict(
            {name: torch.cat([h.state_dict()[name] for h in heads]) for name in heads[0].state_dict()}
        )
        return merged.eval()

    def members(self, features_BF: Tensor) -> Tensor:
        """Level logits of every member, (M, B, 5)."""
        x = self.input_dropout(features_BF.expand(self.first.shape[0], -1, -1) if self.training else features_BF)
        hidden = self.dropout(F.relu(x @ self.first.float() + self.first_bias))
        logits: Tensor = hidden @ self.last + self.last_bias
        return logits

    def forward(self, features_BF: Tensor) -> Tensor:
        """Level logits, averaged over the members, (B, 5)."""
        return self.members(features_BF).mean(dim=0)


@dataclass(frozen=True)
class Lessons:
    """What one head learns from, as normalised features."""

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
    head = Head(features.shape[1], config.members, config.hidden, config.dropout, config.input_dropout)
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
            logits = head.members(features[pick])
            loss = torch.stack([level_loss(member, unit[pick]) for member in logits]).sum()
            if lessons.pairs is not None and lessons.margin is not None:
                chosen = torch.randint(len(lessons.margin), (config.batch,), generator=generator)
                both = torch.from_numpy(lessons.pairs[chosen.numpy()]).flatten(0, 1)
                margin = torch.from_numpy(lessons.margin[chosen.numpy()])
                pred = expected(head.members(both)).view(config.members, -1, 2)
                loss = loss + config.pair_weight * F.relu(margin - (pred[..., 0] - pred[..., 1])).mean(dim=1).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        head.eval()
        if watch is not None:
            watch(epoch, head)
    return head
