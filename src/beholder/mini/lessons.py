"""What the heads learn beyond the ratings, the order of damage, and how well they do on pictures they have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from beholder.data.distortions import FAMILIES, distort
from beholder.mini.config import Block, HeadConfig, PairsConfig
from beholder.mini.data import Pixels, crop
from beholder.mini.features import Rows
from beholder.mini.heads import Head, Pairs, fit_head
from beholder.mini.levels import expected


def damaged_pairs(
    pictures: Sequence[Pixels], priors: dict[str, tuple[float, ...]], config: PairsConfig, seed: int
) -> tuple[list[Pixels], NDArray[np.float32]]:
    """2 p pictures, each followed by itself more damaged, and (p,) margins; spread evenly over the families.

    The margin is half of what people find between the two, in unit score: a head may compress the scale, not turn it.
    """
    rng = np.random.default_rng((seed, 7))
    damaged: list[Pixels] = []
    margin = []
    families = list(FAMILIES)
    for index in range(config.count):
        rgb = pictures[int(rng.integers(len(pictures)))]
        window = crop(rgb, min(config.crop, *rgb.shape[:2]), rng)
        family = families[index % len(families)]
        low = 0.0 if rng.random() < 0.4 else rng.uniform(0.3, 4.2)
        levels = (low, rng.uniform(low + 0.8, 5.0))
        noise_seed = int(rng.integers(2**31))
        damaged += [distort(window, family, level, noise_seed) for level in levels]
        prior = np.interp(levels, range(6), priors[family])
        margin.append(0.5 * (prior[0] - prior[1]) + 0.01)
    return damaged, np.array(margin, np.float32)


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
    """(n,) unit scores, each from a head that saw neither the picture nor its group."""
    scores = np.zeros(len(unit), np.float32)
    for seen, unseen in GroupKFold(config.folds).split(features, groups=groups):
        head = fit_head(features[seen], unit[seen], places, pairs, config)
        scores[unseen] = score_rows(head, features[unseen])
    return scores
