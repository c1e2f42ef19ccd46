"""What the statistics heads learn from, and what they then say about pictures they have not seen.

The trunk is trained on top of the statistics heads: it sees their level logits as an offset and learns what is
missing. For its own training pictures these logits must come from heads that never saw the picture, or the trunk
would learn to trust an overfitted answer; hence the folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from beholder.data.distortions import FAMILIES, distort
from beholder.mini.config import HeadConfig
from beholder.mini.data import Pixels, Rated, crop
from beholder.mini.heads import Features, Head, Lessons, fit_head
from beholder.mini.statistics import Statistics
from beholder.task import LEVELS


def statistics_of(pictures: Sequence[Pixels]) -> Features:
    """(n, F) float32 statistics of whole pictures, each uint8 (H, W, 3)."""
    measure = Statistics().eval()
    rows = []
    with torch.inference_mode():
        for rgb in pictures:
            x = torch.tensor(rgb).permute(2, 0, 1)[None].float() * (1.0 / 255.0)
            rows.append(measure(x)[0].numpy())
    return np.stack(rows)


@dataclass(frozen=True)
class Pairs:
    """Statistics of one picture at two levels of one damage."""

    features: Features
    """(p, 2, F), the less damaged one first."""
    margin: NDArray[np.float32]
    """(p,) half of what people find between the two, in unit score: the head may compress the scale, not turn it."""


def damaged_pairs(
    pictures: Sequence[Pixels], priors: dict[str, tuple[float, ...]], count: int, side: int, seed: int
) -> Pairs:
    """`count` pairs spread evenly over the families, drawn with `seed`; crops of at most `side` pixels."""
    rng = np.random.default_rng((seed, 7))
    damaged: list[Pixels] = []
    margin = []
    families = list(FAMILIES)
    for index in range(count):
        rgb = pictures[int(rng.integers(len(pictures)))]
        window = crop(rgb, min(side, *rgb.shape[:2]), rng)
        family = families[index % len(families)]
        low = 0.0 if rng.random() < 0.4 else rng.uniform(0.3, 4.2)
        levels = (low, rng.uniform(low + 0.8, 5.0))
        noise_seed = int(rng.integers(2**31))
        damaged += [distort(window, family, level, noise_seed) for level in levels]
        prior = np.interp(levels, range(6), priors[family])
        margin.append(0.5 * (prior[0] - prior[1]) + 0.01)
    features = statistics_of(damaged)
    return Pairs(features.reshape(count, 2, -1), np.array(margin, np.float32))


@dataclass(frozen=True)
class CrossFit:
    """Heads of the same kind, each fitted without one fold of the training pictures."""

    heads: tuple[Head, ...]
    offset: NDArray[np.float32]
    """(n, 5) level logits of each training picture, from the one head that never saw its group."""

    def logits(self, features: Features) -> NDArray[np.float32]:
        """(m, 5) mean level logits of all heads on pictures that none of them saw."""
        with torch.inference_mode():
            x = torch.from_numpy(features)
            every = torch.stack([head.logits(x).mean(dim=0) for head in self.heads])
        return np.asarray(every.mean(dim=0).numpy())


def cross_fit(rated: Rated, features: Features, pairs: Pairs | None, config: HeadConfig, seed: int) -> CrossFit:
    """Fit `config.folds` heads, groups kept whole; `pairs` teach the order of damage to each of them."""
    offset = np.zeros((len(rated), len(LEVELS)), np.float32)
    heads = []
    for fold, (seen, unseen) in enumerate(GroupKFold(config.folds).split(features, groups=rated.groups)):
        lessons = Lessons(
            features[seen],
            rated.unit[seen],
            None if pairs is None else pairs.features,
            None if pairs is None else pairs.margin,
        )
        head = fit_head(lessons, config, seed=seed * 100 + fold)
        with torch.inference_mode():
            offset[unseen] = head.logits(torch.from_numpy(features[unseen])).mean(dim=0).numpy()
        heads.append(head)
    return CrossFit(tuple(heads), offset)
