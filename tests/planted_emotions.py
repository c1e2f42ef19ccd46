"""Samples with known emotions per modality, of which some disagree: the label follows one of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLASSES = 6
FAST = {"epochs": 8, "warmup_epochs": 3, "batch_size": 128}


@dataclass(frozen=True)
class Planted:
    x: dict[str, NDArray[np.float64]]
    y: NDArray[np.int64]
    shown: dict[str, NDArray[np.int64]]
    group: NDArray[np.int64]

    @property
    def conflict(self) -> NDArray[np.bool_]:
        voice, face = self.shown["voice"], self.shown["face"]
        return np.asarray(voice != face)

    def take(self, rows: slice) -> Planted:
        return Planted(
            {m: x[rows] for m, x in self.x.items()},
            self.y[rows],
            {m: e[rows] for m, e in self.shown.items()},
            self.group[rows],
        )


def plant(n: int = 1500, conflict: float = 0.3, noise: float = 1.0, face_wins: float = 0.7, seed: int = 0) -> Planted:
    """Two modalities of 8 dimensions, class means N(0, 2); where one was swapped, the label is that of the other."""
    rng = np.random.default_rng(seed)
    means = {m: rng.normal(0, 2, (CLASSES, 8)) for m in ("voice", "face")}
    y = rng.integers(CLASSES, size=n)
    swapped = rng.random(n) < conflict
    other, face_right = (y + rng.integers(1, CLASSES, size=n)) % CLASSES, rng.random(n) < face_wins
    voice = np.where(swapped & face_right, other, y)
    face = np.where(swapped & ~face_right, other, y)
    shown = {"voice": voice, "face": face}
    x = {m: means[m][shown[m]] + rng.normal(0, noise, (n, 8)) for m in means}
    return Planted(x, y, shown, np.arange(n) % 40)
