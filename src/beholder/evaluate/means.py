"""The mean of a number per picture, and of the difference between two, with 95 % bootstrap intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beholder.evaluate.bootstrap import (
    Difference,
    Estimate,
    interval_problem,
    percentile_interval,
    resample_counts,
    two_sided_p,
)


def mean_estimate(values: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> Estimate:
    """Mean of (n,) finite `values`; no value for n = 0, no interval below 10 of them."""
    array = np.asarray(values, np.float64)
    if len(array) == 0:
        return Estimate(value=None, low=None, high=None, problem="n = 0; nothing was measured")
    problem = interval_problem(len(array))
    low, high = (None, None) if problem else percentile_interval(_resampled_means(array, resamples, seed))
    return Estimate(value=float(array.mean()), low=low, high=high, problem=problem)


def mean_difference(first: ArrayLike, second: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> Difference:
    """Mean of `first` minus `second`, (n,) finite values of the same n pictures."""
    array = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    if len(array) == 0:
        return Difference(value=None, low=None, high=None, p=None, problem="n = 0; nothing was measured in both")
    problem = interval_problem(len(array))
    if problem:
        return Difference(value=float(array.mean()), low=None, high=None, p=None, problem=problem)
    draws = _resampled_means(array, resamples, seed)
    low, high = percentile_interval(draws)
    return Difference(value=float(array.mean()), low=low, high=high, p=two_sided_p(draws))


def _resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    counts = resample_counts(len(values), None, resamples, seed)
    return np.array([each @ values for each in counts]) / len(values)
