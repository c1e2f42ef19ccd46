"""Numbers as classes: where anchors, pseudo labels and unimodal heads need classes and the label is a number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def level_values(edges: Sequence[float]) -> Array:
    """The value that each of the len(edges) + 1 classes stands for: its middle, and as far beyond the outer edges.

    >>> level_values([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    array([-3., -2., -1.,  0.,  1.,  2.,  3.])
    """
    e = np.asarray(edges, np.float64)
    middle = (e[:-1] + e[1:]) / 2
    return np.concatenate([[2 * e[0] - middle[0]], middle, [2 * e[-1] - middle[-1]]])


def levels_of(numbers: ArrayLike, edges: Sequence[float]) -> Array:
    """Soft labels (n, K) of numbers (n,), all of each on the class it lies in; a row of NaN for NaN.

    A number on an edge belongs to the class below it.
    """
    values = np.asarray(numbers, np.float64)
    one_hot = np.eye(len(edges) + 1)[np.digitize(np.nan_to_num(values), edges, right=True)]
    out: Array = np.where(np.isnan(values)[:, None], np.nan, one_hot)
    return out
