"""Training pictures of beholder-mini, decoded as scoring would see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beholder.data.columns import Split
from beholder.data.manifest import Manifest
from beholder.imaging.find import find_images
from beholder.imaging.fit import Fit
from beholder.imaging.open import open_image
from beholder.task import Task

Pixels = NDArray[np.uint8]
"""(H, W, 3) RGB."""


@dataclass(frozen=True)
class Rated:
    """Decoded pictures with unit scores, higher is better."""

    task: Task
    paths: tuple[str, ...]
    """As the manifest names them."""
    pixels: tuple[Pixels, ...]
    unit: NDArray[np.float32]
    """(n,) in [0, 1]."""
    groups: tuple[str, ...]
    """What must stay on one side of every fold, e.g. the scene."""

    def __len__(self) -> int:
        return len(self.paths)


def load_rated(manifest: Manifest, splits: Sequence[Split]) -> Rated:
    """Decode the pictures of some splits into memory."""
    parts = [manifest.select(split) for split in splits]
    pixels = tuple(open_image(str(path), fit=Fit()).rgb for part in parts for path in part.paths())
    names = tuple(name for part in parts for name in part.column("path"))
    unit = np.concatenate([part.unit_scores() for part in parts]).astype(np.float32)
    groups = tuple(group for part in parts for group in part.groups())
    return Rated(manifest.task, names, pixels, unit, groups)


def load_natural(folders: Sequence[Path]) -> tuple[Pixels, ...]:
    """Decode every picture of some folders; the small ones, under 128 px, are left out."""
    found = [open_image(path, fit=Fit()).rgb for path in find_images([str(folder) for folder in folders])]
    return tuple(rgb for rgb in found if min(rgb.shape[:2]) >= 128)
