"""The interval of a mean over two samples that cross: each of n trainings looks at each of m pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student


def crossed_mean(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float | None]:
    """Mean of [n, m] values and half of its interval, for other rows and other columns than these.

    Rows and columns are both drawn by chance: variances of a two-way layout without repetition, Student's t with the
    degrees of freedom of Satterthwaite (Biometrics Bulletin 2(6), 1946). None with a single row or column: what other
    ones would give can't be told.
    """
    table = np.asarray(values, dtype=np.float64)
    n, m = table.shape
    mean = table.mean()
    if n < 2 or m < 2:
        return float(mean), None
    rows, columns = table.mean(axis=1) - mean, table.mean(axis=0) - mean
    rest = table - mean - rows[:, None] - columns
    degrees = np.array([n - 1, m - 1, (n - 1) * (m - 1)])
    squares = np.array([m * (rows**2).sum(), n * (columns**2).sum(), (rest**2).sum()]) / degrees
    # A part that varies no more than the rest has no variance of its own, and the larger alone decides.
    terms = squares * (1, 1, -1) if squares[2] < squares[:2].min() else np.where(squares == squares.max(), squares, 0)
    if not terms.any():
        return float(mean), 0.0
    freedom = terms.sum() ** 2 / (terms**2 / degrees).sum()
    half = student.ppf((1 + confidence) / 2, freedom) * np.sqrt(terms.sum() / (n * m))
    return float(mean), float(half)
