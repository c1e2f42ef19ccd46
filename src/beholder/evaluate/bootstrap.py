"""How sure a number is: 95 % bootstrap intervals of every metric, and of the difference between two models.

The percentile interval, not BCa: it is the same rule for one model and for the difference of two, it needs no jackknife
(n more evaluations), and a test holds it to its promise where it is hard, at n = 100.

A resample is a count per row. Ranks then follow from a running sum over values sorted once, so no resample is sorted,
and memory stays at a few (n,) arrays whatever the number of resamples.

The logistic curve is fitted once, to all rows, and held. At a least-squares optimum a refit moves PLCC and RMSE to
second order only; and a curve that may only rise, fitted anew to each resample, would keep every interval of a weak
metric above 0.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from beholder.evaluate.correlation import check_pair, krcc, mae, plcc_logistic4, plcc_raw, rmse, srcc, weighted_pearson
from beholder.evaluate.logistic import Logistic4, LogisticFitError, Vector, fit_logistic4

METRICS: dict[str, bool] = {
    "srcc": True,
    "krcc": True,
    "plcc_raw": True,
    "plcc_logistic4": True,
    "rmse": False,
    "mae": False,
}
"""Every metric by name, in the order of tables; whether higher is better."""

MIN_UNITS = 10
"""An interval needs at least this many rows, or groups where groups are resampled: fewer repeat each other."""

MAX_FAILED_SHARE = 0.05
"""An interval needs a value from at least 95 % of the resamples; below that it would describe the easy ones."""


class Estimate(BaseModel):
    """One metric with its 95 % interval. None where there is no such number; `problem` then says why."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    value: float | None
    low: float | None
    high: float | None
    problem: str | None = None


class Difference(Estimate):
    """A metric of the first model minus that of the second, on the same rows and the same resamples."""

    p: float | None
    """Two-sided bootstrap p: twice the smaller share of resamples on either side of no difference, at most 1."""


def bootstrap(
    pred: ArrayLike,
    mos: ArrayLike,
    *,
    metrics: Sequence[str] = tuple(METRICS),
    groups: Sequence[Hashable] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Each of `metrics` on (n,) `pred` and (n,) `mos`, both higher is better, with its interval.

    Rows are resampled, or whole groups where `groups` names the group of each row. Fewer than 2 rows, a constant side
    or a failed fit is an Estimate with a `problem`; a bad value raises ValueError as in `correlation`.
    """
    n = np.size(mos)
    if n < 2 and np.size(pred) == n:
        return {name: Estimate(value=None, low=None, high=None, problem=_too_few(n)) for name in metrics}
    pair = _Pair(pred, mos, metrics)
    draws = np.array([pair.resampled(counts) for counts in resample_counts(n, groups, resamples, seed)])
    problem = interval_problem(n, groups)
    return {name: _estimate(pair, name, draws[:, i], problem) for i, name in enumerate(metrics)}


def paired_bootstrap(
    pred_a: ArrayLike,
    pred_b: ArrayLike,
    mos: ArrayLike,
    *,
    metrics: Sequence[str] = tuple(METRICS),
    groups: Sequence[Hashable] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Each metric of A minus that of B on the same rows, each resample drawn once and used for both."""
    n = np.size(mos)
    if n < 2 and np.size(pred_a) == np.size(pred_b) == n:
        return {name: Difference(value=None, low=None, high=None, p=None, problem=_too_few(n)) for name in metrics}
    a, b = _Pair(pred_a, mos, metrics), _Pair(pred_b, mos, metrics)
    draws = np.array(
        [a.resampled(counts) - b.resampled(counts) for counts in resample_counts(n, groups, resamples, seed)]
    )
    problem = interval_problem(n, groups)
    return {name: _difference(a, b, name, draws[:, i], problem) for i, name in enumerate(metrics)}


def resample_counts(
    n: int, groups: Sequence[Hashable] | None, resamples: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Per resample how often each row was drawn, (n,) int64. With groups, all rows of a group share one count.

    The same n, groups and seed give the same resamples. Raises ValueError for a wrong number of groups or resamples.
    """
    if resamples < 1:
        raise ValueError(f"resamples = {resamples}; at least 1, and 1000 for an interval worth printing")
    if groups is not None and len(groups) != n:
        raise ValueError(f"{len(groups)} group names for {n} rows; every row needs one")
    codes = np.arange(n) if groups is None else _codes(groups)
    n_groups = int(codes.max()) + 1
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(rng.integers(n_groups, size=n_groups), minlength=n_groups)[codes]


def _codes(groups: Sequence[Hashable]) -> NDArray[np.int64]:
    code: dict[Hashable, int] = {}
    return np.array([code.setdefault(group, len(code)) for group in groups], dtype=np.int64)


class _Pair:
    """Predictions and MOS of one model, with what every resample needs worked out once."""

    def __init__(self, pred: ArrayLike, mos: ArrayLike, metrics: Sequence[str]) -> None:
        for name in metrics:
            if name not in METRICS:
                raise ValueError(f"unknown metric {name!r}; known are {', '.join(METRICS)}")
        self.metrics = metrics
        self.pred, self.mos = check_pair(pred, mos)
        self.pred_level = np.unique(self.pred, return_inverse=True)[1]
        self.mos_level = np.unique(self.mos, return_inverse=True)[1]
        self.mapped: Vector | None = None
        self.values: dict[str, float] = {}
        self.problems: dict[str, str] = {}
        for name in metrics:
            if name in _PLAIN:
                self.values[name] = _PLAIN[name](self.pred, self.mos)
        if any(name in _MAPPED for name in metrics):
            self._fit()
        constant = f"{'predictions are' if np.ptp(self.pred) == 0 else 'MOS is'} constant"
        self.problems |= {name: constant for name, value in self.values.items() if np.isnan(value)}

    def _fit(self) -> None:
        wanted = [name for name in self.metrics if name in _MAPPED]
        try:
            curve = fit_logistic4(self.pred, self.mos)
        except LogisticFitError as error:
            self.problems |= dict.fromkeys(wanted, f"logistic fit failed: {error}")
            return
        self.mapped = curve(self.pred)
        self.values |= {name: _MAPPED[name](self.pred, self.mos, curve) for name in wanted}

    def resampled(self, counts: NDArray[np.int64]) -> Vector:
        """(len(metrics),) values on the resample in which row i occurs `counts[i]` times; NaN where there is none."""
        rows = np.flatnonzero(counts)
        times = counts[rows]
        weight = times.astype(np.float64)
        pred, mos = self.pred[rows], self.mos[rows]
        pred_level, mos_level = self.pred_level[rows], self.mos_level[rows]
        values = dict.fromkeys(METRICS, float("nan"))
        if np.ptp(pred) > 0 and np.ptp(mos) > 0:
            if "srcc" in self.metrics:
                values["srcc"] = weighted_pearson(_ranks(pred_level, weight), _ranks(mos_level, weight), weight)
            if "krcc" in self.metrics:
                values["krcc"] = krcc(np.repeat(pred_level, times), np.repeat(mos_level, times))
            if "plcc_raw" in self.metrics:
                values["plcc_raw"] = weighted_pearson(pred, mos, weight)
        if self.mapped is not None:
            mapped = self.mapped[rows]
            values["plcc_logistic4"] = weighted_pearson(mapped, mos, weight)
            values["rmse"] = float(np.sqrt(np.average((mapped - mos) ** 2, weights=weight)))
            values["mae"] = float(np.average(np.abs(mapped - mos), weights=weight))
        return np.array([values[name] for name in self.metrics])


_PLAIN: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {"srcc": srcc, "krcc": krcc, "plcc_raw": plcc_raw}
_MAPPED: dict[str, Callable[[ArrayLike, ArrayLike, Logistic4], float]] = {
    "plcc_logistic4": plcc_logistic4,
    "rmse": rmse,
    "mae": mae,
}


def _ranks(level: NDArray[np.int64], weight: Vector) -> Vector:
    """Mean rank of each row when row i occurs `weight[i]` times: the running count, less half of its own ties."""
    at_level = np.bincount(level, weights=weight)
    ranks: Vector = (np.cumsum(at_level) - (at_level - 1) / 2)[level]
    return ranks


def _too_few(n: int) -> str:
    return f"n = {n}; at least 2 rows are needed"


def interval_problem(n: int, groups: Sequence[Hashable] | None = None) -> str | None:
    """Why so few rows, or groups, have no interval; None where they have one."""
    units = n if groups is None else len(set(groups))
    if units >= MIN_UNITS:
        return None
    return f"no interval: {units} {'rows' if groups is None else 'groups'} to resample, at least {MIN_UNITS} are needed"


def _estimate(pair: _Pair, name: str, draws: Vector, unusable: str | None) -> Estimate:
    if name in pair.problems:
        return Estimate(value=None, low=None, high=None, problem=pair.problems[name])
    problem = unusable or _failed(draws)
    low, high = (None, None) if problem else percentile_interval(draws)
    return Estimate(value=pair.values[name], low=low, high=high, problem=problem)


def _difference(a: _Pair, b: _Pair, name: str, draws: Vector, unusable: str | None) -> Difference:
    for which, pair in (("A", a), ("B", b)):
        if name in pair.problems:
            return Difference(value=None, low=None, high=None, p=None, problem=f"{which}: {pair.problems[name]}")
    problem = unusable or _failed(draws)
    low, high, p = (None, None, None) if problem else (*percentile_interval(draws), two_sided_p(draws))
    return Difference(value=a.values[name] - b.values[name], low=low, high=high, p=p, problem=problem)


def _failed(draws: Vector) -> str | None:
    failed = int(np.count_nonzero(np.isnan(draws)))
    if failed <= MAX_FAILED_SHARE * len(draws):
        return None
    return f"no interval: {failed} of {len(draws)} resamples gave no value"


def percentile_interval(draws: Vector) -> tuple[float, float]:
    """Between them lie 95 % of the draws; NaN is left out."""
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high)


def two_sided_p(draws: Vector) -> float:
    """Twice the smaller share of differences on either side of 0, at most 1; NaN is left out."""
    draws = draws[~np.isnan(draws)]
    fewer = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    return min(1.0, 2 * (int(fewer) + 1) / (len(draws) + 1))  # never 0: the data themselves count as one resample
