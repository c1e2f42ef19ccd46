"""What the statistics heads learn from, and what they then say about pictures they have not seen.

The trunk is trained on top of the statistics heads: it sees their level logits as an offset and learns what is
missing. For its own training pictures these logits must come from heads that never saw the picture, or the trunk
would learn to trust an overfitted answer; hence the folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from beholder.data.distortions import FAMILIES, distort
from beholder.mini.config import HeadConfig, PairsConfig
from beholder.mini.data import Pixels, Rated, crop
from beholder.mini.heads import Features, Head, Lessons, Normaliser, fit_head
from beholder.mini.model import Probes
from beholder.mini.statistics import Statistics
from beholder.task import LEVELS


def statistics_of(pictures: Sequence[Pixels]) -> Features:
    """(n, F) float32 statistics of whole pictures, each uint8 (H, W, 3)."""
    measure = Statistics().eval()
    rows = []
    with torch.inference_mode():
        for rgb in pictures:
            x = torch.tensor(rgb).permute(2, 0, 1)[None].float()
            rows.append(measure(x)[0].numpy())
    return np.stack(rows)


def learned_by(model: Probes, pictures: Sequence[Pixels]) -> Features:
    """(n, F) float32 features of whole pictures as the trunk of `model` has learned them."""
    model.eval()
    with torch.inference_mode():
        return np.stack([model.features(torch.tensor(rgb)[None])[0].numpy() for rgb in pictures])


@dataclass(frozen=True)
class Pairs:
    """Features of one picture at two levels of one damage."""

    features: Features
    """(p, 2, F), the less damaged one first."""
    margin: NDArray[np.float32]
    """(p,) half of what people find between the two, in unit score: the head may compress the scale, not turn it."""


Measure = Callable[[Sequence[Pixels]], Features]
"""Pictures, uint8 (H, W, 3) each -> (n, F) features."""


def damaged_pairs(
    pictures: Sequence[Pixels], priors: dict[str, tuple[float, ...]], config: PairsConfig, seed: int, measure: Measure
) -> Pairs:
    """Pairs spread evenly over the families and drawn with `seed`, whatever `measure` then sees in them."""
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
    features = measure(damaged)
    return Pairs(features.reshape(config.count, 2, -1), np.array(margin, np.float32))


@dataclass(frozen=True)
class CrossFit:
    """Heads of the same kind, each fitted without one fold of the training pictures, merged into one."""

    normaliser: Normaliser
    head: Head
    offset: NDArray[np.float32]
    """(n, 5) level logits of each training picture, from the members that never saw its group."""

    def logits(self, features: Features) -> NDArray[np.float32]:
        """(m, 5) level logits of raw features of pictures that none of them saw."""
        with torch.inference_mode():
            return np.asarray(self.head(self.normaliser(torch.from_numpy(features))).numpy())


def cross_fit(rated: Rated, features: Features, pairs: Pairs | None, config: HeadConfig, seed: int) -> CrossFit:
    """Fit `config.folds` heads, groups kept whole; `pairs` teach the order of damage to each of them.

    The normaliser sees features, never scores, so all training pictures make it; damaged pictures too, or all of
    those would end up at the ends of the maps.
    """
    shown = features if pairs is None else np.concatenate([features, pairs.features[::2, 1]])
    normaliser = Normaliser.of(torch.from_numpy(shown))

    def normal(raw: Features) -> Features:
        return np.asarray(normaliser(torch.from_numpy(raw)).numpy())

    known = normal(features)
    damaged = None if pairs is None else normal(pairs.features.reshape(-1, features.shape[1]))
    ordered = None if damaged is None else damaged.reshape(-1, 2, features.shape[1])
    offset = np.zeros((len(rated), len(LEVELS)), np.float32)
    heads = []
    for fold, (seen, unseen) in enumerate(GroupKFold(config.folds).split(known, groups=rated.groups)):
        lessons = Lessons(known[seen], rated.unit[seen], ordered, None if pairs is None else pairs.margin)
        head = fit_head(lessons, config, seed=seed * 100 + fold)
        with torch.inference_mode():
            offset[unseen] = head(torch.from_numpy(known[unseen])).numpy()
        heads.append(head)
    return CrossFit(normaliser, Head.merge(heads), offset)
