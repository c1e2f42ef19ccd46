"""The heads of beholder-mini: kernel machines that read blocks of features as five levels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from beholder.mini.config import Block, HeadConfig
from beholder.mini.features import Rows
from beholder.mini.levels import correlation_loss, level_loss, level_targets, order_loss
from beholder.task import LEVELS

_LOWEST = -2.5
_NORMAL = torch.tensor([_LOWEST, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
"""Normal scores of the knots of a feature's map."""
_AT_ONCE = 1024
"""Damaged pictures whose likenesses are computed together: a bound on memory."""
_SMALLEST = 1e-5
"""Share of the largest eigenvalue under which a direction of the landmarks is left out."""


class Normaliser(nn.Module):
    """(B, F) -> (B, F): a piecewise linear map per feature that makes its training pictures normally distributed.

    Several statistics have tails that would rule every distance; and a picture unlike any training picture ends at
    the ends of the maps, so it can't throw a score off the scale.
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


class Kernel(nn.Module):
    """(B, F) features -> (B, m): how like each of m landmark pictures a picture is.

    A sum over blocks of weight * exp(-width * mean squared difference of the block's normalised features). With a
    kernel of its own, a block of two hundred features is heard beside one of a thousand.
    """

    def __init__(self, landmarks: Tensor, places: dict[Block, slice], config: HeadConfig) -> None:
        super().__init__()
        self.places = places
        self.scales = {
            block: (2 * config.kernels[block].width / (place.stop - place.start)) ** 0.5
            for block, place in places.items()
        }
        self.weights = {block: config.kernels[block].weight for block in places}
        self.normaliser = Normaliser.of(landmarks)
        known = self.normaliser(landmarks)
        for block, place in places.items():
            # Half precision from the start: what is fitted here is what is stored.
            self.register_buffer(block, (known[:, place] * self.scales[block]).half())

    def forward(self, features_BF: Tensor) -> Tensor:
        """Likeness to each landmark, above 0, at most the sum of the weights."""
        normal = self.normaliser(features_BF)
        likeness = []
        for block, place in self.places.items():
            known, seen = self.get_buffer(block).float(), normal[:, place] * self.scales[block]
            sizes = seen.square().sum(dim=1, keepdim=True) + known.square().sum(dim=1)
            likeness.append(self.weights[block] * torch.exp(seen @ known.T - 0.5 * sizes))
        return torch.stack(likeness).sum(dim=0)


class Head(nn.Module):
    """(B, F) features -> (B, 5) level logits: a weighted sum of likenesses, plus a constant."""

    def __init__(self, kernel: Kernel, weights: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.kernel = kernel
        self.register_buffer("weights", weights)
        self.register_buffer("bias", bias)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Level logits."""
        logits: Tensor = self.kernel(features_BF) @ self.get_buffer("weights") + self.get_buffer("bias")
        return logits


@dataclass(frozen=True)
class Pairs:
    """Features of pictures at two levels of one damage."""

    features: NDArray[np.float32]
    """(p, 2, F), the less damaged one first."""
    margin: NDArray[np.float32]
    """(p,) by how much the first must lead, in unit score."""
    groups: tuple[str | None, ...]
    """Of the picture of each pair, as of rated pictures; None where it has no rating."""

    def without(self, groups: Collection[str]) -> Pairs:
        """The pairs whose pictures are in none of some groups."""
        kept = [i for i, group in enumerate(self.groups) if group not in groups]
        return Pairs(self.features[kept], self.margin[kept], tuple(self.groups[i] for i in kept))


def fit_head(
    features: Rows, unit: NDArray[np.float32], places: dict[Block, slice], pairs: Pairs | None, config: HeadConfig
) -> Head:
    """Fit one head to (n, F) features of pictures with (n,) scores in [0, 1], and to the order of damaged pairs.

    The function is sought in the span of the landmarks, in coordinates in which its norm is the Euclidean one: a
    smooth problem of a few thousand numbers, for which L-BFGS needs no step size and no seed.
    """
    rated, true = torch.from_numpy(features), torch.from_numpy(unit)
    landmarks, damaged = rated, None
    if pairs is not None and config.pair_weight > 0:
        damaged = torch.from_numpy(pairs.features.reshape(-1, features.shape[1]))
        landmarks = torch.cat([rated, damaged[1::2][: config.pair_landmarks]])
    kernel = Kernel(landmarks, places, config)
    with torch.no_grad():
        spread, axes = torch.linalg.eigh(kernel(landmarks).double())
        kept = spread > _SMALLEST * spread[-1]
        coordinates = (axes[:, kept] / spread[kept].sqrt()).float()
        seen = kernel(rated) @ coordinates
        worn = None
        if damaged is not None:
            worn = torch.cat([kernel(part) @ coordinates for part in torch.split(damaged, _AT_ONCE)])
    weights = torch.zeros(seen.shape[1], len(LEVELS), requires_grad=True)
    bias = (level_targets(true).mean(dim=0) + 1e-3).log().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weights, bias], max_iter=config.steps, history_size=20, line_search_fn="strong_wolfe"
    )
    margin = torch.from_numpy(pairs.margin) if pairs is not None else torch.zeros(0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = seen @ weights + bias
        loss = level_loss(logits, true) + config.ridge * weights.square().sum()
        if config.correlation_weight > 0:
            loss = loss + config.correlation_weight * correlation_loss(logits, true)
        if worn is not None:
            loss = loss + config.pair_weight * order_loss((worn @ weights + bias).view(-1, 2, len(LEVELS)), margin)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return Head(kernel, (coordinates @ weights).detach(), bias.detach()).eval()
