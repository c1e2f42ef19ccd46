"""Rated pictures, to learn from or to be scored, and the views of them: random crops, or the grid as it is scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from beholder.data.manifest import Manifest
from beholder.uniqa.config import ViewConfig
from beholder.uniqa.crops import Pictures, random_crop
from beholder.uniqa.features import Grid, encode_grid, score_grid, views_of
from beholder.uniqa.holdout import Rows, take
from beholder.uniqa.model import Uniqa

ViewsOf = Callable[[int, np.random.Generator], Tensor]
"""(row, random numbers) -> views of one picture: features (K, width), or pixels uint8 (K, S, S, 3)."""


@dataclass(frozen=True)
class Material:
    """Rated pictures, to learn from or to be scored."""

    manifest: Manifest
    crops: Pictures
    """What random crops are cut from."""
    whole: Pictures
    """What the scoring grid is cut from."""
    grid: Grid | None = None
    """The encoded scoring grid, where that is known already."""

    @classmethod
    def of(cls, manifest: Manifest, view: ViewConfig, *, keep: bool = False) -> Material:
        """The pictures of a manifest. Nothing is opened yet; `keep` keeps them in memory once they were."""
        crops = Pictures(manifest.paths(), short=view.crop_short, keep=keep)
        same = view.crop_short == view.grid_short
        return cls(manifest, crops, crops if same else Pictures(manifest.paths(), short=view.grid_short, keep=keep))

    def __len__(self) -> int:
        return len(self.manifest)

    def take(self, rows: Rows) -> Material:
        """Some rows, in the order given."""
        grid = None if self.grid is None else self.grid.take(rows)
        return Material(take(self.manifest, rows), self.crops.take(rows), self.whole.take(rows), grid)

    def encoded(self, model: Uniqa) -> Material:
        """With the grid encoded by `model`."""
        return replace(self, grid=encode_grid(model, self.whole))

    def scored_views(self, side: int) -> ViewsOf:
        """The views of a row that score it: features where they are known, else pixels."""
        if self.grid is not None:
            return partial(_grid_features, grid=self.grid)
        return partial(_grid_pixels, pictures=self.whole, side=side)

    def random_views(self, side: int) -> ViewsOf:
        """One random crop of a row, mirrored half of the time: pixels."""
        return partial(_random_crop, pictures=self.crops, side=side)


def predict(model: Uniqa, material: Material) -> NDArray[np.float64]:
    """(n,) raw scores of pictures by the model's head for their task, the mean over the views of each grid."""
    grid = encode_grid(model, material.whole) if material.grid is None else material.grid
    return score_grid(model, material.manifest.task, grid)


def _random_crop(row: int, rng: np.random.Generator, *, pictures: Pictures, side: int) -> Tensor:
    """One random crop, mirrored half of the time: uint8 (1, side, side, 3)."""
    return torch.from_numpy(random_crop(pictures[row], side, rng, mirror=True))[None]


def _grid_pixels(row: int, rng: np.random.Generator, *, pictures: Pictures, side: int) -> Tensor:
    """The grid as it is scored: uint8 (K, side, side, 3)."""
    return views_of(pictures[row], side)


def _grid_features(row: int, rng: np.random.Generator, *, grid: Grid) -> Tensor:
    """The encoded grid: (K, width)."""
    return grid.values[row][grid.real[row]]
