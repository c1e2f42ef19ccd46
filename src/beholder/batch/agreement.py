"""How far two models agree about the same pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beholder.task import Task

MIN_RANKED = 3
"""Pictures from which a rank correlation is given; of two it is 1 or -1 whatever they are."""


@dataclass(frozen=True)
class Agreement:
    """Of two models in one task."""

    task: Task
    n: int
    """Pictures that both gave a score."""
    srcc: float | None
    """Spearman rank correlation, in [-1, 1]; None for fewer than `MIN_RANKED` pictures or a constant side."""
    difference: float | None
    """Mean of second minus first, in points of 0 to 100; None where there is no picture, as below."""
    distance: float | None
    """Mean absolute difference, in points."""

    def __str__(self) -> str:
        if self.difference is None:
            return f"{self.task}: no picture that both scored"
        rank = "too few to rank" if self.srcc is None else f"SRCC {self.srcc:.2f}"
        noun = "picture" if self.n == 1 else "pictures"
        return f"{self.task}: {self.n:,} {noun}, {rank}, {self.distance:.1f} points apart, mean {self.difference:+.1f}"


def agreement(task: Task, first: pa.ChunkedArray, second: pa.ChunkedArray) -> Agreement:
    """Agreement of two columns of scores, row by row; a row where either is null does not count."""
    both = pc.and_(pc.is_valid(first), pc.is_valid(second))
    first, second = (column.filter(both).combine_chunks() for column in (first, second))
    if not len(first):
        return Agreement(task, 0, None, None, None)
    gap = second.to_numpy().astype(np.float64) - first.to_numpy()
    return Agreement(task, len(gap), _srcc(first, second), float(gap.mean()), float(np.abs(gap).mean()))


def _srcc(first: pa.Array, second: pa.Array) -> float | None:
    """Pearson correlation of ranks; tied values share their mean rank."""
    a, b = (
        (pc.rank(column, tiebreaker="min").to_numpy() + pc.rank(column, tiebreaker="max").to_numpy()) / 2.0
        for column in (first, second)
    )
    if len(a) < MIN_RANKED or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
