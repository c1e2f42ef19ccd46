"""The linear probe: what a frozen encoder knows without an adapter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from beholder.uniqa.features import Grid


def probe(train: Grid, unit: NDArray[np.float64]) -> Callable[[Grid], NDArray[np.float64]]:
    """Ridge regression of scores on the mean normalised feature of each picture; its strength by leave-one-out.

    Returns a function from features to (n,) scores.
    """
    solver = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-1, 5, 13)))
    solver.fit(_mean_feature(train), unit)
    return lambda grid: np.asarray(solver.predict(_mean_feature(grid)), np.float64)


def _mean_feature(grid: Grid) -> NDArray[np.float64]:
    unit = F.normalize(grid.values, dim=-1)  # padding stays 0
    return np.asarray((unit.sum(dim=1) / grid.real.sum(dim=1, keepdim=True)).double().numpy())
