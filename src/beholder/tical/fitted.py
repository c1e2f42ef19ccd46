"""What training takes and what it leaves behind, apart from training itself, whose Trainer takes seconds to import."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from beholder.tical.network import Network
from beholder.tical.state import Array, Reference


@dataclass(frozen=True)
class Material:
    """What is learned from: features, soft labels (n, K), the caller's unimodal labels if any."""

    x: dict[str, Array]
    y: Array
    unimodal_y: dict[str, Array] | None = None
    number: Array | None = None
    """(n,) the label of regression; `y` then says in which class it lies."""

    def take(self, rows: NDArray[np.int64]) -> Material:
        """Some rows."""
        given = None if self.unimodal_y is None else {m: y[rows] for m, y in self.unimodal_y.items()}
        number = None if self.number is None else self.number[rows]
        return Material({m: x[rows] for m, x in self.x.items()}, self.y[rows], given, number)

    @property
    def target(self) -> Tensor:
        """What the fused head learns: (n, K), or (n, 1) where the label is a number."""
        return torch.from_numpy(self.y if self.number is None else self.number[:, None]).float()


@dataclass(frozen=True)
class Epoch:
    """One epoch after the warm-up. Training consistency far below that of validation says: overfitted anchors."""

    epoch: int
    """From 1."""
    loss: float | None
    """The fused loss on validation; None in a curriculum whose last stage is still to come."""
    train_consistency: float | None
    """Mean C of the samples learned from, none of them its own anchor; None where no two modalities meet."""
    valid_consistency: float | None
    """Mean C of those that choose the epoch."""


@dataclass(frozen=True)
class Fit:
    """A trained network with what its consistency is read from."""

    network: Network
    reference: Reference
    fallback: dict[str, list[int]]
    """Per modality the classes (columns) whose anchors are not the sure ones they should be."""
    epoch: int
    """The epoch that validation chose, from 1."""
    losses: dict[str, float]
    """Each part of the loss, its mean over the last epoch; nothing in a model that was loaded."""
    history: tuple[Epoch, ...] = ()
    """Every epoch after the warm-up."""

    @property
    def chosen(self) -> Epoch | None:
        """The epoch that validation chose; None in a folder of an earlier version."""
        return next((one for one in self.history if one.epoch == self.epoch), None)
