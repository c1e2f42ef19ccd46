"""What an extractor learned from training rows: arrays, and facts that are no arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Learned:
    """Kept beside a model as safetensors and JSON."""

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    """Ready for JSON."""


def learn_pca(rows: NDArray[Any], width: int) -> Learned:
    """The first `width` principal components of (n, d), or as many as there are; in half precision, to stay small."""
    most = min(width, *rows.shape)
    found = PCA(most, svd_solver="full" if rows.shape[1] <= 1000 else "randomized", random_state=0).fit(rows)
    return pca_of(found.mean_, found.components_)


def pca_of(mean: NDArray[Any], components: NDArray[Any]) -> Learned:
    """A projection that is known already: mean (d,), components (width, d)."""
    return Learned({"mean": mean.astype(np.float32), "components": components.astype(np.float16)})


def apply_pca(learned: Learned, rows: NDArray[Any]) -> Array:
    """(n, d) to (n, width) float64."""
    mean, components = (learned.arrays[name].astype(np.float64) for name in ("mean", "components"))
    out: Array = (rows - mean) @ components.T
    return out
