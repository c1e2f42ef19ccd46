"""The order in which labels are learned: item i of a run is the same in any process, worker or resumed run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from beholder.uniqa.material import ViewsOf


class Lessons(Dataset[dict[str, Tensor]]):
    """Item i of a run: some views of a picture and its score, drawn with seed (seed, i) alone.

    Each epoch is a permutation, so any process, worker or resumed run draws the same item i. Without a seed the
    pictures come once, in their order.
    """

    def __init__(self, views: ViewsOf, unit: NDArray[np.float64], *, epochs: int = 1, seed: int | None = None) -> None:
        """`views` of a row: features (K, width) or pixels uint8 (K, S, S, 3)."""
        self.views, self.unit, self.epochs, self.seed = views, torch.from_numpy(unit).float(), epochs, seed
        self._epoch, self._order = -1, np.arange(len(unit))

    def __len__(self) -> int:
        return self.epochs * len(self.unit)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        epoch, place = divmod(index, len(self.unit))
        if self.seed is not None and epoch != self._epoch:
            rng = np.random.default_rng((self.seed, 0, epoch))
            self._epoch, self._order = epoch, rng.permutation(len(self.unit))
        row = int(self._order[place])
        return {
            "views": self.views(row, np.random.default_rng((self.seed or 0, 1, index))),
            "target": self.unit[row],
        }


def collate(items: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Pictures with different numbers of views side by side, padded; `real` says which are views."""
    counts = torch.tensor([len(item["views"]) for item in items])
    real = torch.arange(int(counts.max()))[None, :] < counts[:, None]
    views = items[0]["views"].new_zeros(*real.shape, *items[0]["views"].shape[1:])
    views[real] = torch.cat([item["views"] for item in items])
    return {"views": views, "real": real, "target": torch.stack([item["target"] for item in items])}
