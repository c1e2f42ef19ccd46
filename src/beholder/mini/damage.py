"""Pairs of one picture at two levels of one damage: they teach an order that no rating tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from beholder.data.distortions import FAMILIES, distort
from beholder.mini.config import PairsConfig
from beholder.mini.data import Pixels

_LEAST_GAP = 0.7
"""Levels that two pictures of a pair are apart at least."""


@dataclass(frozen=True)
class DamagedPair:
    """One picture at two levels of one damage."""

    picture: int
    """Index of the picture."""
    family: str
    levels: tuple[float, float]
    """In [0, 5], the lower one first."""
    seed: int
    margin: float
    """By how much the first must lead, in unit score."""


def draw_pairs(
    n_pictures: int, priors: dict[str, tuple[float, ...]], config: PairsConfig, seed: int
) -> list[DamagedPair]:
    """`config.count` pairs, spread evenly over the families, 2 in 5 of them against the picture as it is.

    The margin is half of what people find between the two: a head may compress the scale, not turn it.
    """
    rng = np.random.default_rng((seed, 7))
    families = list(FAMILIES)
    pairs = []
    for index in range(config.count):
        family = families[index % len(families)]
        low = 0.0 if rng.random() < 0.4 else rng.uniform(0.3, 4.2)
        high = low + _LEAST_GAP * ((5.0 - low) / _LEAST_GAP) ** rng.random()  # small steps are the hard ones
        better, worse = np.interp((low, high), range(6), priors[family])
        least = config.least_margins.get(family, 0.0) * (high - low)
        margin = max(0.5 * (better - worse) + 0.01, least)
        picture, noise = int(rng.integers(n_pictures)), int(rng.integers(2**31))
        pairs.append(DamagedPair(picture, family, (low, high), noise, margin))
    return pairs


def render(pairs: Sequence[DamagedPair], pictures: Sequence[Pixels]) -> Iterator[Pixels]:
    """Both pictures of each pair, one after the other, the less damaged one first."""
    for pair in pairs:
        for level in pair.levels:
            yield distort(pictures[pair.picture], pair.family, level, pair.seed)
