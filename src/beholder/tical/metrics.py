"""Accuracies of a prediction of classes, in float64. Names as in the field's tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beholder.evaluate.bootstrap import resample_counts

Array = NDArray[np.float64]

METRICS = ("wa", "ua", "weighted_f1", "macro_f1")
"""Accuracy (WA, WAR), mean recall over classes (UA, UAR), F1 averaged by support, and over classes."""

RESAMPLES = 1000
BINS = 15
"""Of confidence, of equal width."""


def measure(truth: ArrayLike, pred: ArrayLike, weights: Array | None = None) -> dict[str, float]:
    """Every one of `METRICS`, over the classes that occur in the truth. `weights` (n,) count rows more than once.

    Raises ValueError for unequal lengths or none.

    >>> measure(["a", "a", "b", "b"], ["a", "b", "b", "b"])["wa"]
    0.75
    """
    true, told = np.asarray(truth), np.asarray(pred)
    if true.shape != told.shape or true.ndim != 1 or not len(true):
        raise ValueError(f"truth has shape {true.shape}, predictions {told.shape}; both must be (n,), n at least 1")
    w = np.ones(len(true)) if weights is None else weights
    classes = np.unique(true[w > 0])
    hit = np.array([w @ ((true == c) & (told == c)) for c in classes])
    support = np.array([w @ (true == c) for c in classes])
    claimed = np.array([w @ (told == c) for c in classes])
    f1 = 2 * hit / (support + claimed)
    values = (hit.sum() / w.sum(), (hit / support).mean(), f1 @ support / support.sum(), f1.mean())
    return {name: float(value) for name, value in zip(METRICS, values, strict=True)}


def intervals(
    truth: ArrayLike,
    pred: ArrayLike,
    groups: NDArray[np.generic],
    seed: int = 0,
    measured: Callable[..., dict[str, float]] = measure,
) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals of all that `measured(truth, pred, weights)` gives; whole groups (n,) are resampled."""
    true, told = np.asarray(truth), np.asarray(pred)
    counts = resample_counts(len(true), groups.tolist(), RESAMPLES, seed)
    found = [measured(true, told, row.astype(np.float64)) for row in counts]
    spans = {name: np.nanquantile([one[name] for one in found], [0.025, 0.975]) for name in found[0]}
    return {name: (float(low), float(high)) for name, (low, high) in spans.items()}


def calibration_error(hit: Array, confidence: Array) -> float:
    """Expected calibration error: the gap between confidence and hits, (n,) each, over `BINS`."""
    return float(np.abs(np.bincount(confidence_bin(confidence), hit - confidence, BINS)).sum() / len(hit))


def confidence_bin(confidence: Array) -> NDArray[np.int64]:
    """(n,) from 0 to `BINS` - 1, for confidences in [0, 1]."""
    return np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
