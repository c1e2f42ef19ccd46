"""Training pictures of beholder-mini: rated crops, and natural crops damaged twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from beholder.data.columns import Split
from beholder.data.distortions import FAMILIES, distort
from beholder.data.manifest import Manifest
from beholder.imaging.find import find_images
from beholder.imaging.fit import Fit
from beholder.imaging.open import open_image
from beholder.mini.config import StageConfig
from beholder.task import LEVELS, Task

Pixels = NDArray[np.uint8]
FAMILY_NAMES = ("clean", *FAMILIES)


@dataclass(frozen=True)
class Rated:
    """Decoded pictures with unit scores, higher is better."""

    task: Task
    paths: tuple[str, ...]
    pixels: tuple[Pixels, ...]
    unit: NDArray[np.float32]
    """(n,) in [0, 1]."""
    groups: tuple[str, ...]
    """What must stay on one side of every fold, e.g. the scene."""
    offset: NDArray[np.float32]
    """(n, 5) level logits that the statistics head gives already; the trunk learns what is missing. Zeros at first."""

    def __len__(self) -> int:
        return len(self.paths)


def load_rated(manifest: Manifest, splits: Sequence[Split]) -> Rated:
    """Decode the pictures of some splits into memory, exactly as scoring would see them."""
    parts = [manifest.select(split) for split in splits]
    paths = [str(path) for part in parts for path in part.paths()]
    pixels = tuple(open_image(path, fit=Fit()).rgb for path in paths)
    unit = np.concatenate([part.unit_scores() for part in parts]).astype(np.float32)
    groups = tuple(group for part in parts for group in part.groups())
    offset = np.zeros((len(paths), len(LEVELS)), np.float32)
    return Rated(manifest.task, tuple(paths), pixels, unit, groups, offset)


def load_natural(folders: Sequence[Path]) -> tuple[Pixels, ...]:
    """Decode every picture of some folders; the small ones, under 128 px, are left out."""
    found = [open_image(path, fit=Fit()).rgb for path in find_images([str(folder) for folder in folders])]
    return tuple(rgb for rgb in found if min(rgb.shape[:2]) >= 128)


def crop(rgb: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """A random `side` x `side` window, mirrored half of the time; a smaller picture is reflected at its border."""
    height, width, _ = rgb.shape
    if height < side or width < side:
        rgb = np.pad(rgb, ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0)), mode="reflect")
        height, width, _ = rgb.shape
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    window = rgb[top : top + side, left : left + side]
    return np.ascontiguousarray(window[:, ::-1] if rng.random() < 0.5 else window)


class Bundles(Dataset[dict[str, Tensor]]):
    """Item i is a bundle drawn with seed (seed, i): the same i gives the same pictures on any machine and worker."""

    def __init__(
        self,
        stage: StageConfig,
        quality: Rated,
        aesthetics: Rated,
        natural: Sequence[Pixels],
        priors: dict[str, tuple[float, ...]],
        seed: int,
    ) -> None:
        self.stage, self.quality, self.aesthetics = stage, quality, aesthetics
        self.natural, self.priors, self.seed = natural, priors, seed

    def __len__(self) -> int:
        return self.stage.steps * self.stage.batch

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, index))
        item: dict[str, Tensor] = {}
        for rated, key, count in (
            (self.quality, "quality", self.stage.quality),
            (self.aesthetics, "aesthetics", self.stage.aesthetics),
        ):
            if count:
                picks = rng.integers(len(rated), size=count)
                crops = [crop(rated.pixels[pick], self.stage.crop, rng) for pick in picks]
                item[f"{key}_rgb"] = torch.from_numpy(np.stack(crops))
                item[key] = torch.from_numpy(rated.unit[picks])
                item[f"{key}_offset"] = torch.from_numpy(rated.offset[picks])
        pairs = [self._pair(rng) for _ in range(self.stage.synthetic_pairs)]
        if pairs:
            item["pair_rgb"] = torch.from_numpy(np.stack([pair[0] for pair in pairs]))
            item["pair_family"] = torch.tensor([pair[1] for pair in pairs])
            item["pair_prior"] = torch.tensor([pair[2] for pair in pairs], dtype=torch.float32)
        return item

    def _pair(self, rng: np.random.Generator) -> tuple[Pixels, tuple[int, int], tuple[float, float]]:
        """One crop under one family at a lower and a higher level: pixels (2, S, S, 3), family and prior of each."""
        window = crop(self.natural[int(rng.integers(len(self.natural)))], self.stage.crop, rng)
        family = FAMILY_NAMES[rng.integers(1, len(FAMILY_NAMES))]
        low = 0.0 if rng.random() < 0.3 else rng.uniform(0.2, 4.4)
        levels = (low, rng.uniform(low + 0.6, 5.0))
        seed = int(rng.integers(2**31))
        both = np.stack([distort(window, family, level, seed) for level in levels])
        index = FAMILY_NAMES.index(family)
        prior = [float(np.interp(level, range(6), self.priors[family])) for level in levels]
        return both, (0 if low == 0 else index, index), (prior[0], prior[1])


def collate(bundles: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Bundles side by side: every tensor is concatenated along its first dimension."""
    return {key: torch.cat([bundle[key] for bundle in bundles]) for key in bundles[0]}


class Whole(Dataset[dict[str, Tensor]]):
    """Rated pictures as they are scored: whole, uncropped, one per batch."""

    def __init__(self, rated: Rated) -> None:
        self.rated = rated

    def __len__(self) -> int:
        return len(self.rated)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        task = self.rated.task
        rgb = torch.from_numpy(self.rated.pixels[index])[None]
        unit, offset = self.rated.unit[index : index + 1], self.rated.offset[index : index + 1]
        return {f"{task}_rgb": rgb, task: torch.from_numpy(unit), f"{task}_offset": torch.from_numpy(offset)}
