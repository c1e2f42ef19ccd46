"""How well heads do on pictures they have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from beholder.mini.config import Block, HeadConfig
from beholder.mini.features import Rows
from beholder.mini.heads import Head, Pairs, fit_head
from beholder.mini.levels import expected


def score_rows(head: Head, features: Rows) -> NDArray[np.float32]:
    """(n,) unit scores of (n, F) features."""
    with torch.inference_mode():
        return np.asarray(expected(head(torch.from_numpy(features))).numpy())


def cross_validate(
    features: Rows,
    unit: NDArray[np.float32],
    groups: Sequence[str],
    places: dict[Block, slice],
    pairs: Pairs | None,
    config: HeadConfig,
) -> NDArray[np.float32]:
    """(n,) unit scores, each from a head that saw neither the picture, damaged or not, nor its group."""
    scores = np.zeros(len(unit), np.float32)
    for seen, unseen in GroupKFold(config.folds).split(features, groups=groups):
        others = None if pairs is None else pairs.without({groups[i] for i in unseen})
        head = fit_head(features[seen], unit[seen], places, others, config)
        scores[unseen] = score_rows(head, features[unseen])
    return scores
