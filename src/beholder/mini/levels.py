"""Scores as distributions over five levels, and the losses that learn them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from beholder.task import LEVELS

LEVEL_VALUES = torch.linspace(0.0, 1.0, len(LEVELS))
"""Unit score of each level; the score of a picture is their mean under its level probabilities."""


def level_targets(unit_B: Tensor) -> Tensor:
    """Unit scores as level distributions (B, 5): shared by the two nearest levels, so that their mean is exact."""
    step = 1.0 / (len(LEVELS) - 1)
    return (1.0 - (unit_B[:, None] - LEVEL_VALUES[None]).abs() / step).clamp(min=0.0)


def expected(logits_BL: Tensor) -> Tensor:
    """Mean level value under the softmax of the logits, (B,) in [0, 1]."""
    unit: Tensor = logits_BL.float().softmax(dim=-1) @ LEVEL_VALUES
    return unit


def level_loss(logits_BL: Tensor, unit_B: Tensor) -> Tensor:
    """Cross-entropy to the level targets (UniQA's reading of a score)."""
    return F.cross_entropy(logits_BL, level_targets(unit_B))


def correlation_loss(logits_BL: Tensor, unit_B: Tensor) -> Tensor:
    """One minus the correlation of expected and true scores: what SRCC asks for and cross-entropy does not.

    At answers that hardly differ it says little, so that a fit may start from the same answer for every picture.
    """
    pred = expected(logits_BL)
    pred, true = pred - pred.mean(), unit_B - unit_B.mean()
    correlation: Tensor = (pred * true).sum() / (pred.norm() * true.norm() + 0.1)
    return 1.0 - correlation


def order_loss(logits_P2L: Tensor, margin_P: Tensor) -> Tensor:
    """How far the first of each pair falls short of leading the second by its margin, on average."""
    pred = expected(logits_P2L.flatten(0, 1)).view(-1, 2)
    return F.relu(margin_P - (pred[:, 0] - pred[:, 1])).mean()
