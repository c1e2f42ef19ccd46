"""How far two models agree about the same pictures, and how sure that is: 95 % bootstrap intervals.

The resamples and the percentile rule are those of `evaluate.bootstrap`, which stands above this room and needs more
libraries than scoring may load.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from beholder.task import Task

MIN_RANKED = 3
"""Pictures from which a rank correlation is given; of two it is 1 or -1 whatever they are."""


MIN_INTERVAL = 10
"""Pictures from which there are intervals; resamples of fewer repeat each other."""

_RESAMPLES, _FEWEST_RESAMPLES = 1000, 200
_DRAWS = 20_000_000
"""Of pictures, in all resamples together: with more than 20,000 pictures there are fewer resamples, so that a large
audit takes seconds."""

Interval = tuple[float, float]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Of two models in one task."""

    task: Task
    n: int
    """Pictures that both gave a score."""
    srcc: float | None
    """Spearman rank correlation, in [-1, 1]; None for fewer than `MIN_RANKED` pictures or a constant side."""
    srcc_interval: Interval | None
    """Its 95 % interval; None where there is no correlation or there are fewer than `MIN_INTERVAL` pictures."""
    difference: float | None
    """Mean of second minus first, in points of 0 to 100; None where there is no picture, as below."""
    difference_interval: Interval | None
    """Its 95 % interval; None for fewer than `MIN_INTERVAL` pictures."""
    distance: float | None
    """Mean absolute difference, in points."""

    def __str__(self) -> str:
        if self.difference is None:
            return f"{self.task}: no picture that both scored"
        rank = "too few to rank" if self.srcc is None else f"SRCC {self.srcc:.2f}{_shown(self.srcc_interval, '.2f')}"
        mean = f"{self.difference:+.1f}{_shown(self.difference_interval, '+.1f')}"
        noun = "picture" if self.n == 1 else "pictures"
        few = f", too few for intervals, which need {MIN_INTERVAL}" if self.n < MIN_INTERVAL else ""
        return f"{self.task}: {self.n:,} {noun}, {rank}, {self.distance:.1f} points apart, mean {mean}{few}"


def agreement(task: Task, first: pa.ChunkedArray, second: pa.ChunkedArray) -> Agreement:
    """Agreement of two columns of scores, row by row; a row where either is null does not count.

    The same columns give the same intervals.
    """
    both = pc.and_(pc.is_valid(first), pc.is_valid(second))
    a, b = (column.filter(both).combine_chunks().to_numpy().astype(np.float64) for column in (first, second))
    if not len(a):
        return Agreement(task, 0, None, None, None, None, None)
    gap = b - a
    level_a, level_b = (np.unique(column, return_inverse=True)[1] for column in (a, b))
    srcc = _srcc(level_a, level_b, np.ones(len(a))) if len(a) >= MIN_RANKED else np.nan
    ranks, means = _resampled(level_a, level_b, gap) if len(a) >= MIN_INTERVAL else (None, None)
    is_ranked = not np.isnan(srcc)
    return Agreement(
        task,
        n=len(a),
        srcc=float(srcc) if is_ranked else None,
        srcc_interval=_interval(ranks) if is_ranked and ranks is not None else None,
        difference=float(gap.mean()),
        difference_interval=None if means is None else _interval(means),
        distance=float(np.abs(gap).mean()),
    )


def _resampled(level_a: NDArray[np.int64], level_b: NDArray[np.int64], gap: Vector) -> tuple[Vector, Vector]:
    """Rank correlation and mean gap of each resample of the pictures; the former NaN where a side is constant."""
    n, rng = len(gap), np.random.default_rng(0)
    ranks, means = [], []
    for _ in range(min(_RESAMPLES, max(_FEWEST_RESAMPLES, _DRAWS // n))):
        times = np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)
        ranks.append(_srcc(level_a, level_b, times))
        means.append(float(times @ gap) / n)
    return np.array(ranks), np.array(means)


def _srcc(level_a: NDArray[np.int64], level_b: NDArray[np.int64], times: Vector) -> float:
    """Pearson correlation of ranks where picture i counts `times[i]` times; tied ones share their mean rank."""
    a, b = (_ranks(level, times) for level in (level_a, level_b))
    centre = (times.sum() + 1) / 2  # the mean of any ranks
    a, b = a - centre, b - centre
    spread = (times @ (a * a)) * (times @ (b * b))
    return float(np.clip(times @ (a * b) / np.sqrt(spread), -1, 1)) if spread > 0 else float("nan")


def _ranks(level: NDArray[np.int64], times: Vector) -> Vector:
    at_level = np.bincount(level, weights=times)
    ranks: Vector = (np.cumsum(at_level) - (at_level - 1) / 2)[level]
    return ranks


def _interval(draws: Vector) -> Interval:
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _shown(interval: Interval | None, digits: str) -> str:
    return "" if interval is None else f" ({interval[0]:{digits}} to {interval[1]:{digits}})"
