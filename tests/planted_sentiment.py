"""Numbers with known signs per modality, as vectors and as sequences of unequal length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FAST = {"epochs": 10, "warmup_epochs": 3, "batch_size": 64, "learning_rate": 5e-3}


def plant_numbers(n: int = 600, seed: int = 0) -> tuple[dict[str, Array], Array, Array]:
    """Two modalities of 4 features, the label on the first two of each; labels -3 to 3, groups of 5."""
    rng = np.random.default_rng(seed)
    label = rng.uniform(-3, 3, n)
    x = {m: rng.normal(0, 1, (n, 4)) for m in ("text", "audio")}
    for values in x.values():
        values[:, :2] += label[:, None]
    return x, label, np.arange(n) // 5


def plant_order(n: int = 400, steps: int = 8, seed: int = 0) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """Sequences (n, t, 2) of class 1 where the mark comes before the bump, of class 0 where it comes after.

    The mean over steps says nothing. Lengths from steps / 2 to steps; what is past them is large and means nothing.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    lengths = rng.integers(steps // 2, steps + 1, n)
    x = rng.normal(0, 0.1, (n, steps, 2))
    for i in range(n):
        first, second = np.sort(rng.choice(lengths[i], 2, replace=False))
        mark, bump = (first, second) if y[i] else (second, first)
        x[i, mark, 0] += 3
        x[i, bump, 1] += 3
        x[i, lengths[i] :] = 50
    return x, y, lengths
