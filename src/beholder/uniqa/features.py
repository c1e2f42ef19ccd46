"""Features of whole pictures: the fixed grid of views, encoded once, padded to one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from beholder.errors import UserError
from beholder.task import Task
from beholder.uniqa.crops import Pictures, Pixels
from beholder.uniqa.model import Uniqa
from beholder.uniqa.views import grid_of_array


@dataclass(frozen=True)
class Grid:
    """Encoded views of n pictures; those with fewer than K views are padded."""

    values: Tensor
    """(n, K, width) float32, not normalised; 0 on padding."""
    real: Tensor
    """(n, K) bool, False on padding; on the whole row where the picture can't be read."""
    problems: Mapping[int, str] = field(default_factory=dict)
    """Row to what is wrong with its picture."""

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.int64]) -> Grid:
        """Some of the pictures, in the order of `rows`."""
        index = torch.from_numpy(np.asarray(rows, np.int64))
        problems = {new: self.problems[int(row)] for new, row in enumerate(rows) if int(row) in self.problems}
        return Grid(self.values[index], self.real[index], problems)


def views_of(rgb: Pixels, side: int) -> Tensor:
    """The views that score a picture: uint8 (K, side, side, 3)."""
    return torch.from_numpy(grid_of_array(rgb, side))


def encode_rgb(model: Uniqa, rgb: Tensor) -> Tensor:
    """Features (B, width) of uint8 views (B, S, S, 3), where the model is."""
    pixels = rgb.to(model.mean.device).permute(0, 3, 1, 2).float() / 255
    return model.encode_image(model.normalise(pixels))


@torch.inference_mode()
def encode_grid(model: Uniqa, pictures: Pictures, batch: int = 64) -> Grid:
    """Encode the grid of every picture, `batch` views at a time, in float32; the result is on the CPU.

    A picture that can't be read is a row without views, with its reason in `problems`. Raises UserError where none can.
    """
    was_training = model.training
    model.eval()
    counts: list[int] = []
    problems: dict[int, str] = {}
    batches = _batches(pictures, model.config.side, batch, counts, problems)
    found = [encode_rgb(model, views).float().cpu() for views in batches]
    model.train(was_training)
    if not found:
        raise UserError(f"none of {len(pictures)} pictures can be read; the first: {problems.get(0, 'there is none')}")
    flat = torch.cat(found)
    real = torch.arange(max(counts))[None, :] < torch.tensor(counts)[:, None]
    values = torch.zeros(*real.shape, flat.shape[-1])
    values[real] = flat
    return Grid(values, real, problems)


def mean_of_real(view_BK: Tensor, real_BK: Tensor) -> Tensor:
    """(B,) mean over the real views of each picture; NaN where it has none."""
    return view_BK.where(real_BK, 0.0).sum(dim=1) / real_BK.sum(dim=1)


@torch.inference_mode()
def score_grid(model: Uniqa, task: Task, grid: Grid, batch: int = 1024) -> NDArray[np.float64]:
    """(n,) raw scores: the mean over the real views of each picture; NaN where it has none."""
    found = []
    for start in range(0, len(grid), batch):
        values, real = grid.values[start : start + batch], grid.real[start : start + batch]
        view = torch.zeros(real.shape)
        view[real] = model.score_of(values[real].to(model.mean.device), task).cpu()
        found.append(mean_of_real(view, real))
    return torch.cat(found).double().numpy()


def _batches(
    pictures: Pictures, side: int, batch: int, counts: list[int], problems: dict[int, str]
) -> Iterator[Tensor]:
    waiting: list[Tensor] = []
    n = 0
    for row in range(len(pictures)):
        try:
            views = views_of(pictures[row], side)
        except UserError as error:
            problems[row] = str(error)
            counts.append(0)
            continue
        counts.append(len(views))
        waiting.append(views)
        n += len(views)
        while n >= batch:
            ready = torch.cat(waiting)
            yield ready[:batch]
            waiting, n = [ready[batch:]], n - batch
    if n:
        yield torch.cat(waiting)
