"""Measures of sentiment told as a number, as MMSA and those after it report them; in float64.

Two accuracies go by the name Acc-2, so both carry what they count: `has0` takes 0 as positive, `non0` leaves out
samples whose truth is 0. CH-SIMS has labels of its own, -1 to 1, and classes with other edges.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beholder.evaluate.correlation import weighted_pearson
from beholder.tical.metrics import measure

Array = NDArray[np.float64]

SIMS_EDGES = {"acc2": (0.0,), "acc3": (-0.1, 0.1), "acc5": (-0.7, -0.1, 0.1, 0.7)}
"""Where CH-SIMS's classes meet. A value on an edge belongs to the class below it."""


def measure_sentiment(truth: ArrayLike, pred: ArrayLike, weights: Array | None = None) -> dict[str, float]:
    """MOSI's and MOSEI's: `acc2_has0`, `acc2_non0`, `f1_has0`, `f1_non0`, `acc3`, `acc5`, `acc7`, `mae`, `corr`.

    `truth` and `pred` (n,), -3 to 3; `weights` (n,) count rows more than once. `has0`: pred >= 0 against truth >= 0;
    `non0`: of rows with truth != 0, pred > 0 against truth > 0, NaN where there are none. F1 is weighted by support.
    Acc-7, -5, -3: both clipped to 3, 2, 1 and rounded, halves to the even number. `corr` is Pearson's, NaN where one
    side is constant. Raises ValueError for unequal lengths, none, or a value that is not finite.

    >>> measure_sentiment([-1.0, 0.0, 2.0], [-0.2, -0.1, 1.4])["acc2_non0"]
    1.0
    """
    true, told, w = _checked(truth, pred, weights)
    has0 = _two_classes(true >= 0, told >= 0, w)
    kept = (true != 0) & (w > 0)
    non0 = _two_classes(true[kept] > 0, told[kept] > 0, w[kept]) if kept.any() else (np.nan, np.nan)
    rounded = {
        f"acc{2 * most + 1}": float(w @ (_rounded(true, most) == _rounded(told, most)) / w.sum()) for most in (1, 2, 3)
    }
    return {
        **{"acc2_has0": has0[0], "acc2_non0": non0[0], "f1_has0": has0[1], "f1_non0": non0[1]},
        **rounded,
        **_distance(true, told, w),
    }


def measure_sims(truth: ArrayLike, pred: ArrayLike, weights: Array | None = None) -> dict[str, float]:
    """CH-SIMS's: `acc2`, `f1` (of the same two classes), `acc3`, `acc5`, `mae`, `corr`; both clipped to -1 and 1
    for classes. Otherwise as `measure_sentiment`.

    >>> measure_sims([0.0, 0.2, 1.0], [-0.1, 0.1, 0.8])["acc2"]
    1.0
    """
    true, told, w = _checked(truth, pred, weights)
    classes = {
        name: [np.digitize(np.clip(v, -1, 1), edges, right=True) for v in (true, told)]
        for name, edges in SIMS_EDGES.items()
    }
    positive, told_positive = classes.pop("acc2")
    acc2, f1 = _two_classes(positive, told_positive, w)
    accuracies = {name: float(w @ (first == second) / w.sum()) for name, (first, second) in classes.items()}
    return {"acc2": acc2, "f1": f1, **accuracies, **_distance(true, told, w)}


MEASURES: dict[str, Callable[..., dict[str, float]]] = {"sentiment": measure_sentiment, "sims": measure_sims}
"""By the name that recipes and models use."""

TITLES = {
    "acc2_has0": "Acc-2, 0 is positive",
    "acc2_non0": "Acc-2, without 0",
    "f1_has0": "F1, 0 is positive",
    "f1_non0": "F1, without 0",
    "acc2": "Acc-2",
    "f1": "F1",
    "acc3": "Acc-3",
    "acc5": "Acc-5",
    "acc7": "Acc-7",
    "mae": "mean absolute error",
    "corr": "correlation",
}


def _two_classes(true: NDArray[np.generic], told: NDArray[np.generic], w: Array) -> tuple[float, float]:
    found = measure(true, told, w)
    return found["wa"], found["weighted_f1"]


def _rounded(values: Array, most: int) -> Array:
    out: Array = np.clip(values, -most, most).round()
    return out


def _distance(true: Array, told: Array, w: Array) -> dict[str, float]:
    constant = np.ptp(true[w > 0]) == 0 or np.ptp(told[w > 0]) == 0
    corr = float("nan") if constant else weighted_pearson(told, true, w)
    return {"mae": float(np.average(np.abs(told - true), weights=w)), "corr": corr}


def _checked(truth: ArrayLike, pred: ArrayLike, weights: Array | None) -> tuple[Array, Array, Array]:
    true, told = np.asarray(truth, np.float64), np.asarray(pred, np.float64)
    if true.shape != told.shape or true.ndim != 1 or not len(true):
        raise ValueError(f"truth has shape {true.shape}, predictions {told.shape}; both must be (n,), n at least 1")
    for name, values in (("truth", true), ("prediction", told)):
        if not (finite := np.isfinite(values)).all():
            raise ValueError(f"{name} {int(np.argmin(finite))} is {values[~finite][0]}")
    return true, told, np.ones(len(true)) if weights is None else weights
