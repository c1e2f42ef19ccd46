"""How well predictions agree with MOS: rank and linear correlation, and the error in MOS units.

Everything is float64 and signed: a reversed metric stays visible. `pred` and `mos` are (n,) arrays, higher is better.
Every function raises ValueError on unequal lengths, n < 2 or a non-finite value. Where a side is constant, correlations
are NaN; what needs the logistic curve raises LogisticFitError, also a ValueError.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau, rankdata

from beholder.evaluate.logistic import Logistic4, Vector, fit_logistic4


def srcc(pred: ArrayLike, mos: ArrayLike) -> float:
    """Spearman rank correlation in [-1, 1]; tied values share their mean rank.

    >>> round(srcc([1.0, 2.0, 2.0, 4.0], [1.0, 3.0, 2.0, 5.0]), 4)
    0.9487
    """
    pred, mos = check_pair(pred, mos)
    return weighted_pearson(rankdata(pred), rankdata(mos))


def krcc(pred: ArrayLike, mos: ArrayLike) -> float:
    """Kendall rank correlation in [-1, 1], tau-b: pairs tied on one side count against neither order.

    >>> round(krcc([1.0, 2.0, 2.0, 4.0], [1.0, 3.0, 2.0, 5.0]), 4)
    0.9129
    """
    pred, mos = check_pair(pred, mos)
    # The p-value is not used; `asymptotic` skips scipy's exact one, which is slow for small n without ties.
    return float(kendalltau(pred, mos, variant="b", method="asymptotic").statistic)


def plcc_raw(pred: ArrayLike, mos: ArrayLike) -> float:
    """Pearson linear correlation in [-1, 1] of the predictions as they are."""
    return weighted_pearson(*check_pair(pred, mos))


def plcc_logistic4(pred: ArrayLike, mos: ArrayLike, curve: Logistic4 | None = None) -> float:
    """Pearson linear correlation of MOS with the predictions mapped by `curve`, by default the one fitted to them.

    Raises LogisticFitError where the fit fails. Four parameters are fitted to the same rows, so it flatters a little.
    """
    pred, mos = check_pair(pred, mos)
    return weighted_pearson((curve or fit_logistic4(pred, mos))(pred), mos)


def rmse(pred: ArrayLike, mos: ArrayLike, curve: Logistic4 | None = None) -> float:
    """Root mean squared error in MOS units after the mapping of `plcc_logistic4`. Raises LogisticFitError."""
    pred, mos = check_pair(pred, mos)
    return float(np.sqrt(np.mean(((curve or fit_logistic4(pred, mos))(pred) - mos) ** 2)))


def mae(pred: ArrayLike, mos: ArrayLike, curve: Logistic4 | None = None) -> float:
    """Mean absolute error in MOS units after the mapping of `plcc_logistic4`. Raises LogisticFitError."""
    pred, mos = check_pair(pred, mos)
    return float(np.mean(np.abs((curve or fit_logistic4(pred, mos))(pred) - mos)))


def weighted_pearson(first: Vector, second: Vector, counts: Vector | None = None) -> float:
    """Pearson correlation where row i counts `counts[i]` times (> 0; once by default). NaN if a side is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:  # asked of the values: rounding gives centred ones a tiny spread
        return float("nan")
    a = first - np.average(first, weights=counts)
    b = second - np.average(second, weights=counts)
    weighted = a if counts is None else a * counts
    norm_b = np.sqrt(b @ b if counts is None else (b * counts) @ b)
    return float(np.clip((weighted @ b) / (np.sqrt(weighted @ a) * norm_b), -1.0, 1.0))


def check_pair(pred: ArrayLike, mos: ArrayLike) -> tuple[Vector, Vector]:
    """Both as (n,) float64. Raises ValueError on unequal lengths, n < 2, or a non-finite value (index and value)."""
    sides = {"pred": np.asarray(pred, dtype=np.float64), "mos": np.asarray(mos, dtype=np.float64)}
    for name, values in sides.items():
        if values.ndim != 1:
            raise ValueError(f"{name} has shape {values.shape}; one number per picture is needed, shape (n,)")
    lengths = {name: len(values) for name, values in sides.items()}
    if lengths["pred"] != lengths["mos"]:
        raise ValueError(f"{lengths['pred']} predictions for {lengths['mos']} MOS; every prediction needs its MOS")
    if lengths["pred"] < 2:
        raise ValueError(f"n = {lengths['pred']}; agreement needs at least 2 rows")
    for name, values in sides.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise ValueError(f"{name}[{bad[0]}] = {values[bad[0]]}; {len(bad)} of {len(values)} values are not finite")
    return sides["pred"], sides["mos"]
